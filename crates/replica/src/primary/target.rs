//! [`Target`]: one replica that a primary sends its log to, and what it knows of it.

use isogrid_core::{LogPosition, Replica};

use crate::effects::Effects;
use crate::log::Match;
use crate::message::{Ack, Append, DigestAt, Message, Mismatch, Offer};
use crate::readers::{ReaderId, ReaderKind};
use crate::state::State;
use crate::time::{Now, Ticks};

/// Whether the primary waits for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In the committed in-sync set.
    InSync,
    /// About to be proposed for it, or proposed: required until a later table is read (R6).
    Joining,
    /// Catching up.
    Learner,
}

/// What a primary says in every message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) leads: bool,
    pub(crate) round: u64,
    pub(crate) digest: Option<DigestAt>,
}

/// A replica that the primary sends its log to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) replica: Replica,
    pub(crate) reader: ReaderId,
    pub(crate) standing: Standing,
    /// Since when this primary has sent to it.
    since: Ticks,
    /// The first entry not sent yet.
    next: u64,
    /// Its log is the primary's up to here.
    pub(crate) matched: u64,
    /// Whether its log has matched in this epoch; until then one message at a time looks for the place.
    pub(crate) is_placed: bool,
    /// When that was lost last: an answer to something older does not say where to go on, for more may be on its way.
    displaced_at: Ticks,
    /// The end of the last message with which its place was looked for: who accepts that message has everything up to there,
    /// though it may not be on its disk yet.
    sought: u64,
    told_commit: u64,
    sent_at: Option<Ticks>,
    /// When the last message that it acknowledged was sent: its lease counts from there.
    pub(crate) acked_sent_at: Option<Ticks>,
    /// Its clock, as it last told.
    stamp: Ticks,
    pub(crate) acked_round: u64,
    pub(crate) is_complete: bool,
    /// Its data differ: it must leave the in-sync set and be mended.
    pub(crate) differs: bool,
    /// An entry that it lacked, and since when.
    behind: Option<(u64, Ticks)>,
    /// Since when it has been up to date, complete and talking.
    pub(crate) healthy_since: Option<Ticks>,
    digest_sent: u64,
    offered_at: Option<Ticks>,
}

impl Target {
    pub(crate) fn new(replica: Replica, standing: Standing, state: &mut State, now: Now) -> Self {
        let kind = match standing {
            Standing::Learner => ReaderKind::Learner,
            Standing::InSync | Standing::Joining => ReaderKind::Backup,
        };
        let reader = state.readers.open(kind, true, state.commit, now.wall);
        Target {
            replica,
            reader,
            standing,
            since: now.ticks,
            next: state.log.last().seq + 1,
            matched: 0,
            is_placed: false,
            displaced_at: Ticks(0),
            sought: 0,
            told_commit: 0,
            sent_at: None,
            acked_sent_at: None,
            stamp: Ticks(0),
            acked_round: 0,
            is_complete: false,
            differs: false,
            behind: None,
            healthy_since: None,
            digest_sent: 0,
            offered_at: None,
        }
    }

    /// Sends what is due: entries that are new, or an empty message when `must_speak`.
    pub(crate) fn send(
        &mut self,
        state: &State,
        voice: &Voice,
        must_speak: bool,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        if !self.is_placed {
            let waits = self
                .sent_at
                .is_some_and(|sent| now.ticks.ms_since(sent) < state.settings.resend_ms);
            if !waits || must_speak {
                self.next = self.next.clamp(state.log.base().seq + 1, state.log.last().seq + 1);
                self.send_one(state, voice, now, effects);
            }
            return;
        }
        let mut has_spoken = false;
        while self.next <= state.log.last().seq && self.has_room(state) {
            if !self.send_one(state, voice, now, effects) {
                return;
            }
            has_spoken = true;
        }
        if must_speak && !has_spoken {
            self.send_one(state, voice, now, effects);
        }
    }

    /// Whether it is in sync, has everything, and knows that all of that is committed.
    pub(crate) fn is_at_rest(&self, state: &State) -> bool {
        self.standing == Standing::InSync
            && self.is_placed
            && !self.differs
            && self.matched == state.log.last().seq
            && self.told_commit == state.commit
    }

