//! Finds the council's leader and asks it until there is an answer. Whoever is asked and does not lead says who does, or
//! somebody else is asked.

use std::time::Duration;

use bytes::Bytes;
use isogrid_cluster::{Command, Outcome};
use isogrid_core::{Error, ErrorCode, NodeId, Outcome as Effect, Result};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::news::Leader;
use super::question::{LeaderAnswer, pack, unpack};
use super::shared::Control;
use crate::identity::random_u128;
use crate::peers::message::{AskFailed, AskKind};
use isogrid_council::ProposeFailed;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// What came of one try.
enum Try<T> {
    Done(T),
    /// Certainly nothing happened.
    Again(String),
    /// It may have happened.
    Unknown(String),
    Impossible(String),
}

impl Control {
    /// Proposes a command to the council's leader, again and again until it has an outcome. A command may so be applied
    /// twice: all of them are made for that.
    pub(super) async fn propose(&self, command: &Command, patience: Duration) -> Result<Outcome> {
        self.ask_leader(AskKind::Propose, pack(command), patience).await
    }

    /// Asks the council's leader.
    pub(super) async fn ask_leader<T: DeserializeOwned>(
        &self,
        kind: AskKind,
        body: Bytes,
        patience: Duration,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut pause = self.settings.pace.retry;
        let mut effect = Effect::NotApplied;
        let mut why = "nobody is known to lead".to_owned();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if let Some(to) = self.leader_to_ask() {
                match self.try_to_ask(&to, kind, &body, left.min(self.settings.pace.answer)).await {
                    Try::Done(answer) => return Ok(answer),
                    Try::Impossible(why) => {
                        return Err(Error::new(ErrorCode::ChangeRefused, why).with_outcome(effect));
                    }
                    Try::Again(reason) => why = format!("{to}: {reason}"),
                    Try::Unknown(reason) => {
                        effect = Effect::Unknown;
                        why = format!("{to}: {reason}");
                    }
                }
                debug!(?kind, %why, "the council's leader did not answer");
            }
            sleep(jittered(pause).min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let code = match self.cluster() {
            Some(_) => ErrorCode::NoQuorum,
            None => ErrorCode::StillJoining,
        };
        Err(Error::new(code, why).with_outcome(effect))
    }

    async fn try_to_ask<T: DeserializeOwned>(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: &Bytes,
        patience: Duration,
    ) -> Try<T> {
        let asked = if to == self.node() {
            let answer = timeout(patience, self.answer(self.node(), kind, body)).await;
            answer
                .map_err(|_| AskFailed::Unknown("no answer in time".to_owned()))
                .and_then(|answer| answer.map_err(AskFailed::Refused))
        } else {
            self.faces.peers.ask(to, kind, body.clone(), patience).await
        };
        let failed = match asked.as_deref().map(unpack::<LeaderAnswer<T>>) {
            Ok(Ok(LeaderAnswer::Done(answer))) => {
                return Try::Done(answer);
            }
            Ok(Ok(LeaderAnswer::Impossible(why))) => return Try::Impossible(why),
            Ok(Ok(LeaderAnswer::Unknown(why))) => return Try::Unknown(why),
            Ok(Ok(LeaderAnswer::NotLeader(hint))) => {
                self.not_leader(to, hint);
                return Try::Again("it does not lead".to_owned());
            }
            Ok(Err(error)) => return Try::Unknown(error.to_string()),
            Err(failed) => failed,
        };
        self.not_leader(to, None);
        match failed {
            AskFailed::Unknown(_) => Try::Unknown(failed.to_string()),
            AskFailed::Unreachable(_) | AskFailed::Refused(_) => Try::Again(failed.to_string()),
        }
    }

    /// Whom to ask: the detour, or who is known to lead.
    pub(super) fn leader_to_ask(&self) -> Option<NodeId> {
        let detour = self.own.lock().detour.clone();
        detour
            .or_else(|| self.now_known().leader.as_ref().map(|leader| leader.node.clone()))
            .or_else(|| {
                self.take_detour(None);
                self.own.lock().detour.clone()
            })
    }

    /// That one did not lead, or did not answer.
    pub(super) fn not_leader(&self, asked: &NodeId, hint: Option<Leader>) {
        if let Some(leader) = &hint {
            self.hear_leader(leader);
        }
        match hint.filter(|leader| leader.node != *asked) {
            // Two voters may lead in one term, one after the other: then the term alone does not tell them apart.
            Some(leader) => self.own.lock().detour = Some(leader.node),
            None => self.take_detour(Some(asked)),
        }
    }

    /// Asks somebody else next time: who leads as far as this node knows, unless that is who was asked, or any member.
    fn take_detour(&self, asked: Option<&NodeId>) {
        let known = self.now_known().leader.as_ref().map(|leader| leader.node.clone());
        if known.as_ref() != asked {
            self.own.lock().detour = known;
            return;
        }
        let members = self.members_to_ask();
        let others: Vec<NodeId> = members.into_iter().filter(|node| Some(node) != asked).collect();
        let chosen = (random_u128() % others.len().max(1) as u128) as usize;
        self.own.lock().detour = others.get(chosen).cloned();
    }

    /// Answers a question for the council's leader, or says who leads.
    pub(super) async fn answer_proposal(&self, command: Command) -> LeaderAnswer<Outcome> {
        match self.faces.council.propose(command).await {
            Ok(outcome) => {
                self.wake.steward.notify_one();
                LeaderAnswer::Done(outcome)
            }
            Err(ProposeFailed::NotLeader(to)) => LeaderAnswer::NotLeader(self.hint(to)),
            Err(ProposeFailed::Unknown(why)) => LeaderAnswer::Unknown(why),
            Err(ProposeFailed::TooLarge(bytes)) => {
                LeaderAnswer::Impossible(format!("the command has {bytes} bytes"))
            }
        }
    }

    /// Who leads, by the own voter or by what was heard.
    pub(super) fn hint(&self, to: Option<NodeId>) -> Option<Leader> {
        let leading = self.faces.council.leader().borrow().clone();
        let own = leading.filter(|leader| !leader.is_me || self.faces.council.has_quorum());
        let own = own.map(|leader| Leader { term: leader.term, node: leader.node });
        let heard = self.now_known().leader.clone();
        let best = own.max(heard);
        match (to, best) {
            (Some(node), Some(best)) => Some(Leader { term: best.term, node }),
            (_, best) => best,
        }
    }
}

/// About so long: between half of it and half as much again, so that nodes do not all come at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let share = (random_u128() % 1_000) as f64 / 1_000.0;
    pause.mul_f64(0.5 + share)
}
