//! What a primary gives to those who copy: pieces, each sent only when all it shows is committed; and digests to compare.

use isogrid_core::{MapId, Replica};
use isogrid_store::{WalkCursor, Walked};

use super::target::Standing;
use super::{Primary, find};
use crate::effects::Effects;
use crate::image::put_record;
use crate::message::{Chunk, Content, Message, Piece};
use crate::notice::Notice;
use crate::state::State;
use crate::time::Now;

/// How many pieces may wait for their commit; more are asked for again.
const PIECES_MAX: usize = 64;

impl Primary {
    /// A learner asks for a piece of a copy.
    pub(crate) fn pulled(
        &mut self,
        state: &mut State,
        from: &Replica,
        piece: Piece,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let Some(target) = find(&mut self.targets, from, true) else { return };
        let is_waiting =
            self.pieces.iter().any(|(_, to, chunk)| to == from && chunk.piece == piece);
        if !self.is_open || is_waiting || self.pieces.len() >= PIECES_MAX {
            return;
        }
        // Sessions are encoded as of the commit index, all else shows everything in the log.
        let is_of_sessions = matches!(piece, Piece::Start | Piece::Sessions);
        let as_of = if is_of_sessions { state.commit_position() } else { state.log.last() };
        if piece == Piece::Start {
            target.copies_from(state, as_of, now);
        }
        let content = content(state, &piece);
        let total = (state.store.total_entries() as u64, state.store.total_bytes() as u64);
        let chunk = Chunk {
            epoch: self.epoch,
            loss_generation: state.loss_generation,
            piece,
            as_of,
            content,
            total,
        };
        self.pieces.push((as_of.seq, from.clone(), chunk));
        self.send_pieces(state, effects);
    }

    /// Sends the pieces that show only what is committed by now.
    pub(super) fn send_pieces(&mut self, state: &State, effects: &mut dyn Effects) {
        if self.pieces.is_empty() {
            return;
        }
        let (ready, waiting) = std::mem::take(&mut self.pieces)
            .into_iter()
            .partition(|(seq, ..)| *seq <= state.commit);
        self.pieces = waiting;
        for (_, to, chunk) in ready {
            let chunk: Chunk = chunk;
            effects.send(&to, Message::Chunk(Box::new(chunk)));
        }
    }

    /// Takes a digest of the data when it is time: every so many entries, and now and then when all is quiet.
    pub(super) fn sample(&mut self, state: &State, now: Now) {
        let last = state.log.last().seq;
        let sampled = self.digest.map_or(0, |digest| digest.seq);
        let fresh = last.saturating_sub(sampled);
        let is_quiet = state.commit == last
            && now.ticks.ms_since(self.digest_taken_at) >= state.settings.digest_ms;
        if fresh > 0 && (fresh >= state.settings.digest_every || is_quiet) {
            self.digest = Some(state.digest());
            self.digest_taken_at = now.ticks;
        }
    }

    /// A backup's data differ from these. One that learns already is being mended, and what it said as a backup came late:
    /// remembered, it would remove the mended copy again.
    pub(crate) fn differs(&mut self, from: &Replica, effects: &mut dyn Effects) {
        let target = find(&mut self.targets, from, true);
        if let Some(target) = target.filter(|target| target.standing != Standing::Learner) {
            target.differs = true;
            effects.notice(Notice::DigestMismatch);
        }
    }
}

fn content(state: &State, piece: &Piece) -> Content {
    let bytes_max = state.settings.chunk_bytes_max;
    match piece {
        Piece::Start | Piece::Sessions => {
            let mut sessions = Vec::new();
            state.sessions.encode(&mut sessions);
            Content::Start { sessions, hlc: state.hlc }
        }
        Piece::Records(cursor) => walked(&state.store.walk(*cursor, bytes_max)),
        Piece::Bucket(bucket, cursor) => {
            walked(&state.store.walk_bucket(*bucket, *cursor, bytes_max))
        }
        Piece::Buckets => Content::Buckets(state.store.bucket_digests().sums().to_vec()),
        Piece::Keys(keys) => Content::Records { records: records_of(state, keys), next: None },
    }
}

fn walked(page: &Walked<'_>) -> Content {
    let mut records = Vec::new();
    for record in &page.records {
        put_record(&mut records, record.map, record.key, &record.entry);
    }
    let next: Option<WalkCursor> = page.next;
    Content::Records { records, next }
}

fn records_of(state: &State, keys: &[(MapId, Vec<u8>)]) -> Vec<u8> {
    let mut records = Vec::new();
    for (map, key) in keys {
        if let Some(entry) = state.store.peek(*map, state.hash(key), key) {
            put_record(&mut records, *map, key, &entry);
        }
    }
    records
}
