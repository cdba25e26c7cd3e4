//! What can only go on with a loss: suspects without a sound member, and partitions that nobody holds any more. Every
//! such step opens a loss generation and is written in the ledger.

use isogrid_core::{Epoch, Incarnation, LogPosition, NodeId, PartitionEntry, PartitionId, Replica};

use super::command::Authority;
use super::draft::{Draft, next};
use super::ledger::{LossCause, LossRecord};
use super::outcome::{Outcome, Refusal};
use super::partition::{PartitionFacts, Report};
use super::state::{Council, LossPolicy};

/// A loss that is about to be declared.
struct Loss {
    partition: PartitionId,
    leader: Replica,
    kept: Option<LogPosition>,
    known: Option<LogPosition>,
    cause: LossCause,
}

impl Council {
    pub(super) fn report_positions(
        &mut self,
        node: &NodeId,
        incarnation: Incarnation,
        positions: &[(PartitionId, LogPosition)],
    ) -> Result<Outcome, Refusal> {
        if self.incarnation(node) != Some(incarnation) {
            return Err(Refusal::NotCurrent);
        }
        let mut changed = false;
        for (partition, position) in positions {
            let Some(facts) = self.facts.get_mut(partition) else { continue };
            if facts.suspects.contains(node) {
                let report = Report { incarnation, position: *position };
                changed |= facts.reports.insert(node.clone(), report) != Some(report);
            }
        }
        Ok(if changed { Outcome::Applied } else { Outcome::Unchanged })
    }

    pub(super) fn promote_suspect(
        &mut self,
        partition: PartitionId,
        known: (Epoch, u32),
        authority: Authority,
    ) -> Result<Outcome, Refusal> {
        let mut draft = Draft::new(self);
        let entry = draft.compared(partition, known)?;
        if entry.in_sync.iter().any(|member| self.can_lead(partition, member)) {
            return Err(Refusal::SoundMember);
        }
        let facts = draft.facts(partition).cloned().unwrap_or_default();
        let mut reported = Vec::new();
        for member in &entry.in_sync {
            match self.reported(partition, member) {
                Some(position) => reported.push((position, member.clone())),
                None => self.check_given_up(&facts, member, authority)?,
            }
        }
        let furthest = if self.rules.furthest_suspect {
            // Of equals the first by name.
            reported.iter().max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.node.cmp(&a.1.node)))
        } else {
            reported.first()
        };
        let (kept, leader) = furthest.cloned().ok_or(Refusal::NotAllReported)?;
        let cause = match authority {
            Authority::AllReported | Authority::WaitPassed => LossCause::SuspectPromoted,
            Authority::Operator => LossCause::Operator,
        };
        draft.declare(Loss { partition, leader, kept: Some(kept), known: None, cause });
        let drafted = draft.finish()?;
        self.accept(drafted);
        Ok(Outcome::Applied)
    }

    /// How far the log of a suspect reaches, if its present life has said so and serves.
    pub fn reported(&self, partition: PartitionId, member: &Replica) -> Option<LogPosition> {
        let report = self.facts.get(&partition)?.reports.get(&member.node)?;
        (report.incarnation == member.incarnation && self.is_live(member))
            .then_some(report.position)
    }

    /// Whether a member that has not reported may be given up.
    fn check_given_up(
        &self,
        facts: &PartitionFacts,
        member: &Replica,
        authority: Authority,
    ) -> Result<(), Refusal> {
        let suspect = facts.suspects.contains(&member.node);
        match authority {
            Authority::AllReported if suspect => Err(Refusal::NotAllReported),
            Authority::WaitPassed if suspect => Ok(()),
            Authority::WaitPassed if self.loss_policy() != LossPolicy::Block => {
                if self.is_live(member) { Err(Refusal::SoundMember) } else { Ok(()) }
            }
            Authority::AllReported | Authority::WaitPassed => Err(Refusal::SoundMember),
            Authority::Operator => Ok(()),
        }
    }

    pub(super) fn reset(
        &mut self,
        partition: PartitionId,
        at: (Epoch, u32),
        to: &NodeId,
        known: Option<LogPosition>,
        operator: bool,
    ) -> Result<Outcome, Refusal> {
        let mut draft = Draft::new(self);
        let entry = draft.compared(partition, at)?;
        if !operator && self.loss_policy() == LossPolicy::Block {
            return Err(Refusal::LossPolicy);
        }
        if entry.in_sync.is_empty() {
            return Err(Refusal::NotListed);
        }
        if entry.in_sync.iter().any(|member| self.can_lead(partition, member)) {
            return Err(Refusal::SoundMember);
        }
        let leader = self.serving(to).ok_or(Refusal::NotCurrent)?;
        let cause = if operator { LossCause::Operator } else { LossCause::Policy };
        draft.declare(Loss { partition, leader, kept: None, known, cause });
        let drafted = draft.finish()?;
        self.accept(drafted);
        Ok(Outcome::Applied)
    }
}

impl Draft<'_> {
    /// The leader goes on alone in a new epoch and loss generation; whoever else is up may catch up with it.
    fn declare(&mut self, loss: Loss) {
        let Loss { partition, leader, kept, known, cause } = loss;
        let council = self.council();
        let told = council.rules.losses_are_told;
        let entry: &mut PartitionEntry = self.edit(partition);
        let others = std::mem::take(&mut entry.in_sync);
        let holders = others.iter().chain(&entry.learners);
        let catching_up: Vec<Replica> = holders
            .filter(|holder| holder.node != leader.node && council.is_live(holder))
            .cloned()
            .collect();
        entry.learners = catching_up;
        entry.epoch = next(entry.epoch);
        entry.primary = Some(leader.node.clone());
        entry.in_sync = vec![leader.clone()];
        entry.loss_generation = entry.loss_generation.saturating_add(u32::from(told));
        let record = LossRecord {
            number: 0,
            partition,
            loss_generation: entry.loss_generation,
            epoch: entry.epoch,
            kept,
            known,
            given_up: others.into_iter().filter(|member| *member != leader).collect(),
            cause,
        };
        *self.edit_facts(partition) = PartitionFacts::default();
        if told {
            self.lose(record);
        }
    }
}
