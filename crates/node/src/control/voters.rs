//! Who votes in the council: the leader looks each second and changes it as nodes come and go for good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_cluster::bootstrap::{Elector, STABLE_MS_MIN, next_voters};
use isogrid_cluster::council::Intent;
use isogrid_cluster::{Council, VoterId};
use isogrid_core::{Incarnation, NodeId};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::shared::Control;

/// How long a node must be up at the most before it votes beside the only voter there is.
const STABLE_AT_FIRST_MAX: Duration = Duration::from_millis(500);

/// Since when each node has been up and in contact, with this life and this voter.
#[derive(Default)]
struct Upness(BTreeMap<NodeId, (Incarnation, VoterId, Instant)>);

pub(super) async fn run(control: Arc<Control>) {
    let mut up = Upness::default();
    let mut ticks = interval(control.settings.pace.voters);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        up.look(&control);
        let leads = control.stewardship.lock().is_some();
        if !leads || !control.faces.council.has_quorum() {
            continue;
        }
        let council = Arc::clone(&control.faces.council.state().borrow());
        let voters = control.faces.council.voters();
        let electors = up.electors(&control, &council, &voters);
        let Some(next) = better(&voters, &electors, &council) else { continue };
        info!(from = ?voters, to = ?next, "the council's voters change");
        if let Err(error) = control.faces.council.change_voters(next).await {
            warn!(%error, "the council's voters could not be changed yet");
        }
    }
}

/// The voters that the council should have; `None` to leave them as they are.
///
/// Nodes that leave, or were forgotten, vote no more once others can; the only voter of all also hands its vote on when
/// its node is about to restart, for nothing could be decided meanwhile.
fn better(
    voters: &BTreeMap<VoterId, NodeId>,
    electors: &[Elector],
    council: &Council,
) -> Option<BTreeMap<VoterId, NodeId>> {
    let intent = |node: &NodeId| council.node(node).map(|record| record.intent);
    let is_only = voters.len() == 1;
    let stays = |node: &NodeId| match intent(node) {
        Some(Intent::Restart) => !is_only,
        Some(Intent::Stay | Intent::Drain | Intent::Stop) => true,
        Some(Intent::Leave) | None => false,
    };
    let leave = voters.iter().filter(|(_, node)| !stays(node)).map(|(voter, _)| *voter).collect();
    next_voters(voters, &leave, electors)
}

impl Upness {
    fn look(&mut self, control: &Control) {
        let now = Instant::now();
        let members = control.faces.gossip.members();
        let members = members.borrow();
        let live = members.values().filter(|seen| seen.is_live && seen.news.cluster.is_some());
        let own = (control.node(), control.settings.member.incarnation);
        let mut found: BTreeMap<NodeId, (Incarnation, VoterId)> = live
            .filter(|seen| seen.news.cluster == control.cluster())
            .filter_map(|seen| {
                let member = &seen.news.member;
                Some((member.id.clone(), (member.incarnation, seen.news.voter?)))
            })
            .collect();
        found.insert(own.0.clone(), (own.1, control.faces.council.voter()));
        self.0.retain(|node, (life, voter, _)| found.get(node) == Some(&(*life, *voter)));
        for (node, (life, voter)) in found {
            self.0.entry(node).or_insert((life, voter, now));
        }
    }

