//! What this node answers when others ask it: about what it knows, and, as the council's leader, what only that can say.

use bytes::Bytes;
use isogrid_cluster::Command;
use isogrid_cluster::council::Intent;
use isogrid_cluster::steward::{BlockedBy, Blocker, CanStop, can_stop};
use isogrid_core::{Error, ErrorCode, NodeId, Result};

use super::question::{AskStop, Beat, FindMap, FoundMap, LeaderAnswer, pack, unpack};
use super::shared::Control;
use crate::peers::message::AskKind;
use isogrid_council::ProposeFailed;

/// How long a change of voters is thought to take.
const VOTERS_CHANGE_MS: u64 = 5_000;

impl Control {
    /// Answers a question of a node, this one included: those that are for control.
    pub(crate) async fn answer(&self, from: &NodeId, kind: AskKind, body: &[u8]) -> Result<Bytes> {
        match kind {
            AskKind::Propose => {
                let command: Command = unpack(body)?;
                Ok(pack(&self.answer_proposal(command).await))
            }
            AskKind::Heartbeat => {
                let beat: Beat = unpack(body)?;
                if beat.heartbeat.from.node != *from {
                    let why = format!("a heartbeat of {} from {from}", beat.heartbeat.from.node);
                    return Err(Error::new(ErrorCode::RequestIncomplete, why));
                }
                Ok(pack(&self.answer_beat(&beat)))
            }
            AskKind::PullNews => self.answer_pull(body),
            AskKind::FindMap => {
                let question: FindMap = unpack(body)?;
                Ok(pack(&self.answer_find(&question).await))
            }
            AskKind::CanStop => {
                let question: AskStop = unpack(body)?;
                Ok(pack(&self.answer_stop(&question).await))
            }
            AskKind::Raft | AskKind::Forward | AskKind::Status | AskKind::Clients => {
                Err(Error::new(ErrorCode::Internal, "the question is not for control"))
            }
        }
    }

    /// Whether there is a map: certain, for a majority was asked whether this node still leads.
    async fn answer_find(&self, question: &FindMap) -> LeaderAnswer<FoundMap> {
        match self.faces.council.confirm().await {
            Ok(()) => {
                let council = self.faces.council.state();
                let council = council.borrow();
                let map = council.maps().get(&question.name).cloned();
                LeaderAnswer::Done(FoundMap { map, maps: council.maps_version() })
            }
            Err(failed) => self.not_confirmed(failed),
        }
    }

    async fn answer_stop(&self, question: &AskStop) -> LeaderAnswer<CanStop> {
        if let Err(failed) = self.faces.council.confirm().await {
            return self.not_confirmed(failed);
        }
        let council = self.faces.council.state().borrow().clone();
        let answer = {
            let stewardship = self.stewardship.lock();
            let Some(stewardship) = stewardship.as_ref() else {
                return LeaderAnswer::NotLeader(self.hint(None));
            };
            can_stop(&question.node, &council, &stewardship.evidence)
        };
        let serving = council.nodes().values().filter(|record| record.is_serving());
        let everybody_stops = serving.clone().all(|record| record.intent == Intent::Stop);
        let serves = |node: &NodeId| serving.clone().any(|record| record.member.id == *node);
        let votes = if everybody_stops { None } else { self.votes_without(&question.node, serves) };
        let missing = votes.filter(|(have, need)| have < need);
        let missing = missing.map(|(have, need)| BlockedBy::Quorum { have, need });
        LeaderAnswer::Done(with_blocker(answer, missing))
    }

    fn not_confirmed<T>(&self, failed: ProposeFailed) -> LeaderAnswer<T> {
        match failed {
            ProposeFailed::NotLeader(to) => LeaderAnswer::NotLeader(self.hint(to)),
            // Nothing was changed by the question.
            ProposeFailed::Unknown(_) | ProposeFailed::TooLarge(_) => {
                LeaderAnswer::NotLeader(self.hint(None))
            }
        }
    }
}

fn with_blocker(answer: CanStop, why: Option<BlockedBy>) -> CanStop {
    let Some(why) = why else { return answer };
    let blocker = Blocker { partition: None, why, estimate_ms: VOTERS_CHANGE_MS };
    match answer {
        CanStop::Yes { .. } => CanStop::No { blockers: vec![blocker] },
        CanStop::No { mut blockers } => {
            blockers.push(blocker);
            CanStop::No { blockers }
        }
    }
}
