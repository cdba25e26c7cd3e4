//! What a primary proposes to the council: to remove a backup that lags, to add a learner that caught up, to hand over.
//! One proposal at a time; it is made again until a later table is read, since a timeout is not an outcome (R6). Only the
//! removal of a backup that fails does not wait for the outcome of another proposal.

use isogrid_core::{NodeId, Replica};

use super::target::{Standing, Target};
use super::{Primary, find};
use crate::effects::{Effects, Proposal, ProposedChange};
use crate::notice::Notice;
use crate::settings::{Settings, WhenLagging};
use crate::state::State;
use crate::time::{Now, Ticks};

/// A proposal whose outcome has not been read.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) ver: u32,
    pub(super) change: ProposedChange,
    proposed_at: Ticks,
}

/// A handover in progress: requests are deferred.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    to: NodeId,
    since: Ticks,
    /// Once proposed, nothing is written in this epoch until the outcome is read.
    pub(super) is_proposed: bool,
}

/// A backup that was removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    times: u32,
}

impl Primary {
    /// Proposes what is due, or proposes again.
    pub(super) fn tend(&mut self, state: &mut State, now: Now, effects: &mut dyn Effects) {
        if let Some(pending) = &mut self.pending {
            if now.ticks.ms_since(pending.proposed_at) >= state.settings.resend_ms {
                pending.proposed_at = now.ticks;
                let (ver, change) = (pending.ver, pending.change.clone());
                // The council may refuse for long: the addition of a node that is down, say. That must not keep a backup that
                // fails: its removal is proposed for the same ver, so at most one of the two comes true.
                if !matches!(change, ProposedChange::Remove(_))
                    && let Some(replica) = self.removal(state, now, effects)
                {
                    self.say(state, ver, ProposedChange::Remove(replica), effects);
                }
                self.say(state, ver, change, effects);
            }
            return;
        }
        if self.handover.is_some() {
            return self.tend_handover(state, now, effects);
        }
        if let Some(replica) = self.removal(state, now, effects) {
            return self.propose(state, ProposedChange::Remove(replica), now, effects);
        }
        if self.is_open || !state.settings.rules.barrier {
            self.tend_addition(state, now, effects);
        }
    }

    /// A backup that lags, is silent, differs or is not needed any more. The leases that this replica gave to an earlier
    /// primary are waited out first, here and nowhere else (R3).
    fn removal(&self, state: &State, now: Now, effects: &mut dyn Effects) -> Option<Replica> {
        let target = self.targets.iter().find(|target| self.must_go(state, target, now))?;
        let wait_ms = state.settings.lease_wait_ms();
        if state.settings.rules.wait_out_leases && now.ticks <= state.last_acked.plus_ms(wait_ms) {
            effects.notice(Notice::RemovalWaits);
            return None;
        }
        let replica = target.replica.clone();
        effects.notice(Notice::RemovalProposed { node: replica.node.clone() });
        Some(replica)
    }

    fn must_go(&self, state: &State, target: &Target, now: Now) -> bool {
        if target.standing != Standing::InSync {
            return false;
        }
        let lags = target.trouble_ms(now) >= state.settings.lag_ms_max;
        let is_retiring = self.retiring.as_ref() == Some(&target.replica);
        lags || target.differs || is_retiring || self.is_dropped(state, target)
    }

    /// Asynchronous maps may prefer to lose a backup over waiting for it.
    fn is_dropped(&self, state: &State, target: &Target) -> bool {
        state.settings.when_lagging == WhenLagging::Drop
            && state.log.bytes_after(target.matched) > state.settings.async_lag_bytes_max as u64
            && target.matched > 0
    }

    /// A learner that is close and has been well for long enough joins: from now on commits wait for it (R6), so that it
    /// comes to hold all that is committed however fast writes come in. Then it is proposed.
    fn tend_addition(&mut self, state: &State, now: Now, effects: &mut dyn Effects) {
        let lag_ms_max = state.settings.lag_ms_max;
        let joins = |target: &Target| {
            target.standing == Standing::Learner
                && is_close(state, target)
                && target.trouble_ms(now) < lag_ms_max
                && is_forgiven(&state.settings, self.removed.get(&target.replica), target, now)
        };
        let joining = self.targets.iter().position(|target| target.standing == Standing::Joining);
        let Some(index) = joining.or_else(|| self.targets.iter().position(joins)) else { return };
        let target = &mut self.targets[index];
        if !is_close(state, target) || target.trouble_ms(now) >= lag_ms_max {
            target.standing = Standing::Learner;
            target.healthy_since = None;
            return;
        }
        target.standing = Standing::Joining;
        if target.matched >= state.commit.min(state.log.last().seq) {
            let replica = target.replica.clone();
            effects.notice(Notice::AdditionProposed { node: replica.node.clone() });
            self.propose(state, ProposedChange::Add(replica), now, effects);
        }
    }

    fn propose(
        &mut self,
        state: &State,
        change: ProposedChange,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let ver = state.view.ver;
        self.pending = Some(Pending { ver, change: change.clone(), proposed_at: now.ticks });
        self.say(state, ver, change, effects);
    }

