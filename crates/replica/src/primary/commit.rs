//! How far the log is committed, and who waits for it.

use isogrid_core::{Durability, LogPosition, version_of};

use super::target::{Standing, Target};
use super::{Parked, Primary, Waiting};
use crate::effects::{Effects, ProposedChange, Receipt, Refusal, Response};
use crate::notice::Notice;
use crate::state::State;
use crate::time::Now;

impl Primary {
    /// Whether the primary waits for a target: in-sync members, and learners whose addition is proposed (R6). A member
    /// whose removal is proposed counts until the removal is committed (R3).
    pub(super) fn is_required(&self, state: &State, target: &Target) -> bool {
        let rules = &state.settings.rules;
        let is_leaving = self.pending.as_ref().is_some_and(
            |pending| matches!(&pending.change, ProposedChange::Remove(gone) if *gone == target.replica),
        );
        match target.standing {
            Standing::InSync => rules.shrink_before_ack || !is_leaving,
            Standing::Joining => rules.count_additions,
            Standing::Learner => false,
        }
    }

    /// Commits what every required replica holds, the primary itself included, and answers who waited for it. Entries of
    /// earlier epochs are committed only together with the first of this one (R9).
    pub(super) fn advance(&mut self, state: &mut State, now: Now, effects: &mut dyn Effects) {
        let required = self.targets.iter().filter(|target| self.is_required(state, target));
        let commit = required.map(|target| target.matched).fold(state.counted(), u64::min);
        let is_barred = commit < self.barrier && state.settings.rules.barrier;
        if commit <= state.commit || is_barred {
            return;
        }
        state.commit = commit;
        state.store.settle(version_of(commit));
        state.sessions.settle(commit);
        self.removals.settle(commit);
        if !self.is_open && commit >= self.barrier {
            self.is_open = true;
            effects.notice(Notice::Opened { epoch: self.epoch });
            effects.resume();
        }
        self.answer_writes(state, effects);
        self.release_reads(state, now, effects);
        self.send_pieces(state, effects);
    }

    fn answer_writes(&mut self, state: &State, effects: &mut dyn Effects) {
        let in_sync = state.view.in_sync.len().min(usize::from(u8::MAX)) as u8;
        let receipt = self.receipt(state, LogPosition::START, in_sync);
        while self.waiting.front().is_some_and(|write| write.seq <= state.commit) {
            let Some(write) = self.waiting.pop_front() else { break };
            let response = if in_sync < write.min_in_sync {
                Response::Refused(Refusal::NotEnoughReplicasLeft)
            } else {
                // Nothing of an earlier epoch waits here, but for retries that found their entry.
                let position = if write.seq >= self.barrier {
                    LogPosition { epoch: self.epoch, seq: write.seq }
                } else {
                    let position = state.log.position_of(write.seq);
                    position.expect("what was just committed is in the window")
                };
                let durability = state.settings.reached(write.durability);
                let receipt = Receipt { position, durability, ..receipt };
                Response::Written { reply: write.reply.reply(), receipt }
            };
            effects.respond(write.ticket, response);
        }
    }

    fn release_reads(&mut self, state: &mut State, now: Now, effects: &mut dyn Effects) {
        while let Some(entry) = self.parked.first_entry() {
            if *entry.key() > state.commit {
                break;
            }
            for read in entry.remove() {
                self.finish_read(state, read, now, effects);
            }
        }
    }

    /// What is known of the safety of an entry but for the disk.
    pub(super) fn receipt(&self, state: &State, position: LogPosition, replicas: u8) -> Receipt {
        let required = self.targets.iter().filter(|target| target.standing == Standing::InSync);
        let lag = required.map(|target| state.log.last().seq - target.matched).max();
        Receipt {
            partition: state.partition,
            position,
            loss_generation: state.loss_generation,
            replicas,
            durability: Durability::Memory,
            lag_ops: lag.unwrap_or(0),
        }
    }

    /// A write answers when its entry is committed; the reply is kept until then.
    #[inline]
    pub(super) fn wait(&mut self, write: Waiting) {
        // A retry of a write in flight waits for an older entry than the last.
        if self.waiting.back().is_none_or(|last| last.seq <= write.seq) {
            return self.waiting.push_back(write);
        }
        let at = self.waiting.partition_point(|other| other.seq <= write.seq);
        self.waiting.insert(at, write);
    }

    /// A read is answered when this entry is committed.
    pub(super) fn park(&mut self, read: Parked, effects: &mut dyn Effects) {
        effects.notice(Notice::ReadParked);
        self.parked.entry(read.newest).or_default().push(read);
    }
}
