//! Compare-and-set changes of single entries, in batches: each is applied or refused on its own.

use std::collections::BTreeSet;

use isogrid_core::{Epoch, NodeId, PartitionEntry, PartitionId, Replica};

use super::command::{Change, ChangeKind};
use super::draft::{Draft, next};
use super::outcome::{ChangeOutcome, Outcome, Refusal};
use super::state::Council;

impl Council {
    pub(super) fn change(&mut self, changes: &[Change]) -> Result<Outcome, Refusal> {
        let mut draft = Draft::new(self);
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(match draft.change(change) {
                Ok(()) => {
                    let entry = draft.entry(change.partition).expect("it was just changed");
                    ChangeOutcome::Done { epoch: entry.epoch, ver: entry.ver }
                }
                Err(why) => ChangeOutcome::Refused(why),
            });
        }
        let drafted = draft.finish()?;
        self.accept(drafted);
        Ok(Outcome::Changes(outcomes))
    }
}

impl Draft<'_> {
    /// The entry, if it still is the one the proposer knows.
    pub(super) fn compared(
        &self,
        partition: PartitionId,
        (epoch, ver): (Epoch, u32),
    ) -> Result<&PartitionEntry, Refusal> {
        let entry = self.entry(partition).ok_or(Refusal::Unknown)?;
        if (entry.epoch, entry.ver) != (epoch, ver) && self.council().rules.compare_and_set {
            return Err(Refusal::Moved { epoch: entry.epoch, ver: entry.ver });
        }
        // At the end of numbers nothing can change any more.
        if entry.ver >= u32::MAX - 8 || entry.epoch.0 >= u64::MAX - 8 {
            return Err(Refusal::OutOfBounds);
        }
        Ok(entry)
    }

    fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        let partition = change.partition;
        let is_addition = matches!(change.kind, ChangeKind::AddMember(_));
        let ver = match self.entry(partition) {
            // Rule R5 switched off: an addition is for whatever life the node has when it arrives.
            Some(entry) if is_addition && !self.council().rules.addition_checks_incarnation => {
                entry.ver
            }
            _ => change.ver,
        };
        let entry = self.compared(partition, (change.epoch, ver))?;
        match &change.kind {
            ChangeKind::Assign(replicas) => {
                self.check_assignment(entry, replicas)?;
                let entry = self.edit(partition);
                entry.epoch = next(entry.epoch);
                entry.primary = replicas.first().map(|replica| replica.node.clone());
                entry.in_sync = replicas.clone();
            }
            ChangeKind::AddMember(replica) => self.add_member(partition, replica)?,
            ChangeKind::RemoveMember(replica) => {
                self.check_removal(entry, replica)?;
                self.edit(partition).in_sync.retain(|member| member.node != replica.node);
                self.forget(partition, &replica.node);
            }
            ChangeKind::AddLearner(replica) => {
                if entry.in_sync.is_empty() {
                    return Err(Refusal::NotListed);
                }
                if entry.holders().any(|holder| holder.node == replica.node) {
                    return Err(Refusal::AlreadyListed);
                }
                if !self.council().is_live(replica) {
                    return Err(Refusal::NotCurrent);
                }
                self.edit(partition).learners.push(replica.clone());
            }
            ChangeKind::DropLearner(replica) => {
                if !entry.learners.contains(replica) {
                    return Err(Refusal::NotListed);
                }
                self.edit(partition).learners.retain(|learner| learner != replica);
            }
            ChangeKind::Promote { to } => {
                let leader = self.check_leader(partition, entry, to)?;
                self.lead(partition, &leader);
            }
            ChangeKind::Handover { to } => match self.check_leader(partition, entry, to) {
                Ok(leader) => self.lead(partition, &leader),
                Err(why) => {
                    // Its primary takes nothing before it has read the outcome: so that there is one to read, the entry
                    // gets a new `ver`, which no proposal made so far can meet.
                    self.edit(partition);
                    return Err(why);
                }
            },
        }
        Ok(())
    }

    fn check_assignment(&self, entry: &PartitionEntry, to: &[Replica]) -> Result<(), Refusal> {
        if !entry.in_sync.is_empty() || to.is_empty() {
            return Err(Refusal::AlreadyListed);
        }
        let mut seen = BTreeSet::new();
        if !to.iter().all(|replica| seen.insert(&replica.node)) {
            return Err(Refusal::AlreadyListed);
        }
        let live = to.iter().all(|replica| self.council().is_live(replica));
        if live { Ok(()) } else { Err(Refusal::NotCurrent) }
    }

    /// A learner has caught up, or a suspect's log was found to match: the addition is for the life it names (R5).
    fn add_member(&mut self, partition: PartitionId, replica: &Replica) -> Result<(), Refusal> {
        let entry = self.entry(partition).ok_or(Refusal::Unknown)?;
        if entry.primary.is_none() {
            return Err(Refusal::Primary);
        }
        let mut added = replica.clone();
        if self.council().rules.addition_checks_incarnation {
            if !self.council().is_live(replica) {
                return Err(Refusal::NotCurrent);
            }
        } else {
            let present = self.council().incarnation(&replica.node).ok_or(Refusal::Unknown)?;
            added.incarnation = present;
        }
        if entry.in_sync.contains(&added) {
            // Also when it is no suspect any more, because the question came late: its primary proposes nothing else before
            // it has read an outcome.
            self.edit(partition);
            self.forget(partition, &added.node);
            return Ok(());
        }
        if !entry.learners.iter().any(|learner| learner.node == added.node) {
            return Err(Refusal::NotListed);
        }
        let entry = self.edit(partition);
        entry.learners.retain(|learner| learner.node != added.node);
        entry.in_sync.push(added);
        Ok(())
    }

    fn check_removal(&self, entry: &PartitionEntry, replica: &Replica) -> Result<(), Refusal> {
        let exact = self.council().rules.compare_and_set;
        let is_meant = |member: &Replica| {
            member.node == replica.node && (!exact || member.incarnation == replica.incarnation)
        };
        if !entry.in_sync.iter().any(is_meant) {
            return Err(Refusal::NotListed);
        }
        if entry.in_sync.len() == 1 {
            return Err(Refusal::LastMember);
        }
        match &entry.primary {
            None => Err(Refusal::Primary),
            Some(primary) if *primary == replica.node => Err(Refusal::Primary),
            Some(_) => Ok(()),
        }
    }

    fn check_leader(
        &self,
        partition: PartitionId,
        entry: &PartitionEntry,
        to: &NodeId,
    ) -> Result<Replica, Refusal> {
        if entry.primary.as_ref() == Some(to) {
            return Err(Refusal::AlreadyListed);
        }
        let only_in_sync = self.council().rules.promote_only_in_sync;
        let mut listed =
            entry.holders().take(if only_in_sync { entry.in_sync.len() } else { usize::MAX });
        let leader = listed.find(|member| member.node == *to).ok_or(Refusal::NotListed)?;
        if self.is_suspect(partition, to) {
            return Err(Refusal::Suspect);
        }
        if !self.can_lead(partition, leader) {
            return Err(Refusal::NotCurrent);
        }
        Ok(leader.clone())
    }
}