    fn say(&self, state: &State, ver: u32, change: ProposedChange, effects: &mut dyn Effects) {
        let (partition, epoch) = (state.partition, self.epoch);
        effects.propose(Proposal { partition, epoch, ver, change });
    }

    /// The steward wants an in-sync backup to be primary: from now on requests are deferred.
    pub(crate) fn hand_over(
        &mut self,
        state: &mut State,
        to: &NodeId,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let is_ready = self.targets.iter().any(|target| {
            target.replica.node == *to
                && target.standing == Standing::InSync
                && target.is_placed
                && target.is_complete
        });
        if !is_ready || !self.is_open || self.pending.is_some() || self.handover.is_some() {
            return;
        }
        effects.notice(Notice::HandoverStarted { to: to.clone() });
        self.handover = Some(Handover { to: to.clone(), since: now.ticks, is_proposed: false });
        self.tend_handover(state, now, effects);
    }

    /// Proposes the handover when nothing is in flight any more; gives it up when that takes too long.
    pub(super) fn tend_handover(&mut self, state: &State, now: Now, effects: &mut dyn Effects) {
        let Some(handover) = &mut self.handover else { return };
        if handover.is_proposed {
            return;
        }
        if state.commit == state.log.last().seq {
            handover.is_proposed = true;
            let change = ProposedChange::HandOver(handover.to.clone());
            return self.propose(state, change, now, effects);
        }
        if now.ticks.ms_since(handover.since) >= state.settings.handover_ms_max {
            self.handover = None;
            effects.notice(Notice::HandoverAborted);
            effects.resume();
        }
    }

    /// The steward does not need a backup any more.
    pub(crate) fn retire(&mut self, replica: &Replica) {
        self.retiring = Some(replica.clone());
    }

    /// The steward asks about a suspect. A member whose log holds the first entry of this epoch holds everything that was
    /// committed before it; what this epoch has committed so far it may have held and lost, so it must hold that too. From
    /// there on nothing is committed without it. With that on its disk it is proposed as a sound one. The question may come late: whoever was
    /// removed meanwhile and learns is nobody's to wait for, and is added like any learner.
    pub(crate) fn vouch(
        &mut self,
        state: &State,
        replica: &Replica,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let needed = self.barrier.max(state.commit);
        let holds_all = self.targets.iter().any(|target| {
            target.replica == *replica
                && target.standing == Standing::InSync
                && target.is_placed
                && target.is_complete
                && target.matched >= needed
        });
        if holds_all && self.is_open && self.pending.is_none() && self.handover.is_none() {
            self.propose(state, ProposedChange::Add(replica.clone()), now, effects);
        }
    }

    /// Whether requests must wait for the outcome of a handover.
    #[inline]
    pub(super) fn is_handing_over(&self) -> bool {
        self.handover.is_some()
    }

    /// Who led before is silent since it was last heard, not only since this replica leads: most likely it is dead. But it is
    /// given the time to answer.
    pub(crate) fn succeed(&mut self, state: &State, predecessor: &Replica, now: Now) {
        let settings = &state.settings;
        let counted_ms = settings.lag_ms_max.saturating_sub(settings.resend_ms);
        let earliest = Ticks(now.ticks.0.saturating_sub(counted_ms * 1_000));
        if let Some(target) = find(&mut self.targets, predecessor, true) {
            target.was_silent(state.last_acked.clamp(earliest, now.ticks));
        }
    }

    /// A backup has left the in-sync set. If it was only not needed there any more, that says nothing of its health.
    pub(super) fn note_removed(&mut self, replica: &Replica) {
        if self.retiring.as_ref() != Some(replica) {
            // A new life begins anew: whether the node flaps is the steward's to judge.
            self.removed.retain(|known, _| known.node != replica.node || known == replica);
            self.removed.entry(replica.clone()).or_insert(Removed { times: 0 }).times += 1;
        }
    }

    /// Notes how a learner does after it has spoken. While it is not known where it stands, that says nothing.
    pub(super) fn judge_health(&mut self, state: &State, replica: &Replica, now: Now) {
        let target = self.targets.iter_mut().find(|target| target.replica == *replica);
        if let Some(target) = target.filter(|target| target.is_placed) {
            let is_close = is_close(state, target);
            target.healthy_since =
                if is_close { target.healthy_since.or(Some(now.ticks)) } else { None };
        }
    }
}

/// It is whole, and lacks no more than one message carries.
fn is_close(state: &State, target: &Target) -> bool {
    let lag = state.log.last().seq.saturating_sub(target.matched);
    let lag_bytes = state.log.bytes_after(target.matched);
    let is_one_message = lag <= 1 || lag_bytes <= state.settings.append_bytes_max as u64;
    target.is_placed && target.is_complete && is_one_message
}

/// A backup that was removed before comes back only after a time in good health that doubles with every removal.
fn is_forgiven(settings: &Settings, removed: Option<&Removed>, target: &Target, now: Now) -> bool {
    let Some(removed) = removed else { return true };
    let doubled = settings.readd_ms.saturating_mul(1 << (removed.times - 1).min(16));
    let wait_ms = doubled.min(settings.readd_ms_max);
    target.healthy_since.is_some_and(|since| now.ticks.ms_since(since) >= wait_ms)
}
