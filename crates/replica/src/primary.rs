//! [`Primary`]: the replica that takes the writes. It executes them against its own data at once, sends them to the
//! in-sync set, and answers when every member holds them.
//!
//! | module | what it does |
//! |---|---|
//! | `write`, `read` | requests |
//! | `target` | one replica it sends to |
//! | `commit` | how far the log is committed, and who waits for it |
//! | `confirm` | leases, and the rounds that stand in for them |
//! | `membership` | proposals to add, remove and hand over |
//! | `copies` | pieces of copies, and digests |

mod commit;
mod confirm;
mod copies;
mod membership;
mod read;
pub(crate) mod target;
mod write;

use std::collections::{BTreeMap, VecDeque};

use isogrid_core::{Durability, Epoch, PartitionEntry, Replica, Timestamp};

use crate::effects::{Effects, Refusal, Response};
use crate::event::Ticket;
use crate::message::{Ack, Chunk, DigestAt, Mismatch};
use crate::notice::Notice;
use crate::owned::OwnedReply;
use crate::settings::MapMode;
use crate::shown::Removals;
use crate::state::State;
use crate::time::{Now, Ticks};
use confirm::Confirming;
use membership::{Handover, Pending, Removed};
use target::{Standing, Target};

/// A write that waits for its commit.
#[derive(Debug)]
struct Waiting {
    seq: u64,
    ticket: Ticket,
    reply: OwnedReply,
    min_in_sync: u8,
    durability: Durability,
}

impl Waiting {
    fn of(mode: MapMode, seq: u64, ticket: Ticket, reply: OwnedReply) -> Self {
        let MapMode { min_in_sync, durability, .. } = mode;
        Waiting { seq, ticket, reply, min_in_sync, durability }
    }
}

/// A read that waits for the commit of what it shows, or for a round.
#[derive(Debug)]
struct Parked {
    ticket: Ticket,
    reply: OwnedReply,
    newest: u64,
    /// From when on its client no longer waits.
    deadline: Option<Timestamp>,
    /// Whether a round is wanted whatever the lease says.
    confirm: bool,
    /// Whether neither lease nor round is wanted.
    any: bool,
}

/// The replica that takes the writes.
#[derive(Debug)]
pub(crate) struct Primary {
    pub(crate) epoch: Epoch,
    /// The first entry of the epoch: nothing is answered before it is committed (R9).
    barrier: u64,
    is_open: bool,
    pub(crate) targets: Vec<Target>,
    waiting: VecDeque<Waiting>,
    parked: BTreeMap<u64, Vec<Parked>>,
    confirming: VecDeque<Confirming>,
    round: u64,
    round_is_due: bool,
    round_began: Ticks,
    removals: Removals,
    pending: Option<Pending>,
    handover: Option<Handover>,
    retiring: Option<Replica>,
    removed: BTreeMap<Replica, Removed>,
    /// Pieces of copies that show what is not committed yet.
    pieces: Vec<(u64, Replica, Chunk)>,
    digest: Option<DigestAt>,
    digest_taken_at: Ticks,
    council_answered: Option<Ticks>,
}

impl Primary {
    /// Takes over in the epoch of the committed entry: everything in the log is applied, and the first entry of the epoch
    /// goes out.
    pub(crate) fn take_over(state: &mut State, now: Now, effects: &mut dyn Effects) -> Self {
        let uncommitted = state.log.last().seq - state.commit;
        // Whoever led before may come back, and so may those who followed it: what is here is kept for them.
        if state.commit > 0 {
            state.readers.expect_back(state.log.base().seq);
        }
        state.speculate();
        if !state.settings.rules.barrier {
            // Rule R9 switched off: what is in the log is taken for committed.
            state.commit = state.log.last().seq;
            state.store.settle(isogrid_core::version_of(state.commit));
            state.sessions.settle(state.commit);
        }
        if !state.settings.rules.dedupe_travels {
            state.sessions = crate::session::Sessions::new(state.log.last().seq);
        }
        state.lose_history(state.view.loss_generation);
        // Also if they differed from an earlier primary's: these are the partition's data from now on.
        state.needs_repair = false;
        state.is_doubted = false;
        let epoch = state.promised;
        state.led = epoch;
        effects.notice(Notice::Promoted { epoch, uncommitted });
        let mut primary = Primary {
            epoch,
            barrier: state.log.last().seq + 1,
            is_open: false,
            targets: Vec::new(),
            waiting: VecDeque::new(),
            parked: BTreeMap::new(),
            confirming: VecDeque::new(),
            round: 0,
            round_is_due: false,
            round_began: now.ticks,
            removals: Removals::default(),
            pending: None,
            handover: None,
            retiring: None,
            removed: BTreeMap::new(),
            pieces: Vec::new(),
            digest: None,
            digest_taken_at: now.ticks,
            council_answered: None,
        };
        primary.aim(state, now);
        primary.append_nothing(state, now);
        primary.flush(state, now, effects);
        primary
    }

