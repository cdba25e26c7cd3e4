//! [`Follower`]: what backups and learners have in common: they take entries into their log where it is the primary's,
//! acknowledge what matches, and learn how far it is committed.

use std::collections::VecDeque;

use isogrid_core::{Epoch, LogPosition, Replica};

use crate::effects::{Effects, Refusal, Response};
use crate::entry::Entries;
use crate::event::{ReadMode, Request};
use crate::log::Match;
use crate::message::{Ack, Append, DigestAt, Message, Mismatch};
use crate::notice::Notice;
use crate::state::State;
use crate::time::{Now, Ticks};

/// How many digests of the primary may wait for their entry to be applied.
const DIGESTS_MAX: usize = 16;

/// For so long an acknowledgement may wait for the disk. It brings back the primary's clock too, for leases of a second.
const ACK_WAIT_MS: u64 = 50;

/// What a follower knows of the primary of its promised epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Follower {
    /// Who leads, once it has spoken.
    pub(crate) primary: Option<Replica>,
    /// How far the own log is known to be the primary's.
    matched: u64,
    /// The primary's clock and round in its last message: what an acknowledgement brings back.
    heard: Option<Heard>,
    /// What it was told last, and when.
    told: Option<(Told, Ticks)>,
    digests: VecDeque<DigestAt>,
    /// A commit index, and a moment of the own clock before which nothing beyond it was committed.
    news: Option<(u64, Ticks)>,
    /// The own data hold everything that was committed before this moment of the own clock.
    fresh: Option<Ticks>,
}

/// The primary's last message: what an acknowledgement brings back.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    epoch: Epoch,
    sent_at: Ticks,
    round: u64,
}

/// What is news to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    epoch: Epoch,
    round: u64,
    counted: u64,
    complete: bool,
}

/// A disagreement between logs below the own commit index is possible only after data were declared lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// The log is the primary's up to here.
    Through(u64),
    /// The entry before the first one is not here, or a committed one disagrees.
    Mismatch,
}

impl Follower {
    /// A follower that has been fresh until now; the primary is not known yet.
    pub(crate) fn after(earlier: Option<Ticks>) -> Self {
        Follower { fresh: earlier, ..Follower::default() }
    }

    /// The moment up to which its data are complete.
    pub(crate) fn fresh(&self) -> Option<Ticks> {
        self.fresh
    }

    /// Takes what fits into the log (R7): nothing unless the entry before the first one is the same, nothing is cut off
    /// but from the first conflicting entry on, and never what is committed.
    pub(crate) fn accept(
        &mut self,
        state: &mut State,
        append: &Append,
        effects: &mut dyn Effects,
    ) -> Accepted {
        let by_number_alone = !state.settings.rules.match_epochs
            && append.prev.seq <= state.log.last().seq
            && append.prev.seq >= state.log.base().seq;
        if state.log.matches(append.prev) != Match::Yes && !by_number_alone {
            return Accepted::Mismatch;
        }
        let mut matched = append.prev.seq;
        for encoded in Entries::new(&append.entries) {
            let Ok(encoded) = encoded else { break };
            let position = encoded.entry.position;
            if position.seq != matched + 1 || position.epoch > append.epoch {
                break;
            }
            let is_held = position.seq <= state.log.last().seq;
            let is_same = is_held
                && (by_number_alone || state.log.position_of(position.seq) == Some(position));
            if !is_same {
                if position.seq <= state.commit {
                    return Accepted::Mismatch;
                }
                // Epochs never go back within a log. Nothing is cut off for an entry that cannot take its place.
                let log = &state.log;
                let before = if is_held { log.position_of(matched) } else { Some(log.last()) };
                if before.is_none_or(|before| position.epoch < before.epoch) {
                    break;
                }
                if is_held {
                    cut_off(state, matched, effects);
                }
                state.log.append_encoded(encoded.bytes);
            }
            matched = position.seq;
        }
        self.matched = self.matched.max(matched);
        if matched >= state.commit {
            // Everything that is committed here is in the primary's history: no tail of a lost one is left.
            state.lose_history(append.loss_generation);
        }
        Accepted::Through(matched)
    }

    /// Remembers what a message says beside its entries.
    pub(crate) fn hear(&mut self, from: &Replica, append: &Append, commit: u64) {
        if self.primary.as_ref() != Some(from) {
            self.primary = Some(from.clone());
        }
        let heard = self.heard.get_or_insert_default();
        if heard.epoch != append.epoch {
            *heard = Heard { epoch: append.epoch, ..Heard::default() };
        }
        heard.sent_at = heard.sent_at.max(append.sent_at);
        heard.round = heard.round.max(append.round);
        if append.leads && self.news.is_none_or(|(_, since)| since < append.echo) {
            self.news = Some((append.commit, append.echo));
        }
        if let Some(digest) = append.digest
            && digest.seq >= commit
            && self.digests.back().is_none_or(|last| last.seq < digest.seq)
            && self.digests.len() < DIGESTS_MAX
        {
            self.digests.push_back(digest);
        }
    }