    /// The nodes that could vote: they serve, and nobody wants them to go.
    fn electors(
        &self,
        control: &Control,
        council: &Council,
        voters: &BTreeMap<VoterId, NodeId>,
    ) -> Vec<Elector> {
        // Until the council has spread, the loss of its only voter is the end of it: nobody is watched for long.
        let stable = control.settings.pace.stable;
        let stable = if voters.len() == 1 { stable.min(STABLE_AT_FIRST_MAX) } else { stable };
        let mut electors = Vec::new();
        for (node, (life, voter, since)) in &self.0 {
            let Some(record) = council.node(node) else { continue };
            let stays = matches!(record.intent, Intent::Stay | Intent::Drain);
            if !record.is_serving() || record.incarnation() != *life || !stays {
                continue;
            }
            // Its vote was lost with its log: until the new one takes its place, one more loss may be the end of the council.
            let lost_its_vote = voters.iter().any(|(known, owner)| owner == node && known != voter);
            // What is configured stands for the usual time.
            let is_stable = lost_its_vote || since.elapsed() >= stable;
            electors.push(Elector {
                node: node.clone(),
                voter: *voter,
                zone: record.member.zone.clone(),
                stable_ms: if is_stable { STABLE_MS_MIN } else { 0 },
            });
        }
        electors
    }
}

#[cfg(test)]
mod tests {
    use isogrid_cluster::council::{CreateCluster, LossPolicy, StorageProof};
    use isogrid_cluster::{BootId, ClusterId, Command, StorageId};
    use isogrid_core::Member;

    use super::*;

    fn council(intents: &[(&str, Intent)]) -> Council {
        let mut council = Council::new();
        council.apply(&Command::CreateCluster(CreateCluster {
            id: ClusterId(1),
            partitions: 4,
            copies: 2,
            loss_policy: LossPolicy::Block,
            members: Vec::new(),
        }));
        for (number, (name, intent)) in intents.iter().enumerate() {
            let storage = StorageProof {
                storage_id: StorageId(number as u128),
                incarnations: vec![Incarnation(1)],
                boot_id: BootId(1),
                survives_power_loss: false,
                is_intact: true,
                is_volatile: true,
            };
            council.apply(&Command::Register { member: Member::new(name), storage });
            council.apply(&Command::SetIntent { node: NodeId::new(name), intent: *intent });
        }
        council
    }

    fn voters(names: &[&str]) -> BTreeMap<VoterId, NodeId> {
        names.iter().map(|name| (voter(name), NodeId::new(name))).collect()
    }

    fn voter(name: &str) -> VoterId {
        VoterId(u64::from(name.as_bytes()[0]))
    }

    fn electors(names: &[&str]) -> Vec<Elector> {
        let elector = |name: &&str| Elector {
            node: NodeId::new(name),
            voter: voter(name),
            zone: None,
            stable_ms: STABLE_MS_MIN,
        };
        names.iter().map(elector).collect()
    }

    #[test]
    fn who_leaves_hands_its_vote_on_once_another_node_can_take_it() {
        let all = ["a", "b", "c", "d"].map(|name| (name, Intent::Stay));
        let mut leaving = all;
        leaving[0].1 = Intent::Leave;
        let abc = voters(&["a", "b", "c"]);
        assert_eq!(better(&abc, &electors(&["a", "b", "c", "d"]), &council(&all)), None);
        let next = better(&abc, &electors(&["b", "c", "d"]), &council(&leaving));
        assert_eq!(next, Some(voters(&["b", "c", "d"])));
        let next = better(&abc, &electors(&["b", "c"]), &council(&leaving));
        assert_eq!(next, None, "two tolerate no more than one");
        let forgotten = council(&[("b", Intent::Stay), ("c", Intent::Stay), ("d", Intent::Stay)]);
        let next = better(&abc, &electors(&["b", "c", "d"]), &forgotten);
        assert_eq!(next, Some(voters(&["b", "c", "d"])));
    }

    #[test]
    fn only_the_last_voter_hands_on_its_vote_for_a_restart() {
        let council = council(&[("a", Intent::Restart), ("b", Intent::Stay), ("c", Intent::Stay)]);
        let next = better(&voters(&["a"]), &electors(&["b"]), &council);
        assert_eq!(next, Some(voters(&["b"])));
        assert_eq!(better(&voters(&["a"]), &[], &council), None, "there is nobody else");
        assert_eq!(better(&voters(&["a", "b", "c"]), &electors(&["b", "c"]), &council), None);
    }
}