    /// Sends to whom the table names: targets that were there before keep what is known of them.
    fn aim(&mut self, state: &mut State, now: Now) {
        let view = state.view.clone();
        let mut earlier = std::mem::take(&mut self.targets);
        let in_sync = view.in_sync.iter().map(|replica| (replica, Standing::InSync));
        let learners = view.learners.iter().map(|replica| (replica, Standing::Learner));
        for (replica, standing) in in_sync.chain(learners) {
            if replica.node == state.me.node {
                continue;
            }
            let known = earlier.iter().position(|target| target.replica == *replica);
            let mut target = match known {
                Some(index) => earlier.swap_remove(index),
                None => Target::new(replica.clone(), standing, state, now),
            };
            if target.standing == Standing::InSync && standing == Standing::Learner {
                target.was_removed();
                self.note_removed(&target.replica);
            }
            target.standing = standing;
            self.targets.push(target);
        }
        for gone in earlier {
            state.readers.remove(gone.reader);
            // In its next life it may be a member still.
            let is_member = view.in_sync.iter().any(|member| member.node == gone.replica.node);
            if gone.standing == Standing::InSync && !is_member {
                self.note_removed(&gone.replica);
            }
        }
    }

    /// A newer table of the same epoch.
    pub(crate) fn read_table(
        &mut self,
        state: &mut State,
        entry: &PartitionEntry,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        debug_assert_eq!(entry.epoch, self.epoch, "another epoch is another primary");
        let decided = self.pending.take_if(|pending| entry.ver > pending.ver);
        if decided.is_some() && self.handover.take_if(|handover| handover.is_proposed).is_some() {
            effects.notice(Notice::HandoverLost);
            effects.resume();
        }
        self.aim(state, now);
        self.retiring.take_if(|replica| !entry.in_sync.contains(replica));
        self.advance(state, now, effects);
        self.flush(state, now, effects);
    }

    /// Sends what is new, and begins a round if reads want one.
    pub(crate) fn flush(&mut self, state: &mut State, now: Now, effects: &mut dyn Effects) {
        self.sample(state, now);
        self.advance(state, now, effects);
        let must_speak = std::mem::take(&mut self.round_is_due);
        if must_speak {
            self.round += 1;
            self.round_began = now.ticks;
        }
        let voice = self.voice(state, now);
        for target in &mut self.targets {
            let is_asked = must_speak && target.standing != Standing::Learner;
            target.send(state, &voice, is_asked, now, effects);
        }
        if must_speak {
            self.finish_rounds(state, now, effects);
        }
    }

    /// Whether nothing is under way. A handover that is not proposed yet waits for writes.
    pub(crate) fn is_at_rest(&self, state: &State) -> bool {
        self.is_open
            && self.parked.is_empty()
            && self.confirming.is_empty()
            && self.pending.is_none()
            && self.retiring.is_none()
            && state.commit == state.log.last().seq
            && self.targets.iter().all(|target| target.is_at_rest(state))
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, state: &mut State, now: Now, effects: &mut dyn Effects) {
        if self.is_open && self.handover.is_none() {
            self.expire(state, now);
        }
        self.flush(state, now, effects);
        let last = state.log.last().seq;
        let voice = self.voice(state, now);
        for target in &mut self.targets {
            target.judge(last, now);
            if target.trouble_ms(now) >= state.settings.lag_ms_max {
                target.healthy_since = None;
            }
            target.tick(state, &voice, now, effects);
        }
        self.tend(state, now, effects);
        self.finish_rounds(state, now, effects);
        self.drop_late_reads(now, effects);
        state.prune(now);
    }

    /// A target acknowledges.
    pub(crate) fn acked(
        &mut self,
        state: &mut State,
        from: &Replica,
        ack: &Ack,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let check = state.settings.rules.check_incarnation;
        let Some(target) = find(&mut self.targets, from, check) else { return };
        // Nobody can answer for a round that has not begun.
        let ack = Ack { round: ack.round.min(self.round), ..*ack };
        target.acked(state, &ack, now);
        self.judge_health(state, from, now);
        self.flush(state, now, effects);
        self.finish_rounds(state, now, effects);
        // Requests are waiting: a handover is proposed as soon as nothing is in flight.
        self.tend_handover(state, now, effects);
    }

    /// A target could not place a message.
    pub(crate) fn mismatched(
        &mut self,
        state: &mut State,
        from: &Replica,
        mismatch: &Mismatch,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let Some(target) = find(&mut self.targets, from, true) else { return };
        if target.mismatched(state, mismatch, now) {
            target.offer(state, now, effects);
        } else {
            let voice = self.voice(state, now);
            let Some(target) = find(&mut self.targets, from, true) else { return };
            target.send(state, &voice, false, now, effects);
        }
    }

    /// Steps down: what is not committed is taken back, and who waits hears that the outcome is not known.
    pub(crate) fn step_down(self, state: &mut State, effects: &mut dyn Effects) {
        for target in &self.targets {
            state.readers.remove(target.reader);
        }
        let undone = state.take_back();
        effects.notice(Notice::Demoted { promised: state.promised, undone });
        for write in self.waiting {
            effects.respond(write.ticket, Response::Refused(Refusal::Deposed));
        }
        let parked = self.parked.into_values().flatten().map(|read| read.ticket);
        let confirming = self.confirming.into_iter().map(|read| read.read.ticket);
        for ticket in parked.chain(confirming) {
            effects.respond(ticket, Response::Refused(Refusal::NotOwner));
        }
        effects.resume();
    }

    /// Whether requests are answered.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }
}

/// The target that is this replica.
fn find<'t>(
    targets: &'t mut [Target],
    from: &Replica,
    check_incarnation: bool,
) -> Option<&'t mut Target> {
    targets.iter_mut().find(|target| {
        target.replica == *from || (!check_incarnation && target.replica.node == from.node)
    })
}

#[cfg(test)]
#[path = "primary_test.rs"]
mod tests;