    /// Up to where the primary's commit index may be believed: only where the log is the primary's. A copy that began anew
    /// may have taken some of what had matched.
    pub(crate) fn committed(&self, state: &State, append: &Append) -> u64 {
        append.commit.min(self.matched).min(state.log.last().seq)
    }

    /// The data are now what they were at the primary after this entry: are they alike? `None` when nobody has said what
    /// they should be.
    pub(crate) fn compare(&mut self, state: &mut State, seq: u64) -> Option<bool> {
        let mut verdict = None;
        while let Some(&expected) = self.digests.front() {
            if expected.seq > seq {
                break;
            }
            if expected.seq == seq {
                verdict = Some(state.compare(&expected));
            }
            self.digests.pop_front();
        }
        verdict
    }

    /// After entries were applied: how fresh the data are.
    pub(crate) fn refresh(&mut self, commit: u64) {
        if let Some((index, since)) = self.news
            && commit >= index
        {
            self.fresh = self.fresh.max(Some(since));
            self.news = None;
        }
    }

    /// The primary has spoken. What it sent counts when it is on disk, and then it is acknowledged; before, there is mostly
    /// nothing that the primary does not know. A message without entries is a question: it is answered at once.
    pub(crate) fn answer(
        &mut self,
        state: &mut State,
        append: &Append,
        complete: bool,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        if append.entries.is_empty() || !self.can_wait(state, complete, now) {
            self.acknowledge(state, complete, now, effects);
        }
    }

    fn can_wait(&self, state: &State, complete: bool, now: Now) -> bool {
        let (Some(heard), Some((told, at))) = (self.heard, self.told) else { return false };
        let Heard { epoch, round, .. } = heard;
        state.awaits_disk(self.matched)
            && told == Told { epoch, round, counted: state.counted(), complete }
            && now.ticks.ms_since(at) < ACK_WAIT_MS
    }

    /// The acknowledgement of what has matched and counts.
    pub(crate) fn acknowledge(
        &mut self,
        state: &mut State,
        complete: bool,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let (Some(primary), Some(heard)) = (&self.primary, self.heard) else { return };
        let Heard { epoch, sent_at, round } = heard;
        let counted = state.acknowledged(self.matched);
        let Some(matched) = state.log.position_of(counted.max(state.log.base().seq)) else {
            return;
        };
        state.last_acked = now.ticks;
        self.told = Some((Told { epoch, round, counted, complete }, now.ticks));
        let ack = Ack {
            epoch,
            matched,
            applied: state.commit,
            sent_at,
            stamp: now.ticks,
            round,
            complete,
        };
        effects.send(primary, Message::Ack(ack));
    }

    /// Answers a read from the own data, if they are as new as the read wants.
    pub(crate) fn read(
        &self,
        state: &mut State,
        request: &Request<'_>,
        is_whole: bool,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let refuse = |why| Response::Refused(why);
        let is_new_enough = match request.mode {
            _ if !request.op.is_read() => {
                return effects.respond(request.ticket, refuse(Refusal::NotOwner));
            }
            ReadMode::Lease | ReadMode::Confirmed => {
                return effects.respond(request.ticket, refuse(Refusal::NotOwner));
            }
            ReadMode::Any => is_whole,
            ReadMode::Backup { staleness_ms_max } => {
                is_whole
                    && self.fresh.is_some_and(|fresh| now.ticks.ms_since(fresh) < staleness_ms_max)
            }
        };
        if !is_new_enough {
            return effects.respond(request.ticket, refuse(Refusal::TooFarBehind));
        }
        if let Some(position) = request.at_least {
            if position.seq > state.commit || position.epoch > state.promised {
                return effects.respond(request.ticket, refuse(Refusal::TooFarBehind));
            }
            if !state.holds_history(position) {
                return effects.respond(request.ticket, refuse(Refusal::PositionLost));
            }
        }
        let context = isogrid_store::Context { now: state.time(now), over_mark: false };
        let reply = state.store.execute(request.map, &request.op, request.hash, &context);
        let newest = crate::shown::version_shown(&reply);
        effects.notice(Notice::BackupRead);
        effects.respond(request.ticket, Response::Read { reply, newest });
    }
}

/// Tells the primary from where the logs may agree: an own position with neither a later epoch nor a larger number than
/// its own, and never one before the commit index, where all logs agree unless data were declared lost.
pub(crate) fn refuse_mismatch(
    state: &mut State,
    to: &Replica,
    append: &Append,
    now: Now,
    effects: &mut dyn Effects,
) {
    let commit = state.commit_position();
    let candidate = state.log.candidate(append.prev).unwrap_or(commit);
    let tail: LogPosition = if candidate.seq < commit.seq { commit } else { candidate };
    state.last_acked = now.ticks;
    let mismatch =
        Mismatch { epoch: append.epoch, tail, commit, sent_at: append.sent_at, stamp: now.ticks };
    effects.send(to, Message::Mismatch(mismatch));
}

fn cut_off(state: &mut State, after: u64, effects: &mut dyn Effects) {
    assert!(after >= state.commit, "what is committed is never cut off");
    effects.notice(Notice::Truncated { entries: state.log.last().seq - after });
    state.truncate_after(after);
}

#[cfg(test)]
#[path = "follower_test.rs"]
mod tests;
