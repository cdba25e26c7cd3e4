//! Which nodes are declared down. A suspicion is evidence; it takes several, and others who hear from the node speak
//! against it. And never too many at once (docs/adr/0015-a-third-rounded-up.md): a fault of the network must not fence the cluster.

use std::collections::{BTreeMap, VecDeque};

use isogrid_core::NodeId;

use super::evidence::Evidence;
use super::orders::Orders;
use super::{Steward, StewardSettings};
use crate::council::{Command, Council};
use crate::id::Millis;

/// Who was fenced lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Fencing {
    /// Fenced within the span, in the order of time.
    recent: VecDeque<(Millis, NodeId)>,
    /// When each command was last given.
    asked: BTreeMap<NodeId, Millis>,
}

impl Steward {
    /// Declares down who is dead by the word of enough others.
    pub(super) fn fence(
        &mut self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        orders: &mut Orders,
    ) {
        let settings = &self.settings;
        let fencing = &mut self.fencing;
        while fencing.recent.front().is_some_and(|(at, _)| now.since(*at) >= settings.fence_span_ms)
        {
            fencing.recent.pop_front();
        }
        fencing.asked.retain(|node, _| council.serving(node).is_some());
        let serving = council.nodes().values().filter(|record| record.is_serving()).count();
        let fenced_and_down = |(_, node): &&(Millis, NodeId)| council.serving(node).is_none();
        let fenced = fencing.recent.iter().filter(fenced_and_down).count();
        let allowed = fenced_max(serving + fenced);
        for node in evidence.suspicions.keys() {
            let Some(replica) = council.serving(node) else { continue };
            if !is_dead(now, node, council, evidence, settings) {
                continue;
            }
            let is_counted = fencing.recent.iter().any(|(_, counted)| counted == node);
            if !is_counted && fencing.recent.len() >= allowed && !evidence.fence_without_limit {
                continue;
            }
            let asked = fencing.asked.get(node);
            if asked.is_some_and(|at| now.since(*at) < settings.repeat_ms) {
                continue;
            }
            if !is_counted {
                fencing.recent.push_back((now, node.clone()));
            }
            fencing.asked.insert(node.clone(), now);
            let incarnation = replica.incarnation;
            orders.commands.push(Command::NodeDown { node: node.clone(), incarnation });
        }
    }
}

/// How many of so many nodes that served when the span began may be fenced within it: a third, rounded up, but always fewer
/// than half of them; and one in the smallest clusters.
pub(super) fn fenced_max(nodes: usize) -> usize {
    let minority = nodes.saturating_sub(1) / 2;
    nodes.div_ceil(3).min(minority).max(1)
}

/// Whether enough serving nodes consider a node dead, more than have just heard from it. Enough is two, or all others
/// where there are fewer.
fn is_dead(
    now: Millis,
    node: &NodeId,
    council: &Council,
    evidence: &Evidence,
    settings: &StewardSettings,
) -> bool {
    let is_other = |other: &NodeId| other != node && council.serving(other).is_some();
    let others = council.nodes().keys().filter(|other| is_other(other)).count();
    let Some(suspicions) = evidence.suspicions.get(node) else { return false };
    let against = suspicions
        .iter()
        .filter(|(other, since)| is_other(other) && now.since(**since) >= settings.suspicion_ms)
        .count();
    let contacts = evidence.contacts.get(node);
    let has_heard = |(other, at): &(&NodeId, &Millis)| {
        is_other(other) && !suspicions.contains_key(*other) && now.since(**at) < settings.contact_ms
    };
    let in_favour = contacts.map_or(0, |contacts| contacts.iter().filter(has_heard).count());
    others > 0 && against >= settings.reporters_min.min(others) && against > in_favour
}
