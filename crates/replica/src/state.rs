//! [`State`]: what a replica has whatever its role is: data, log, sessions, promise and commit index.

use std::sync::Arc;

use isogrid_core::{
    Effect, Epoch, Hlc, LogPosition, PartitionEntry, PartitionId, Replica, Timestamp, version_of,
};
use isogrid_store::{KeyHash, Partition, hash_key};

use crate::entry::{Answer, Entry, Tag};
use crate::log::{Log, Match, Passed};
use crate::message::{Append, DigestAt};
use crate::readers::Readers;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::time::{Now, Ticks};

/// What a primary writes entries with.
pub(crate) struct Pen<'s> {
    log: &'s mut Log,
    sessions: &'s mut Sessions,
    hlc: &'s mut Hlc,
    epoch: Epoch,
    wall: Timestamp,
}

impl Pen<'_> {
    /// Appends an entry. The store has made its change already, or there is none.
    #[inline]
    pub(crate) fn append(
        &mut self,
        request: Option<Tag>,
        answer: Answer<'_>,
        effect: Effect<'_>,
    ) -> u64 {
        let position = LogPosition { epoch: self.epoch, seq: self.log.last().seq + 1 };
        *self.hlc = self.hlc.next(self.wall);
        let entry = Entry { position, hlc: *self.hlc, request, answer, effect };
        self.log.append(&entry);
        if request.is_some() || matches!(effect, Effect::EndSessions(_)) {
            self.sessions.record(&entry);
        }
        position.seq
    }
}

/// What every replica has.
pub(crate) struct State {
    pub(crate) me: Replica,
    pub(crate) partition: PartitionId,
    pub(crate) settings: Arc<Settings>,
    /// At a primary everything in the log, elsewhere everything up to `commit`.
    pub(crate) store: Partition,
    pub(crate) log: Log,
    pub(crate) sessions: Sessions,
    pub(crate) readers: Readers,
    /// Nothing of an earlier epoch is accepted (R1).
    pub(crate) promised: Epoch,
    /// The last epoch that this replica led.
    pub(crate) led: Epoch,
    /// How far this replica knows the log to be committed.
    pub(crate) commit: u64,
    /// How far the log is on disk; its end when nothing is to be on disk.
    persisted: u64,
    /// How often what the disk had became worthless: a copy was begun, or it was found damaged.
    pub(crate) disk_voided: u32,
    /// For which of these times an image was written since.
    pub(crate) imaged_for: u32,
    /// What was acknowledged as received meanwhile: only when that is on disk too the copy counts as whole.
    pub(crate) received: u64,
    pub(crate) hlc: Hlc,
    pub(crate) loss_generation: u32,
    /// How often changes that the data had shown were taken back.
    pub(crate) undone: u64,
    /// The newest committed entry of the table that was read.
    pub(crate) view: PartitionEntry,
    /// When this replica last acknowledged anything to a primary: until a lease's length after that, the primary may read
    /// without asking. The start of the process counts, because what was acknowledged before is not known any more.
    pub(crate) last_acked: Ticks,
    /// It comes from a damaged disk and may lack what it once acknowledged: an image of that would hide it from its next life.
    pub(crate) is_doubted: bool,
    /// Its data were found to differ from the primary's at an equal position.
    pub(crate) needs_repair: bool,
}

impl State {
    /// An empty replica.
    pub(crate) fn new(me: Replica, store: Partition, settings: Arc<Settings>, now: Now) -> Self {
        State {
            me,
            partition: store.id(),
            store,
            log: Log::new(LogPosition::START, settings.window),
            settings,
            sessions: Sessions::default(),
            readers: Readers::default(),
            promised: Epoch(0),
            led: Epoch(0),
            commit: 0,
            persisted: 0,
            disk_voided: 0,
            imaged_for: 0,
            received: 0,
            hlc: Hlc::default(),
            loss_generation: 0,
            undone: 0,
            view: PartitionEntry::default(),
            last_acked: now.ticks,
            needs_repair: false,
            is_doubted: false,
        }
    }

