//! [`Copy`]: a learner's copy in progress. The learner asks, piece by piece, whoever is primary, so that a copy goes on
//! when its source dies; meanwhile the log's entries are applied to what is older than they are.
//!
//! A removal by the log leaves nothing that could win over an older copied record, so the keys that were removed while the
//! copy runs are remembered as tombstones. The copy is whole when all pieces have come and the log is applied up to the
//! last position at which a piece was read.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{Effect, LogPosition, MapId, Version, version_of};
use isogrid_store::WalkCursor;

use crate::effects::Effects;
use crate::entry::Entries;
use crate::message::{Chunk, Content, Piece};
use crate::notice::{CopyKind, Notice};
use crate::session::Sessions;
use crate::state::State;
use crate::time::Ticks;

/// How many keys are asked for at once.
const KEYS_PER_PIECE: usize = 256;

/// How many bytes and entries were copied, and of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records copied.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records to copy in all, as the primary last said.
    pub entries_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
}

/// What is to be asked for.
#[derive(Clone, Debug)]
enum Next {
    Piece(Piece),
    /// Something has come that is good only when the log is applied exactly up to here.
    Reach(u64, Reached),
    /// Nothing: only the log has to be applied.
    Nothing,
}

/// What is done at an exact position of the log.
#[derive(Clone, Debug)]
enum Reached {
    /// The buckets are compared with these digests.
    Compare(Vec<u128>),
    /// These sessions replace the own.
    Adopt(Box<Sessions>),
}

/// A copy in progress.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) kind: CopyKind,
    pub(crate) loss_generation: u32,
    pub(crate) progress: Progress,
    next: Next,
    /// When it was last asked for.
    asked_at: Option<Ticks>,
    /// Not to ask before: the copy keeps to its byte budget.
    not_before: Ticks,
    /// Buckets to copy after the present one.
    buckets: BTreeSet<u8>,
    /// Keys to copy after the present ones.
    keys: Vec<(MapId, Vec<u8>)>,
    /// The log must be applied this far.
    until: u64,
    tombstones: BTreeMap<(MapId, Vec<u8>), u64>,
    clears: BTreeMap<MapId, u64>,
}

impl Copy {
    fn new(kind: CopyKind, loss_generation: u32, first: Piece) -> Self {
        Copy {
            kind,
            loss_generation,
            progress: Progress::default(),
            next: Next::Piece(first),
            asked_at: None,
            not_before: Ticks(0),
            buckets: BTreeSet::new(),
            keys: Vec::new(),
            until: 0,
            tombstones: BTreeMap::new(),
            clears: BTreeMap::new(),
        }
    }

    /// A copy of everything.
    pub(crate) fn all(loss_generation: u32) -> Self {
        Copy::new(CopyKind::All, loss_generation, Piece::Start)
    }

    /// A copy of the buckets that differ.
    pub(crate) fn repair(loss_generation: u32) -> Self {
        Copy::new(CopyKind::Repair, loss_generation, Piece::Buckets)
    }

    /// A copy of these keys. Their records are gone from the store already.
    pub(crate) fn tail(loss_generation: u32, keys: Vec<(MapId, Vec<u8>)>) -> Self {
        let mut copy = Copy::new(CopyKind::Tail, loss_generation, Piece::Start);
        copy.keys = keys;
        copy.next = copy.next_keys();
        copy
    }

    /// Whether the log's base has still to come with the first piece, so that no entry can be placed yet.
    pub(crate) fn awaits_start(&self) -> bool {
        matches!(self.next, Next::Piece(Piece::Start))
    }

    /// Up to where the log may be applied now: not past a position where something is to be done.
    pub(crate) fn apply_limit(&self) -> u64 {
        match &self.next {
            Next::Reach(seq, _) => *seq,
            _ => u64::MAX,
        }
    }

    /// While a piece is under way that is good at one position only, the data wait for it.
    pub(crate) fn is_frozen(&self) -> bool {
        let is_exact = matches!(self.next, Next::Piece(Piece::Buckets | Piece::Sessions));
        is_exact && self.asked_at.is_some()
    }