    /// Speaks when there is something to tell although nothing is new, and again when there was no answer.
    pub(crate) fn tick(
        &mut self,
        state: &State,
        voice: &Voice,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let is_quiet =
            self.sent_at.is_none_or(|sent| now.ticks.ms_since(sent) >= state.settings.resend_ms);
        let is_unanswered = self.is_placed && self.matched + 1 < self.next && is_quiet;
        if is_unanswered {
            self.displace(now);
            self.next = self.matched + 1;
        }
        let has_digest = self.is_placed
            && voice
                .digest
                .is_some_and(|digest| (self.digest_sent + 1..self.next).contains(&digest.seq));
        let knows = self.told_commit == state.commit && !has_digest;
        let is_copying = self.standing == Standing::Learner && !self.is_complete;
        // A backup is to know how fresh it is, and a learner whom to ask for its copy.
        let refresh_ms = state.settings.refresh_ms;
        let is_stale = self.sent_at.is_none_or(|sent| now.ticks.ms_since(sent) >= refresh_ms);
        let must_speak = (self.is_placed && !knows) || is_stale || (is_quiet && is_copying);
        self.send(state, voice, must_speak, now, effects);
    }

    fn has_room(&self, state: &State) -> bool {
        let unsent = state.log.bytes_after(self.next - 1);
        let in_flight = state.log.bytes_after(self.matched) - unsent;
        in_flight == 0 || in_flight < state.settings.in_flight_bytes_max as u64
    }

    /// Sends one message; says whether the entries it needs are in the window.
    fn send_one(
        &mut self,
        state: &State,
        voice: &Voice,
        now: Now,
        effects: &mut dyn Effects,
    ) -> bool {
        let after = self.next - 1;
        let Some(prev) = state.log.position_of(after) else { return self.lose_place(state, now) };
        let mut entries = Vec::new();
        let bytes_max = state.settings.append_bytes_max;
        // What was not answered is asked for again without entries: the answer says what is missing.
        let is_probe = !self.is_placed && self.sent_at.is_some();
        let sent =
            if is_probe { None } else { state.log.read_batch(after, bytes_max, &mut entries) };
        let sent = sent.unwrap_or(after);
        let digest =
            voice.digest.filter(|digest| digest.seq > self.digest_sent && digest.seq <= sent);
        if let Some(digest) = digest {
            self.digest_sent = digest.seq;
        }
        if self.is_placed {
            self.next = sent + 1;
        } else {
            self.sought = sent;
        }
        self.told_commit = state.commit;
        self.sent_at = Some(now.ticks);
        let append = Append {
            epoch: state.promised,
            prev,
            entries,
            commit: state.commit,
            sent_at: now.ticks,
            echo: self.stamp,
            leads: voice.leads,
            round: voice.round,
            loss_generation: state.loss_generation,
            digest,
        };
        effects.send(&self.replica, Message::Append(append));
        true
    }

    /// Where it stands is not known any more.
    fn displace(&mut self, now: Now) {
        if std::mem::take(&mut self.is_placed) {
            self.displaced_at = now.ticks;
        }
    }

    /// The window has moved on: where the logs agree must be found anew.
    fn lose_place(&mut self, state: &State, now: Now) -> bool {
        self.displace(now);
        self.next = state.log.base().seq + 1;
        false
    }

    /// It acknowledges a message of this epoch.
    pub(crate) fn acked(&mut self, state: &mut State, ack: &Ack, now: Now) {
        self.heard(ack.sent_at, ack.stamp, now);
        self.acked_round = self.acked_round.max(ack.round);
        self.is_complete = ack.complete;
        let is_own =
            !state.settings.rules.match_epochs || state.log.matches(ack.matched) != Match::No;
        if is_own && ack.matched.seq <= state.log.last().seq {
            self.matched = self.matched.max(ack.matched.seq);
            self.next = self.next.max(self.matched + 1);
            if !self.is_placed && ack.sent_at >= self.displaced_at {
                self.is_placed = true;
                let is_found = self.sent_at.is_some_and(|sought_at| ack.sent_at >= sought_at);
                let has = if is_found { self.sought } else { 0 };
                self.next = self.matched.max(has) + 1;
            }
            state.readers.advance(self.reader, self.matched, now.wall);
        }
        self.judge(state.log.last().seq, now);
    }

