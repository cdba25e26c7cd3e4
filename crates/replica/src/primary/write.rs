//! Writes at the primary: executed at once, appended with what they changed and what they answer, and answered when the
//! entry is committed.

use isogrid_core::{Effect, Hlc, LogPosition, MapId, Reply, SessionId, version_of};
use isogrid_store::{Changes, Context, hash_key};

use super::{Primary, Waiting};
use crate::effects::{Effects, Receipt, Refusal, Response};
use crate::entry::Answer;
use crate::event::Request;
use crate::notice::Notice;
use crate::owned::OwnedReply;
use crate::session::Lookup;
use crate::settings::{Acknowledge, MapMode, WhenLagging};
use crate::shown::Removals;
use crate::state::{Pen, State};
use crate::time::Now;

/// How many expired records are removed at once.
const EXPIRED_MAX: usize = 64;

impl Primary {
    /// Serves a write.
    #[inline]
    pub(crate) fn write(
        &mut self,
        state: &mut State,
        request: &Request<'_>,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let is_open = self.is_open || !state.settings.rules.barrier;
        if !is_open || self.is_handing_over() {
            return effects.defer(request.ticket);
        }
        let mode = state.settings.mode(request.map);
        // First of all: what was executed already is never refused as if it were not.
        if let Some(tag) = request.tag {
            match state.sessions.lookup(tag.id, state.commit) {
                Lookup::New => {}
                known => return self.answer_again(state, request, known, mode, effects),
            }
        }
        if request.is_late(now) {
            return effects.respond(request.ticket, Response::Refused(Refusal::TooLate));
        }
        if let Some(refusal) = self.refusal(state, request, mode, now) {
            return effects.respond(request.ticket, Response::Refused(refusal));
        }
        self.execute(state, request, mode, now, effects);
    }

    #[inline]
    fn refusal(
        &self,
        state: &State,
        request: &Request<'_>,
        mode: MapMode,
        now: Now,
    ) -> Option<Refusal> {
        if self.is_cut_off(state, now) {
            return Some(Refusal::CutOff);
        }
        if state.view.in_sync.len() < usize::from(mode.min_in_sync) {
            return Some(Refusal::NotEnoughReplicas);
        }
        let is_backed_up = mode.acknowledge == Acknowledge::Primary
            && state.settings.when_lagging == WhenLagging::Backpressure
            && state.log.bytes_after(state.commit) > state.settings.async_lag_bytes_max as u64;
        if is_backed_up {
            return Some(Refusal::BackupsLag);
        }
        let tag = request.tag?;
        let is_full = state.sessions.is_full(tag.id.session, tag.first_incomplete);
        is_full.then_some(Refusal::SessionFull)
    }

    /// A request that was executed is answered as it was then, or when it will be (section 7).
    #[cold]
    fn answer_again(
        &mut self,
        state: &State,
        request: &Request<'_>,
        known: Lookup<'_>,
        mode: MapMode,
        effects: &mut dyn Effects,
    ) {
        let ticket = request.ticket;
        match known {
            Lookup::New => debug_assert!(false, "what is new is executed"),
            Lookup::InProgress { seq } => {
                effects.notice(Notice::InFlightAgain);
                let entry = state.log.entry(seq).expect("what is not committed is in the window");
                let reply = owned(entry.answer, seq);
                self.wait(Waiting::of(mode, seq, ticket, reply));
            }
            Lookup::Done { position, answer } => {
                effects.notice(Notice::AnsweredAgain);
                let replicas = state.view.in_sync.len().min(usize::from(u8::MAX)) as u8;
                let durability = state.settings.reached(mode.durability);
                let receipt = Receipt { durability, ..self.receipt(state, position, replicas) };
                let reply = owned(answer, position.seq);
                effects.respond(ticket, Response::Written { reply: reply.reply(), receipt });
            }
            Lookup::Stale | Lookup::UnknownSession => {
                effects.notice(Notice::StaleRequest);
                effects.respond(ticket, Response::Refused(Refusal::Stale));
            }
        }
    }

    #[inline]
    fn execute(
        &mut self,
        state: &mut State,
        request: &Request<'_>,
        mode: MapMode,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let context = Context { now: state.time(now), over_mark: request.over_mark };
        let seed = state.settings.hash_seed;
        let (store, mut pen) = state.split(self.epoch, now);
        let executed = store.execute_journaled(request.map, &request.op, request.hash, &context);
        let is_refused = is_for_lack_of_room(&executed.reply);
        let tag = request.tag.filter(|_| !is_refused);
        let answer = if tag.is_some() { Answer::of(&executed.reply) } else { Answer::None };
        let mut changes = executed.changes;
        if changes.len() > 1 {
            append_all_but_last(&mut changes, &mut pen, &mut self.removals, seed);
        }
        let last = changes.next();
        let has_changed = last.is_some();
        let mut seq = 0;
        if let Some((version, effect)) = last {
            seq = pen.append(tag, answer, effect);
            debug_assert_eq!(version_of(seq), version, "one entry per version");
            self.removals.note(seq, &effect, |key| hash_key(seed, key));
        }
        let reply = OwnedReply::of(&executed.reply);
        if is_refused {
            let (reply, newest) = (reply.reply(), None);
            return effects.respond(request.ticket, Response::Read { reply, newest });
        }
        if !has_changed {
            seq = pen.append(tag, answer, Effect::Nothing);
            store.set_version(version_of(seq));
        }
        if mode.acknowledge == Acknowledge::Primary {
            let position = LogPosition { epoch: self.epoch, seq };
            // Neither the backups nor the disk have it yet.
            let receipt = self.receipt(state, position, 1);
            return effects
                .respond(request.ticket, Response::Written { reply: reply.reply(), receipt });
        }
        self.wait(Waiting::of(mode, seq, request.ticket, reply));
    }

