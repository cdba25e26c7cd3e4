//! When a read may be answered: under a lease from every required replica, or after a round to all of them.

use isogrid_core::Version;

use super::target::{Standing, Target, Voice};
use super::{Parked, Primary};
use crate::effects::{Effects, Response};
use crate::notice::Notice;
use crate::state::State;
use crate::time::{Now, Ticks};

/// A read that waits for a round.
#[derive(Debug)]
pub(super) struct Confirming {
    pub(super) read: Parked,
    /// Every required replica must acknowledge a message of this round or a later one.
    round: u64,
    /// When the read was made.
    since: Ticks,
}

impl Primary {
    /// Whether nobody else can have committed anything since: every required replica acknowledged, in this epoch, a
    /// message that was sent less than a lease ago. Where the council may give up the whole set, it must have answered as
    /// lately.
    pub(super) fn holds_lease(&self, state: &State, now: Now) -> bool {
        if !state.settings.rules.check_lease {
            return true;
        }
        let is_fresh = |sent: Ticks| now.ticks < sent.plus_ms(state.settings.lease_ms);
        let mut required = self.targets.iter().filter(|target| counts_for_lease(target));
        let is_vouched =
            state.settings.alone_is_safe || self.council_answered.is_some_and(is_fresh);
        is_vouched && required.all(|target| target.acked_sent_at.is_some_and(is_fresh))
    }

    /// Whether neither the council nor some required replica has answered for so long that others may lead by now. What is
    /// asked here would wait for nobody knows how long.
    pub(super) fn is_cut_off(&self, state: &State, now: Now) -> bool {
        let is_old = |sent: Ticks| now.ticks >= sent.plus_ms(state.settings.cut_off_ms);
        let mut required = self.targets.iter().filter(|target| counts_for_lease(target));
        self.council_answered.is_some_and(is_old)
            && required.any(|target| target.acked_sent_at.is_none_or(is_old))
    }

    /// What is said in every message now.
    pub(super) fn voice(&self, state: &State, now: Now) -> Voice {
        let leads = self.is_open && self.holds_lease(state, now);
        Voice { leads, round: self.round, digest: self.digest }
    }

    /// What the read shows is committed: it is answered under the lease, or joins the next round. The order matters: first
    /// the value was read, now the lease is checked.
    pub(super) fn finish_read(
        &mut self,
        state: &State,
        read: Parked,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        if read.any || (!read.confirm && self.holds_lease(state, now)) {
            return respond(&read, effects);
        }
        effects.notice(Notice::ReadConfirming);
        self.round_is_due = true;
        let round = self.round + 1;
        self.confirming.push_back(Confirming { read, round, since: now.ticks });
    }

    /// Answers the reads whose round is complete.
    pub(super) fn finish_rounds(&mut self, state: &State, now: Now, effects: &mut dyn Effects) {
        if self.confirming.is_empty() {
            return;
        }
        let required = self.targets.iter().filter(|target| counts_for_lease(target));
        let confirmed = required.map(|target| target.acked_round).fold(self.round, u64::min);
        let is_done = |waiting: &Confirming| {
            let is_vouched = state.settings.alone_is_safe
                || self.council_answered.is_some_and(|sent| sent >= waiting.since);
            is_vouched && waiting.round <= confirmed
        };
        let done = self.confirming.iter().take_while(|waiting| is_done(waiting)).count();
        for waiting in self.confirming.drain(..done) {
            respond(&waiting.read, effects);
        }
        // A round that was lost is begun again.
        if let Some(oldest) = self.confirming.front()
            && now.ticks.ms_since(self.round_began) >= state.settings.resend_ms
            && oldest.round <= self.round
        {
            self.round_is_due = true;
        }
    }

    /// The council answered a heartbeat that was sent at that moment.
    pub(crate) fn council_answered(&mut self, sent_at: Ticks) {
        self.council_answered = self.council_answered.max(Some(sent_at));
    }
}

fn respond(read: &Parked, effects: &mut dyn Effects) {
    let reply = read.reply.reply();
    let newest = crate::shown::version_shown(&reply).or(Some(Version(read.newest)));
    effects.respond(read.ticket, Response::Read { reply, newest });
}

/// In-sync members count until their removal is committed, proposed members from their proposal on (R6).
fn counts_for_lease(target: &Target) -> bool {
    target.standing != Standing::Learner
}
