//! [`Learner`]: a replica that catches up. It is not in the in-sync set, so it is never promoted and nobody waits for it,
//! until its primary proposes it. With the log's window covering what it lacks it takes deltas; else it copies.

use isogrid_core::{Effect, LogPosition, MapId, Replica};

use crate::copy::{Copy, Progress};
use crate::effects::Effects;
use crate::follower::{Accepted, Follower, refuse_mismatch};
use crate::message::{Append, Chunk, Message, Offer};
use crate::notice::{CopyKind, Notice};
use crate::state::State;
use crate::time::Now;

/// A divergent tail with more keys than this is not worth a list: everything is copied.
const TAIL_KEYS_MAX: usize = 10_000;

/// Keys with their maps.
type Keys = Vec<(MapId, Vec<u8>)>;

/// A replica that catches up, or waits to be told what to do.
#[derive(Debug, Default)]
pub(crate) struct Learner {
    pub(crate) follower: Follower,
    pub(crate) copy: Option<Copy>,
}

impl Learner {
    /// Whether the data are whole.
    pub(crate) fn is_complete(&self, state: &State) -> bool {
        self.copy.is_none() && !state.needs_repair
    }

    /// How far a copy is.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.copy.as_ref().map(|copy| copy.progress)
    }

    /// The primary speaks.
    pub(crate) fn append(
        &mut self,
        state: &mut State,
        from: &Replica,
        append: &Append,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let is_new_source = self.follower.primary.as_ref() != Some(from);
        self.follower.hear(from, append, state.commit);
        if self.copy.as_ref().is_some_and(|copy| copy.loss_generation < append.loss_generation) {
            // History was declared lost meanwhile, and what has been copied may be of what was lost.
            self.start(state, Copy::all(append.loss_generation), effects);
        } else if is_new_source && let Some(copy) = &mut self.copy {
            copy.ask_again();
            effects.notice(Notice::CopyContinues);
        }
        let awaits_start = self.copy.as_ref().is_some_and(Copy::awaits_start);
        if awaits_start || self.follower.accept(state, append, effects) == Accepted::Mismatch {
            refuse_mismatch(state, from, append, now, effects);
        } else {
            // Data can be compared only within one history.
            let is_of_this_history = append.loss_generation == state.loss_generation;
            if state.needs_repair && self.copy.is_none() && is_of_this_history {
                self.start(state, Copy::repair(append.loss_generation), effects);
            }
            self.advance(state, self.follower.committed(state, append), effects);
            if self.copy.is_none() {
                state.hear_commit(append);
            }
            let is_whole = self.is_complete(state) && state.is_kept();
            self.follower.answer(state, append, is_whole, now, effects);
        }
        self.ask(state, now, effects);
    }

    /// Asks for the next piece of a copy, if it is time.
    pub(crate) fn ask(&mut self, state: &State, now: Now, effects: &mut dyn Effects) {
        let (Some(copy), Some(primary)) = (&mut self.copy, &self.follower.primary) else { return };
        if let Some(piece) = copy.ask(now.ticks, state.settings.resend_ms) {
            effects.send(primary, Message::Pull { epoch: state.promised, piece });
        }
    }

    /// The primary says that deltas will not do.
    pub(crate) fn offered(
        &mut self,
        state: &mut State,
        from: &Replica,
        offer: &Offer,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        // Of one history all replicas agree up to their commit index, so with the window reaching back to it there is nothing
        // to copy: the offer is an old one.
        let is_of_this_history = offer.loss_generation == state.loss_generation;
        let is_stale = offer.loss_generation < state.loss_generation
            || (is_of_this_history && self.copy.is_none() && state.commit >= offer.base.seq);
        if is_stale {
            return;
        }
        self.follower.primary = Some(from.clone());
        let is_under_way = self.copy.as_ref().is_some_and(|copy| {
            copy.loss_generation == offer.loss_generation
                && (copy.awaits_start() || state.log.last().seq >= offer.base.seq)
        });
        if is_under_way {
            return self.ask(state, now, effects);
        }
        let copy = match self.copy.take() {
            // The log of an unfinished copy has fallen out of the window: its tail says nothing about the records.
            Some(_) => Copy::all(offer.loss_generation),
            // A copy of the tail would not mend data that differ elsewhere.
            None if is_of_this_history || state.needs_repair => Copy::all(offer.loss_generation),
            None => divergent_tail(state, offer)
                .map(|(fork, keys)| cut_tail(state, fork, keys, offer.loss_generation))
                .unwrap_or_else(|| Copy::all(offer.loss_generation)),
        };
        self.start(state, copy, effects);
        self.ask(state, now, effects);
    }

    fn start(&mut self, state: &mut State, copy: Copy, effects: &mut dyn Effects) {
        state.disk_voided += 1;
        effects.notice(Notice::CopyStarted(copy.kind));
        self.copy = Some(copy);
    }

    /// A piece of the copy has come.
    pub(crate) fn take(
        &mut self,
        state: &mut State,
        chunk: Chunk,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let Some(copy) = &mut self.copy else { return };
        copy.take(state, chunk, now.ticks, effects);
        self.advance(state, state.commit, effects);
        self.ask(state, now, effects);
    }

    /// Applies what is committed by now, and ends a copy that is whole.
    fn advance(&mut self, state: &mut State, commit: u64, effects: &mut dyn Effects) {
        let Some(copy) = &mut self.copy else { return self.follow(state, commit, effects) };
        if !copy.is_frozen() {
            let limit = commit.min(copy.apply_limit());
            while state.commit < limit {
                copy.apply(state, state.commit + 1);
                state.commit += 1;
                state.sessions.settle(state.commit);
            }
            copy.arrive(state);
        }
        if copy.is_whole(state.commit) {
            effects.notice(Notice::CopyFinished(copy.kind));
            state.finish_copy(copy.loss_generation);
            self.copy = None;
        }
    }

    /// Applies what is committed by now, with no copy under way.
    fn follow(&mut self, state: &mut State, commit: u64, effects: &mut dyn Effects) {
        while state.commit < commit {
            state.apply(state.commit + 1);
            state.commit += 1;
            state.sessions.settle(state.commit);
            match self.follower.compare(state, state.commit) {
                Some(false) => effects.notice(Notice::DigestMismatch),
                Some(true) => effects.notice(Notice::DigestAgrees),
                None => {}
            }
        }
        self.follower.refresh(state.commit);
    }
}

