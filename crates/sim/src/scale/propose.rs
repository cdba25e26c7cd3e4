//! What is proposed to the council: by the steward, and by primaries that obey it.

use std::collections::{BTreeMap, VecDeque};

use isogrid_cluster::council::{Change, ChangeKind, ChangeOutcome};
use isogrid_cluster::steward::Directive;
use isogrid_cluster::{Command, Millis, Outcome};
use isogrid_core::{PartitionEntry, PartitionId};

use super::report::FirstChange;
use super::settings::{PROPOSE_AGAIN_MS, SILENCE_MS};
use super::traffic::Work;
use super::world::ScaleWorld;

/// Who proposed a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Steward,
    Node(usize),
}

/// Commands on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Proposals {
    /// In the order in which they are committed.
    pub(super) queue: VecDeque<(Millis, Origin, Command)>,
    /// What each node proposes in this step, all in one command.
    drafts: BTreeMap<usize, Vec<Change>>,
}

impl Proposals {
    fn draft(
        &mut self,
        node: usize,
        partition: PartitionId,
        entry: &PartitionEntry,
        kind: ChangeKind,
    ) {
        let change = Change { partition, epoch: entry.epoch, ver: entry.ver, kind };
        self.drafts.entry(node).or_default().push(change);
    }

    /// What was drafted goes to the council.
    pub(super) fn send(&mut self, due: Millis) {
        for (node, changes) in std::mem::take(&mut self.drafts) {
            self.queue.push_back((due, Origin::Node(node), Command::Changes(changes)));
        }
    }
}

impl ScaleWorld {
    /// The council applies a command.
    pub(super) fn commit(&mut self, command: &Command) -> Outcome {
        let before = self.council.table().version();
        self.watch.begin();
        let outcome = self.council.apply(command);
        self.watch.end(Work::Command);
        let bytes = (self.encoding.command)(command);
        self.traffic.commands += 1;
        self.traffic.command_bytes += bytes as u64;
        self.traffic.command_bytes_max = self.traffic.command_bytes_max.max(bytes as u64);
        if let (Command::Changes(changes), Outcome::Changes(outcomes)) = (command, &outcome) {
            for (change, outcome) in changes.iter().zip(outcomes) {
                let is_done = matches!(outcome, ChangeOutcome::Done { .. });
                self.traffic.refused += u64::from(!is_done);
                let begins = is_done && matches!(change.kind, ChangeKind::AddLearner(_));
                self.moves += u64::from(begins);
            }
        }
        if self.first.is_none() && self.council.table().version() > before {
            let delta = self.council.delta_since(before);
            self.first = Some(FirstChange {
                entries: delta.entries.len(),
                command_bytes: bytes,
                delta_bytes: (self.encoding.delta)(&delta),
            });
        }
        outcome
    }

    /// What has reached the council by now is committed. Its answer brings a proposer what is new in the table.
    pub(super) fn commit_due(&mut self) {
        while self.proposals.queue.front().is_some_and(|(due, ..)| *due <= self.now) {
            let Some((_, origin, command)) = self.proposals.queue.pop_front() else { return };
            self.commit(&command);
            if let Origin::Node(node) = origin {
                self.traffic.proposals += 1;
                if self.nodes[node].is_up {
                    self.pull(node, None);
                }
            }
        }
    }

    /// Directives reach their primaries, which first ask for the table that the steward saw.
    pub(super) fn obey_due(&mut self) {
        while self.directives.front().is_some_and(|(due, _)| *due <= self.now) {
            let Some((_, directive)) = self.directives.pop_front() else { return };
            let primary = self.numbers[directive.primary()];
            if !self.nodes[primary].is_up {
                continue;
            }
            self.pull(primary, None);
            let partition = directive.partition();
            let Some(entry) = self.nodes[primary].leads(partition) else { continue };
            let kind = match directive {
                Directive::HandOver { to, .. } => ChangeKind::Handover { to },
                Directive::Vouch { member, .. } => ChangeKind::AddMember(member),
                Directive::Retire { member, .. } => {
                    let due = self.now.plus(self.settings.steward.lease_wait_ms());
                    self.removals.entry((partition, member)).or_insert(due);
                    continue;
                }
            };
            self.proposals.draft(primary, partition, entry, kind);
        }
    }

    /// A node has died: those it shares partitions with remove it, once it was silent and its leases have lapsed.
    pub(super) fn expect_removals(&mut self, number: usize) {
        let life = self.nodes[number].life();
        let due = self.now.plus(SILENCE_MS + self.settings.steward.lease_wait_ms());
        for (partition, entry) in self.council.table().iter() {
            if entry.in_sync.contains(&life) {
                self.removals.entry((partition, life.clone())).or_insert(due);
            }
        }
    }

    /// Members whose leases have lapsed are removed.
    pub(super) fn remove_due(&mut self) {
        let (council, nodes, numbers) = (&self.council, &self.nodes, &self.numbers);
        let (proposals, now) = (&mut self.proposals, self.now);
        self.removals.retain(|(partition, member), due| {
            if now < *due {
                return true;
            }
            let entry = council.entry(*partition);
            let Some(entry) = entry.filter(|entry| entry.in_sync.contains(member)) else {
                return false;
            };
            let Some(primary) = entry.primary.as_ref().map(|primary| numbers[primary]) else {
                return true;
            };
            // A primary that does not know yet that it is one comes back to this when it does.
            if let Some(known) = nodes[primary].leads(*partition)
                && known.in_sync.contains(member)
                && known.primary.as_ref() != Some(&member.node)
            {
                proposals.draft(
                    primary,
                    *partition,
                    known,
                    ChangeKind::RemoveMember(member.clone()),
                );
                *due = now.plus(PROPOSE_AGAIN_MS);
            }
            true
        });
    }

    /// Learners that have everything are proposed as members; copies that nobody lists any more are forgotten.
    pub(super) fn finish_copies(&mut self) {
        let (council, nodes, now) = (&self.council, &self.nodes, self.now);
        let (proposals, evidence) = (&mut self.proposals, &mut self.evidence);
        self.copies.under_way.retain(|(partition, target), copy| {
            let learner = nodes[*target].life();
            let entry = council.entry(*partition);
            if !entry.is_some_and(|entry| entry.learners.contains(&learner)) {
                if let Some(report) = evidence.partitions.get_mut(partition) {
                    report.followers.remove(&learner.node);
                }
                return false;
            }
            let may = copy.proposed_at.is_none_or(|at| now.since(at) >= PROPOSE_AGAIN_MS);
            if copy.bytes_left == 0
                && may
                && let Some(known) = nodes[copy.source].leads(*partition)
            {
                proposals.draft(copy.source, *partition, known, ChangeKind::AddMember(learner));
                copy.proposed_at = Some(now);
            }
            true
        });
    }
}