    /// A primary has told how far its log is committed. Once it has committed an entry of its own epoch, who has all of that lacks
    /// nothing that was ever acknowledged.
    pub(crate) fn hear_commit(&mut self, append: &Append) {
        let committed = self.log.position_of(append.commit);
        if self.commit >= append.commit && committed.is_some_and(|at| at.epoch == append.epoch) {
            self.is_doubted = false;
        }
    }

    /// Whether a position that somebody got in a receipt is part of this log. What lies before the window is, unless this
    /// history was ever declared lost: then nobody can tell.
    pub(crate) fn holds_history(&self, position: LogPosition) -> bool {
        match self.log.matches(position) {
            Match::Yes => true,
            Match::No => false,
            Match::TooOld => self.loss_generation == 0,
        }
    }

    /// The hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        hash_key(self.settings.hash_seed, key)
    }

    /// The position of the commit index.
    pub(crate) fn commit_position(&self) -> LogPosition {
        self.log.position_of(self.commit).expect("the window never begins after the commit index")
    }

    /// How far this replica's own copy counts (R8).
    #[inline]
    pub(crate) fn counted(&self) -> u64 {
        let last = self.log.last().seq;
        if self.settings.durable && self.settings.rules.persist_before_count {
            self.persisted.min(last)
        } else {
            last
        }
    }

    /// Whether the disk has what it must have of data that are whole.
    pub(crate) fn is_kept(&self) -> bool {
        let must_be = self.settings.durable && self.settings.rules.persist_before_count;
        !must_be || (self.disk_voided == self.imaged_for && self.counted() >= self.received)
    }

    /// How far an acknowledgement may go. While a copy is not on disk it says what was received: nobody counts that, and the
    /// primary sends on.
    pub(crate) fn acknowledged(&mut self, matched: u64) -> u64 {
        if self.disk_voided == self.imaged_for {
            return matched.min(self.counted());
        }
        self.received = self.received.max(matched);
        matched
    }

    /// Whether what has matched is still to come to the disk, which will be told.
    pub(crate) fn awaits_disk(&self, matched: u64) -> bool {
        self.disk_voided == self.imaged_for && self.counted() < matched
    }

    /// The log is on disk up to there, unless it was cut off meanwhile.
    pub(crate) fn persist(&mut self, position: LogPosition) {
        if self.log.position_of(position.seq) == Some(position) {
            self.persisted = self.persisted.max(position.seq);
        }
    }

    /// Entries after this one are gone.
    pub(crate) fn truncate_after(&mut self, seq: u64) {
        self.log.truncate_after(seq);
        self.persisted = self.persisted.min(seq);
        self.received = self.received.min(seq);
    }

    /// The log begins anew after this position, which is committed and on disk with everything before it.
    pub(crate) fn restart_log(&mut self, base: LogPosition) {
        self.log.reset(base);
        self.persisted = base.seq;
        self.received = 0;
        self.commit = base.seq;
    }

    /// Everything after this entry is taken out of log and sessions, committed or not: it belongs to a history that was
    /// declared lost. The data are mended by a copy.
    pub(crate) fn fall_back(&mut self, fork: u64) {
        self.truncate_after(fork);
        self.commit = self.commit.min(fork);
        self.sessions = Sessions::new(fork);
    }

    /// The log is of this generation: history was declared lost so often. Readers of an earlier one must be placed anew.
    pub(crate) fn lose_history(&mut self, loss_generation: u32) {
        if loss_generation > self.loss_generation {
            self.loss_generation = loss_generation;
            self.readers.lose_history(loss_generation);
        }
    }

    /// A copy is whole: the data are those of the commit index.
    pub(crate) fn finish_copy(&mut self, loss_generation: u32) {
        self.lose_history(loss_generation);
        self.needs_repair = false;
        self.store.restart_at(version_of(self.commit));
    }

    /// A new primary applies everything in its log, ready to take back what is not committed.
    pub(crate) fn speculate(&mut self) {
        self.store.restart_at(version_of(self.commit));
        self.store.journal(true);
        for seq in self.commit + 1..=self.log.last().seq {
            let entry = self.log.entry(seq).expect("what is not committed is in the window");
            let hash = hash_of(&entry.effect, self.settings.hash_seed);
            self.store.apply_journaled(version_of(seq), &entry.effect, hash);
            self.sessions.record(&entry);
            self.hlc = self.hlc.max(entry.hlc);
        }
    }

    /// A primary that steps down takes back what is not committed. The entries stay in its log. Says how many.
    pub(crate) fn take_back(&mut self) -> u64 {
        self.store.undo_after(version_of(self.commit));
        self.store.journal(false);
        self.sessions.forget_after(self.commit);
        let entries = self.log.last().seq - self.commit;
        self.undone += u64::from(entries > 0);
        entries
    }

    /// The wall clock for this partition: it follows the node's and never goes back, across failovers too.
    #[inline]
    pub(crate) fn time(&self, now: Now) -> Timestamp {
        now.wall.max(self.hlc.timestamp())
    }

    /// The store, and beside it the pen for entries of the log.
    #[inline]
    pub(crate) fn split(&mut self, epoch: Epoch, now: Now) -> (&mut Partition, Pen<'_>) {
        let pen = Pen {
            log: &mut self.log,
            sessions: &mut self.sessions,
            hlc: &mut self.hlc,
            epoch,
            wall: now.wall,
        };
        (&mut self.store, pen)
    }

    /// The digest here and now. The sessions' digest is of what is committed, so it can be compared only when that is all.
    pub(crate) fn digest(&self) -> DigestAt {
        let seq = self.log.last().seq;
        let is_settled = self.sessions.settled() == seq;
        let sessions = is_settled.then(|| self.sessions.digest());
        DigestAt { seq, data: self.store.digest(), sessions }
    }

    /// Whether a digest taken elsewhere is the one of the data here, which stand at its position and are settled. If not
    /// they need repair, until a comparison of everything finds them alike: with another primary they may be.
    pub(crate) fn compare(&mut self, expected: &DigestAt) -> bool {
        let agrees = self.store.digest() == expected.data
            && expected.sessions.is_none_or(|sessions| self.sessions.digest() == sessions);
        self.needs_repair = !agrees || (self.needs_repair && expected.sessions.is_none());
        agrees
    }

    /// Applies one committed entry of the own log.
    pub(crate) fn apply(&mut self, seq: u64) {
        let entry = self.log.entry(seq).expect("what is not applied yet is in the window");
        let hash = hash_of(&entry.effect, self.settings.hash_seed);
        self.store.apply(version_of(seq), &entry.effect, hash);
        self.sessions.record(&entry);
        self.hlc = self.hlc.max(entry.hlc);
    }

    /// Applies one committed entry of the own log to what is older than it: some of the data are as later entries made them.
    pub(crate) fn apply_to_older(&mut self, seq: u64) {
        let entry = self.log.entry(seq).expect("what is not applied yet is in the window");
        let hash = hash_of(&entry.effect, self.settings.hash_seed);
        self.store.apply_if_newer(version_of(seq), &entry.effect, hash);
        self.sessions.record(&entry);
        self.hlc = self.hlc.max(entry.hlc);
    }

    /// Makes room in the log's window: of what is committed, first what all readers have passed.
    pub(crate) fn prune(&mut self, now: Now) {
        // Without an image nothing in the log is for the disk.
        let for_disk = if self.disk_voided == self.imaged_for { self.counted() } else { u64::MAX };
        let commit = self.commit.min(for_disk);
        let required = self.readers.min_required().unwrap_or(commit).min(commit);
        let age_ms_max = self.log.limits().age_ms_max;
        let wanted = self.readers.min_wanted(now.wall, age_ms_max).unwrap_or(commit).min(commit);
        self.log.prune(commit, Passed { required, wanted }, now.wall);
    }
}

/// The hash of the key that an effect is about, if it has one; of a rename, of the new key.
#[inline]
pub(crate) fn hash_of(effect: &Effect<'_>, seed: u64) -> KeyHash {
    match effect {
        Effect::Put { key, .. } | Effect::Remove { key, .. } | Effect::Rename { to: key, .. } => {
            hash_key(seed, key)
        }
        Effect::Nothing | Effect::Clear { .. } | Effect::EndSessions(_) => KeyHash(0),
    }
}