    /// What to ask the primary now, if anything.
    pub(crate) fn ask(&mut self, now: Ticks, resend_ms: u64) -> Option<Piece> {
        let Next::Piece(piece) = &self.next else { return None };
        let waits = self.asked_at.is_some_and(|asked| now.ms_since(asked) < resend_ms);
        if waits || now < self.not_before {
            return None;
        }
        self.asked_at = Some(now);
        Some(piece.clone())
    }

    /// Another primary leads: what was asked of the earlier one is asked again.
    pub(crate) fn ask_again(&mut self) {
        self.asked_at = None;
    }

    /// Applies one committed entry of the log to what is older.
    pub(crate) fn apply(&mut self, state: &mut State, seq: u64) {
        let entry = state.log.entry(seq).expect("what is not applied yet is in the window");
        match entry.effect {
            Effect::Remove { map, key, .. } | Effect::Rename { map, from: key, .. } => {
                self.tombstones.insert((map, key.to_vec()), seq);
            }
            Effect::Clear { map } => {
                self.clears.insert(map, seq);
            }
            Effect::Put { .. } | Effect::Nothing | Effect::EndSessions(_) => {}
        }
        state.apply_to_older(seq);
    }

    /// Takes in a piece, if it is the one that was asked for.
    pub(crate) fn take(
        &mut self,
        state: &mut State,
        chunk: Chunk,
        now: Ticks,
        effects: &mut dyn Effects,
    ) {
        let asked = matches!(&self.next, Next::Piece(piece) if *piece == chunk.piece);
        if !asked || self.asked_at.is_none() || chunk.loss_generation != self.loss_generation {
            return;
        }
        (self.progress.entries_total, self.progress.bytes_total) = chunk.total;
        self.asked_at = None;
        let as_of = chunk.as_of;
        if self.take_content(state, chunk, now, effects) {
            self.until = self.until.max(as_of.seq);
        } else {
            // Damaged, in words that this version does not know, or too old: it is asked for again, but not at once.
            self.not_before = now.plus_ms(state.settings.resend_ms);
        }
    }

    /// Takes in what a piece holds. Says whether it was of use; if not, it is still to come.
    fn take_content(
        &mut self,
        state: &mut State,
        chunk: Chunk,
        now: Ticks,
        effects: &mut dyn Effects,
    ) -> bool {
        let (piece, as_of) = (chunk.piece, chunk.as_of);
        match (&piece, chunk.content) {
            (Piece::Start | Piece::Sessions, Content::Start { sessions, hlc }) => {
                let Some(sessions) = sessions_as_of(&sessions, as_of) else { return false };
                state.hlc = state.hlc.max(hlc);
                return self.take_sessions(state, &piece, as_of, sessions);
            }
            (
                Piece::Records(_) | Piece::Bucket(..) | Piece::Keys(_),
                Content::Records { records, next },
            ) => {
                if !self.load(state, &records, effects) {
                    return false;
                }
                let pause_ms =
                    records.len() as u64 * 1_000 / state.settings.copy_bytes_per_s.max(1);
                self.not_before = now.plus_ms(pause_ms);
                self.next = self.after(&piece, next);
                self.enter_bucket(state);
            }
            (Piece::Buckets, Content::Buckets(sums)) => {
                return self.reach(state.commit, as_of.seq, Reached::Compare(sums));
            }
            _ => return false,
        }
        true
    }

    fn take_sessions(
        &mut self,
        state: &mut State,
        piece: &Piece,
        as_of: LogPosition,
        sessions: Sessions,
    ) -> bool {
        if *piece == Piece::Sessions {
            return self.reach(state.commit, as_of.seq, Reached::Adopt(Box::new(sessions)));
        }
        state.store.forget_everything();
        state.restart_log(as_of);
        state.sessions = sessions;
        self.next = Next::Piece(Piece::Records(WalkCursor::default()));
        true
    }

    /// Something is to be done at a position. Says whether it still can: if that was passed, the piece is still to come.
    fn reach(&mut self, commit: u64, seq: u64, then: Reached) -> bool {
        let is_ahead = commit <= seq;
        if is_ahead {
            self.next = Next::Reach(seq, then);
        }
        is_ahead
    }

