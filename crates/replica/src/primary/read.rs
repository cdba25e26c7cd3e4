//! Reads at the primary: the newest value, once it is committed and nobody else can have committed a newer one.

use isogrid_core::{Op, Reply, Target, Version};
use isogrid_store::Context;

use super::{Parked, Primary};
use crate::effects::{Effects, Refusal, Response};
use crate::event::{ReadMode, Request};
use crate::owned::OwnedReply;
use crate::settings::Acknowledge;
use crate::shown::{newest_shown, version_shown};
use crate::state::State;
use crate::time::Now;

impl Primary {
    /// Serves a read.
    pub(crate) fn read(
        &mut self,
        state: &mut State,
        request: &Request<'_>,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        if !self.is_open && state.settings.rules.barrier {
            return effects.defer(request.ticket);
        }
        if let Some(position) = request.at_least
            && !state.holds_history(position)
        {
            let is_of_later_primary = position.epoch > self.epoch;
            let refusal =
                if is_of_later_primary { Refusal::NotOwner } else { Refusal::PositionLost };
            return effects.respond(request.ticket, Response::Refused(refusal));
        }
        if !self.remove_expired(state, request, now) {
            return effects.defer(request.ticket);
        }
        // What a backup may answer the primary may too, but not once it can have been replaced.
        let takes_lease = matches!(request.mode, ReadMode::Lease | ReadMode::Backup { .. });
        let holds_lease = takes_lease && self.holds_lease(state, now);
        let (last, commit) = (state.log.last().seq, state.commit);
        let may_show_all = state.settings.mode(request.map).acknowledge == Acknowledge::Primary
            || !state.settings.rules.read_committed;
        let present = present_version(state, request);
        let context = Context { now: state.time(now), over_mark: false };
        let reply = state.store.execute(request.map, &request.op, request.hash, &context);
        let newest = newest_shown(
            &request.op,
            &reply,
            last,
            || present,
            || self.removals.of(request.map, request.hash),
        );
        let is_committed = newest <= commit || may_show_all;
        if is_committed && holds_lease {
            let newest = version_shown(&reply).or(Some(Version(newest)));
            return effects.respond(request.ticket, Response::Read { reply, newest });
        }
        let read = Parked {
            ticket: request.ticket,
            reply: OwnedReply::of(&reply),
            newest,
            deadline: request.deadline,
            confirm: request.mode == ReadMode::Confirmed,
            any: request.mode == ReadMode::Any,
        };
        if !read.any && self.is_cut_off(state, now) {
            return effects.respond(read.ticket, Response::Refused(Refusal::CutOff));
        }
        if is_committed {
            self.finish_read(state, read, now, effects);
        } else {
            self.park(read, effects);
        }
    }

    /// A read that finds its record expired removes it first, as an entry of the log: what one primary called absent must
    /// not come back at another whose clock is behind. Says whether that is done: not during a handover.
    fn remove_expired(&mut self, state: &mut State, request: &Request<'_>, now: Now) -> bool {
        let Target::Key(key) = request.op.target() else { return true };
        let time = state.time(now);
        if state.store.next_expiry().is_none_or(|at| at > time) {
            return true;
        }
        let is_there = state.store.version_of_key(request.map, request.hash, key).is_some();
        let context = Context { now: time, over_mark: false };
        let get = Op::Exists { key };
        let is_expired = is_there
            && state.store.execute(request.map, &get, request.hash, &context) == Reply::Flag(false);
        if is_expired && self.is_handing_over() {
            return false;
        }
        if is_expired {
            // Who deletes what has expired finds nothing: it is removed for that reason. What else has expired waits for
            // its tick, however much it is.
            drop(state.store.execute(request.map, &Op::delete(key), request.hash, &context));
            self.append_changes(state, now);
        }
        true
    }

    /// Reads that nobody waits for any more are let go. Without a commit, or a round, they would pile up with all they show.
    pub(super) fn drop_late_reads(&mut self, now: Now, effects: &mut dyn Effects) {
        let mut is_waited_for = |read: &Parked| {
            let is_late = read.deadline.is_some_and(|deadline| deadline <= now.wall);
            if is_late {
                effects.respond(read.ticket, Response::Refused(Refusal::TooLate));
            }
            !is_late
        };
        self.parked.retain(|_, reads| {
            reads.retain(&mut is_waited_for);
            !reads.is_empty()
        });
        self.confirming.retain(|waiting| is_waited_for(&waiting.read));
    }
}

/// The version of the record whose presence a read shows without showing the record.
fn present_version(state: &State, request: &Request<'_>) -> Option<Version> {
    let (Op::Exists { key } | Op::Touch { key }) = request.op else { return None };
    state.store.version_of_key(request.map, request.hash, key)
}