    /// It answered a message, whatever the answer: it has promised nothing above this epoch. What answers a message that
    /// was not sent yet is no answer, and would be a lease for ever.
    pub(crate) fn heard(&mut self, sent_at: Ticks, stamp: Ticks, now: Now) {
        if sent_at <= now.ticks {
            self.acked_sent_at = self.acked_sent_at.max(Some(sent_at));
            self.stamp = self.stamp.max(stamp);
        }
    }

    /// How it keeps up: by marks, the end of the log at some moment, that it must have passed within the limit.
    pub(crate) fn judge(&mut self, last: u64, now: Now) {
        match self.behind {
            _ if self.matched >= last => self.behind = None,
            Some((mark, _)) if self.matched < mark => {}
            _ => self.behind = Some((last, now.ticks)),
        }
    }

    /// For how long it has been behind, or silent.
    pub(crate) fn trouble_ms(&self, now: Now) -> u64 {
        let behind = self.behind.map_or(0, |(_, since)| now.ticks.ms_since(since));
        let heard = self.acked_sent_at.map_or(self.since, |heard| heard.max(self.since));
        behind.max(now.ticks.ms_since(heard))
    }

    /// It could not place a message: where to try next (R7). Answers whether it needs a copy.
    pub(crate) fn mismatched(&mut self, state: &mut State, mismatch: &Mismatch, now: Now) -> bool {
        self.heard(mismatch.sent_at, mismatch.stamp, now);
        let tried = (!self.is_placed).then_some(self.next - 1);
        let refused = tried.filter(|_| self.sent_at == Some(mismatch.sent_at));
        self.displace(now);
        // Where it has refused already the logs do not agree, and a walk back that ends there ends nowhere.
        let walked = || walk_back(state, mismatch).filter(|place| Some(place.seq) != refused);
        let place = [mismatch.tail, mismatch.commit]
            .into_iter()
            .find(|position| state.log.matches(*position) == Match::Yes)
            .or_else(walked);
        let Some(place) = place else { return true };
        // A position that it has, and yet refuses to go on from: it waits for the beginning of a copy. It is not asked again
        // at once.
        if tried != Some(place.seq) {
            self.sent_at = None;
        }
        self.next = place.seq + 1;
        state.readers.place(self.reader, place.seq, now.wall);
        false
    }

    /// It was silent before it was a target.
    pub(crate) fn was_silent(&mut self, since: Ticks) {
        self.since = since;
    }

    /// It left the in-sync set and learns now: whether it is well shows from here on.
    pub(crate) fn was_removed(&mut self) {
        self.differs = false;
        self.healthy_since = None;
    }

    /// Tells a learner that deltas will not do.
    pub(crate) fn offer(&mut self, state: &State, now: Now, effects: &mut dyn Effects) {
        let waits =
            self.offered_at.is_some_and(|at| now.ticks.ms_since(at) < state.settings.resend_ms);
        if self.standing != Standing::Learner || waits {
            return;
        }
        self.offered_at = Some(now.ticks);
        self.sent_at = Some(now.ticks);
        let offer = Offer {
            epoch: state.promised,
            loss_generation: state.loss_generation,
            base: state.log.base(),
            runs: state.log.runs(),
            last: state.log.last(),
        };
        effects.send(&self.replica, Message::Offer(offer));
    }

    /// A copy of everything begins here, and deltas follow.
    pub(crate) fn copies_from(&mut self, state: &mut State, position: LogPosition, now: Now) {
        self.displace(now);
        self.sent_at = None;
        self.matched = self.matched.min(position.seq);
        self.next = position.seq + 1;
        state.readers.place(self.reader, position.seq, now.wall);
    }
}

/// The newest own position that may agree with the follower's, above its commit index.
fn walk_back(state: &State, mismatch: &Mismatch) -> Option<LogPosition> {
    let candidate = state.log.candidate(mismatch.tail)?;
    (candidate.seq >= mismatch.commit.seq && candidate < mismatch.tail).then_some(candidate)
}