/// Where this log and the primary's part below the own commit index, and the keys that were changed since: what a declared
/// loss leaves behind. `None` when the windows cannot tell, or everything is to be copied anyway.
fn divergent_tail(state: &State, offer: &Offer) -> Option<(u64, Keys)> {
    let fork = common_position(state, offer)?;
    if fork.seq >= state.commit {
        return None;
    }
    let mut keys = Vec::new();
    for entry in state.log.iter_from(fork.seq + 1) {
        if entry.position.seq > state.commit {
            break;
        }
        match entry.effect {
            Effect::Put { map, key, .. } | Effect::Remove { map, key, .. } => {
                keys.push((map, key.to_vec()));
            }
            Effect::Rename { map, from, to, .. } => {
                keys.push((map, from.to_vec()));
                keys.push((map, to.to_vec()));
            }
            Effect::Clear { .. } => return None,
            Effect::Nothing | Effect::EndSessions(_) => {}
        }
    }
    keys.sort_unstable();
    keys.dedup();
    (keys.len() <= TAIL_KEYS_MAX).then_some((fork.seq, keys))
}

/// The last position that both windows hold.
fn common_position(state: &State, offer: &Offer) -> Option<LogPosition> {
    let last_of = |index: usize| match offer.runs.get(index + 1) {
        Some(next) => next.seq.saturating_sub(1),
        None => offer.last.seq,
    };
    let theirs = offer.runs.iter().enumerate().rev();
    let in_runs = theirs.filter_map(|(index, run)| {
        let newest = LogPosition { epoch: run.epoch, seq: last_of(index) };
        let own = state.log.candidate(newest)?;
        (own.epoch == run.epoch && own.seq >= run.seq).then_some(own)
    });
    let at_base = state.log.position_of(offer.base.seq).filter(|own| *own == offer.base);
    in_runs.chain(at_base).max()
}

/// Takes the divergent tail out of log and data.
fn cut_tail(state: &mut State, fork: u64, keys: Keys, loss_generation: u32) -> Copy {
    for (map, key) in &keys {
        let hash = state.hash(key);
        state.store.remove_copied(*map, hash, key);
    }
    state.fall_back(fork);
    Copy::tail(loss_generation, keys)
}

/// What a learner copies, for those who watch it.
pub(crate) fn kind_of(learner: &Learner) -> Option<CopyKind> {
    learner.copy.as_ref().map(|copy| copy.kind)
}