    /// Loads records. Says whether all could be read: a copy that lacked one would be taken for whole.
    fn load(&mut self, state: &mut State, records: &[u8], effects: &mut dyn Effects) -> bool {
        let mut progress = self.progress;
        for encoded in Entries::new(records) {
            let Ok(encoded) = encoded else { return false };
            let Effect::Put { map, key, value, expires_at } = encoded.entry.effect else {
                return false;
            };
            let seq = encoded.entry.position.seq;
            progress.entries += 1;
            progress.bytes += encoded.bytes.len() as u64;
            let cleared = self.clears.get(&map).is_some_and(|clear| *clear >= seq);
            let removed =
                self.tombstones.get(&(map, key.to_vec())).is_some_and(|gone| *gone >= seq);
            if cleared || removed {
                effects.notice(Notice::StaleRecordSkipped);
                continue;
            }
            let entry = isogrid_core::Entry { value, version: version_of(seq), expires_at };
            let hash = state.hash(key);
            state.store.load(map, hash, key, &entry);
        }
        self.progress = progress;
        true
    }

    /// What comes after a piece of records.
    fn after(&mut self, piece: &Piece, next: Option<WalkCursor>) -> Next {
        match (piece, next) {
            (Piece::Records(_), Some(cursor)) => Next::Piece(Piece::Records(cursor)),
            (Piece::Bucket(bucket, _), Some(cursor)) => Next::Piece(Piece::Bucket(*bucket, cursor)),
            (Piece::Bucket(..), None) => self.next_bucket(),
            (Piece::Keys(_), _) => self.next_keys(),
            _ => Next::Nothing,
        }
    }

    fn next_bucket(&mut self) -> Next {
        match self.buckets.pop_first() {
            Some(bucket) => Next::Piece(Piece::Bucket(bucket, WalkCursor::default())),
            None => Next::Piece(Piece::Sessions),
        }
    }

    fn next_keys(&mut self) -> Next {
        if self.keys.is_empty() {
            return Next::Piece(Piece::Sessions);
        }
        let rest = self.keys.split_off(self.keys.len().min(KEYS_PER_PIECE));
        Next::Piece(Piece::Keys(std::mem::replace(&mut self.keys, rest)))
    }

    /// The log is applied as far as it may be: what was to be done at this position is done.
    pub(crate) fn arrive(&mut self, state: &mut State) {
        let Next::Reach(seq, _) = &self.next else { return };
        if state.commit != *seq {
            return;
        }
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Reach(_, Reached::Compare(sums)) => {
                let own = state.store.bucket_digests();
                let pairs = own.sums().iter().zip(&sums).enumerate();
                let differing = pairs.filter(|(_, (own, theirs))| own != theirs);
                self.buckets = differing.map(|(bucket, _)| bucket as u8).collect();
                self.next = self.next_bucket();
                self.enter_bucket(state);
            }
            Next::Reach(_, Reached::Adopt(sessions)) => state.sessions = *sessions,
            other => self.next = other,
        }
    }

    /// A bucket that is copied anew is emptied first: records that the primary does not have must go.
    fn enter_bucket(&self, state: &mut State) {
        let Next::Piece(Piece::Bucket(bucket, cursor)) = self.next else { return };
        if cursor != WalkCursor::default() {
            return;
        }
        loop {
            let page = state.store.walk_bucket(bucket, WalkCursor::default(), 1 << 20);
            let keys: Vec<_> = page
                .records
                .iter()
                .map(|record| (record.map, record.hash, record.key.to_vec()))
                .collect();
            if keys.is_empty() {
                return;
            }
            for (map, hash, key) in keys {
                state.store.remove_copied(map, hash, &key);
            }
        }
    }

    /// Whether everything has come and the log is applied far enough.
    pub(crate) fn is_whole(&self, commit: u64) -> bool {
        matches!(self.next, Next::Nothing) && commit >= self.until
    }
}

/// Sessions from their bytes, if they are those of this position.
fn sessions_as_of(bytes: &[u8], as_of: LogPosition) -> Option<Sessions> {
    let sessions = Sessions::decode(bytes).ok()?;
    let is_possible = as_of.seq <= Version::MAX.0;
    (sessions.settled() == as_of.seq && is_possible).then_some(sessions)
}

#[cfg(test)]
#[path = "copy_test.rs"]
mod tests;
