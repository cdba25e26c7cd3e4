//! Partitions that nobody leads: a sound member does if there is one; otherwise suspects, or a new start, when the rules
//! and the loss policy allow it.

use std::collections::BTreeMap;

use isogrid_core::{MemberState, NodeId, PartitionEntry, PartitionId, Replica};

use super::Steward;
use super::evidence::Evidence;
use super::moves::clocks_off;
use super::orders::Orders;
use crate::council::{Authority, Change, ChangeKind, Command, Council, LossPolicy};
use crate::id::Millis;

/// Since when nobody leads a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovery {
    blocked: BTreeMap<PartitionId, Millis>,
}

impl Steward {
    /// Gives partitions that nobody leads somebody who does.
    pub(super) fn recover(
        &mut self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        orders: &mut Orders,
    ) {
        self.desired.look(now, council, &self.stability, &self.settings);
        let off = clocks_off(evidence);
        self.asked.look(council, self.desired.version(), off);
        let open: Vec<PartitionId> = self.asked.open.iter().copied().collect();
        let mut changes = Vec::new();
        for partition in open {
            let Some(entry) = council.entry(partition) else { continue };
            if is_led(council, partition, entry) {
                self.recovery.blocked.remove(&partition);
                continue;
            }
            let since = *self.recovery.blocked.entry(partition).or_insert(now);
            if self.asked.is_pending(now, partition, entry.ver, self.settings.repeat_ms) {
                continue;
            }
            let (epoch, ver) = (entry.epoch, entry.ver);
            if entry.in_sync.is_empty() {
                let Some(kind) = self.assignment(now, council, partition) else { continue };
                changes.push(Change { partition, epoch, ver, kind });
            } else if let Some(to) = self.successor(council, partition) {
                let kind = ChangeKind::Promote { to };
                changes.push(Change { partition, epoch, ver, kind });
            } else if let Some(command) = self.loss(now, council, evidence, (partition, since)) {
                orders.commands.push(command);
            } else {
                continue;
            }
            self.asked.ask(now, partition, ver, None);
        }
        self.batch(changes, orders);
    }

    /// The first holders of a partition, once all nodes that are expected have registered, or were waited for.
    fn assignment(
        &self,
        now: Millis,
        council: &Council,
        partition: PartitionId,
    ) -> Option<ChangeKind> {
        let is_joining = |state: MemberState| state == MemberState::Joining;
        let joining = council.nodes().values().any(|record| is_joining(record.member.state));
        if joining && now.since(self.since) < self.settings.stable_ms {
            return None;
        }
        let desired = self.desired.holders(partition).iter();
        let holders: Vec<Replica> = desired.filter_map(|node| council.serving(node)).collect();
        (!holders.is_empty()).then_some(ChangeKind::Assign(holders))
    }

    /// The member that leads a partition whose primary cannot: the most preferred one.
    fn successor(&self, council: &Council, partition: PartitionId) -> Option<NodeId> {
        let desired = self.desired.holders(partition);
        let place = |node: &NodeId| desired.iter().position(|at| at == node);
        let leaders = council.leaders(partition).map(|member| &member.node);
        leaders.min_by_key(|node| (place(node).unwrap_or(usize::MAX), *node)).cloned()
    }

    /// The step that can only be taken with a loss, once enough was waited for.
    fn loss(
        &self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        (partition, since): (PartitionId, Millis),
    ) -> Option<Command> {
        let entry = council.entry(partition)?;
        let (epoch, ver) = (entry.epoch, entry.ver);
        let policy = council.loss_policy();
        let silent: Vec<&Replica> = entry
            .in_sync
            .iter()
            .filter(|member| council.reported(partition, member).is_none())
            .collect();
        let promote = |authority| Command::PromoteSuspect { partition, epoch, ver, authority };
        if silent.is_empty() {
            return Some(promote(Authority::AllReported));
        }
        // Nobody waits for what was in memory when its process has ended.
        let all_gone = entry.in_sync.iter().all(|m| council.is_gone(partition, &m.node));
        let waited = all_gone || now.since(since) >= self.settings.recovery_wait_ms;
        let leases_lapsed =
            silent.iter().all(|member| self.lease_lapsed(now, council, evidence, (member, since)));
        if silent.len() < entry.in_sync.len() {
            let suspects = silent.iter().all(|m| council.is_suspect(partition, &m.node));
            let may = suspects || (policy != LossPolicy::Block && leases_lapsed);
            return (may && waited).then(|| promote(Authority::WaitPassed));
        }
        let may = match policy {
            LossPolicy::Block => false,
            LossPolicy::Reset => waited && leases_lapsed,
            LossPolicy::Available => leases_lapsed,
        };
        let to = self.fresh_start(council, evidence, partition).filter(|_| may)?;
        let known = evidence.partitions.get(&partition).map(|report| report.committed);
        Some(Command::Reset { partition, epoch, ver, to, known, operator: false })
    }

    /// Whether a member reads under no lease of the council any more. A node that is down, and a life that has ended, gets
    /// none; what was answered before counts from when nobody led the partition any more, from the leader's last answer,
    /// and, for what the last leader answered, from when this one took over.
    fn lease_lapsed(
        &self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        (member, since): (&Replica, Millis),
    ) -> bool {
        let mut last = since.max(self.since);
        if council.serving(&member.node).is_none() {
            last = last.max(evidence.answered.get(&member.node).copied().unwrap_or_default());
        }
        now.since(last) >= self.settings.lease_wait_ms()
    }

    /// Who starts a partition anew: the learner that has the most, else the most preferred node that is up.
    fn fresh_start(
        &self,
        council: &Council,
        evidence: &Evidence,
        partition: PartitionId,
    ) -> Option<NodeId> {
        let entry = council.entry(partition)?;
        let report = evidence.partitions.get(&partition);
        let complete = entry.learners.iter().filter_map(|learner| {
            let follower = report?.followers.get(&learner.node)?;
            (follower.is_complete && council.is_live(learner))
                .then_some((follower.matched, learner))
        });
        let furthest = complete.max_by_key(|(matched, learner)| (*matched, learner.node.clone()));
        if let Some((_, learner)) = furthest {
            return Some(learner.node.clone());
        }
        let up = |node: &&NodeId| council.serving(node).is_some();
        let desired = self.desired.holders(partition).iter().find(up);
        desired.or_else(|| council.nodes().keys().find(up)).cloned()
    }
}

/// Whether the recorded primary can lead.
fn is_led(council: &Council, partition: PartitionId, entry: &PartitionEntry) -> bool {
    let leads = |member: &&Replica| entry.primary.as_ref() == Some(&member.node);
    entry.in_sync.iter().find(leads).is_some_and(|member| council.can_lead(partition, member))
}