    /// An entry that changes nothing.
    pub(super) fn append_nothing(&mut self, state: &mut State, now: Now) {
        let (store, mut pen) = state.split(self.epoch, now);
        let seq = pen.append(None, Answer::None, Effect::Nothing);
        store.set_version(version_of(seq));
    }

    /// Appends an entry behind a clock. Not during a handover: nothing may be in flight then, and whoever asked asks again.
    pub(crate) fn fence(&mut self, state: &mut State, clock: Hlc, now: Now) {
        let newest = state.log.hlc_of(state.log.last().seq);
        let is_behind = newest.is_none_or(|newest| newest <= clock);
        if self.is_open && !self.is_handing_over() && is_behind {
            state.hlc = state.hlc.max(clock);
            self.append_nothing(state, now);
        }
    }

    /// Removes what has expired.
    pub(super) fn expire(&mut self, state: &mut State, now: Now) {
        let time = state.time(now);
        if state.store.next_expiry().is_none_or(|at| at > time) {
            return;
        }
        state.store.expire(time, EXPIRED_MAX);
        self.append_changes(state, now);
    }

    /// The node needs memory.
    pub(crate) fn evict(&mut self, state: &mut State, map: MapId, now: Now) {
        if self.is_open && !self.is_handing_over() {
            let time = state.time(now);
            state.store.evict(map, time);
            self.append_changes(state, now);
        }
    }

    /// Appends what the store has just changed of its own accord.
    pub(super) fn append_changes(&mut self, state: &mut State, now: Now) {
        let seed = state.settings.hash_seed;
        let (store, mut pen) = state.split(self.epoch, now);
        for (version, effect) in store.changes() {
            let seq = pen.append(None, Answer::None, effect);
            debug_assert_eq!(version_of(seq), version, "one entry per version");
            self.removals.note(seq, &effect, |key| hash_key(seed, key));
        }
    }

    /// The council has ended sessions: so that every replica knows, and nothing of them is ever executed again, the log
    /// says it. Of each session once: the council's list may be long, and comes with every tick.
    pub(crate) fn end_sessions(
        &mut self,
        state: &mut State,
        watermark: SessionId,
        above: &[SessionId],
        now: Now,
    ) {
        if !self.is_open || self.is_handing_over() {
            return;
        }
        let Some(above) = state.sessions.unknown_endings(watermark, above) else { return };
        let above: Vec<u8> = above.iter().flat_map(|session| session.0.to_le_bytes()).collect();
        let ended = isogrid_core::EndedSessions { watermark, above: &above };
        let (store, mut pen) = state.split(self.epoch, now);
        let seq = pen.append(None, Answer::None, Effect::EndSessions(ended));
        store.set_version(version_of(seq));
    }
}

/// Appends what a write changed before its last change, which is the one that carries request and answer: what expired and
/// what was evicted for it. Apart, so that the usual write is no loop.
#[cold]
fn append_all_but_last(
    changes: &mut Changes<'_>,
    pen: &mut Pen<'_>,
    removals: &mut Removals,
    seed: u64,
) {
    let but_last = changes.len() - 1;
    for (version, effect) in changes.take(but_last) {
        let seq = pen.append(None, Answer::None, effect);
        debug_assert_eq!(version_of(seq), version, "one entry per version");
        removals.note(seq, &effect, |key| hash_key(seed, key));
    }
}

/// Whether a write was refused because there is no room for it now. That is not kept for retries: the next one may fit.
#[inline]
fn is_for_lack_of_room(reply: &Reply<'_>) -> bool {
    match reply {
        Reply::Failed(error) => {
            use isogrid_core::ErrorCode::{KeyTooLong, MapFull, MemoryFull, TableFull};
            matches!(error.code(), KeyTooLong | MapFull | MemoryFull | TableFull)
        }
        _ => false,
    }
}

/// An answer that was kept, as a reply.
fn owned(answer: Answer<'_>, seq: u64) -> OwnedReply {
    match answer.to_reply(version_of(seq)) {
        Ok(reply) => OwnedReply::of(&reply),
        Err(error) => OwnedReply::Failed(Box::new(error)),
    }
}
