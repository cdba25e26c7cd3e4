//! Tests of copies: a piece that cannot be read is asked for again, and never taken for what it should have been.

use std::sync::Arc;

use isogrid_core::{Epoch, Hlc, Incarnation, Limits, NodeId, PartitionId, Replica};
use isogrid_store::Partition;

use super::*;
use crate::effects::Recorded;
use crate::image::put_record;
use crate::settings::Settings;
use crate::time::Now;

const RESEND_MS: u64 = 200;

fn state() -> State {
    let me = Replica { node: NodeId::new("b"), incarnation: Incarnation(1) };
    let store = Partition::new(PartitionId(0), 42, &Limits::default());
    let settings = Settings { hash_seed: 42, resend_ms: RESEND_MS, ..Settings::default() };
    State::new(me, store, Arc::new(settings), Now::default())
}

fn chunk(piece: Piece, seq: u64, content: Content) -> Chunk {
    let as_of = LogPosition::new(1, seq);
    Chunk { epoch: Epoch(1), loss_generation: 0, piece, as_of, content, total: (2, 100) }
}

fn start(settled: u64) -> Content {
    let mut sessions = Vec::new();
    Sessions::new(settled).encode(&mut sessions);
    Content::Start { sessions, hlc: Hlc(7) }
}

fn records() -> Vec<u8> {
    let mut records = Vec::new();
    for key in [b"k1", b"k2"] {
        let entry = isogrid_core::Entry { value: b"v", version: version_of(3), expires_at: None };
        put_record(&mut records, MapId(0), key, &entry);
    }
    records
}

/// The piece comes with this content, which cannot be read: it is asked for again after a while.
fn assert_asked_again(copy: &mut Copy, state: &mut State, piece: &Piece, seq: u64, bad: Content) {
    let begin = copy.not_before;
    assert_eq!(copy.ask(begin, RESEND_MS).as_ref(), Some(piece));
    copy.take(state, chunk(piece.clone(), seq, bad), begin, &mut Recorded::default());
    assert!(!copy.is_whole(u64::MAX), "it is still to come");
    assert_eq!(copy.ask(begin, RESEND_MS), None, "not at once: the answer would be the same");
    let later = begin.plus_ms(RESEND_MS);
    assert_eq!(copy.ask(later, RESEND_MS).as_ref(), Some(piece));
    copy.asked_at = None;
}

#[test]
fn a_copy_without_a_record_that_could_not_be_read_is_not_whole() {
    let (mut copy, mut state) = (Copy::all(0), state());
    let piece = Piece::Records(WalkCursor::default());
    copy.next = Next::Piece(piece.clone());
    let content = |records| Content::Records { records, next: None };
    let mut of_another_version = records();
    let second = of_another_version.len() / 2;
    of_another_version[second + 4] = 9;
    assert_asked_again(&mut copy, &mut state, &piece, 3, content(of_another_version));
    assert_eq!(copy.progress.entries, 0);
    let mut removal = records();
    removal[second + 6] = 2;
    assert_asked_again(&mut copy, &mut state, &piece, 3, content(removal));
    let now = copy.not_before;
    assert!(copy.ask(now, RESEND_MS).is_some());
    copy.take(&mut state, chunk(piece, 3, content(records())), now, &mut Recorded::default());
    assert!(copy.is_whole(3));
    assert_eq!((copy.progress.entries, state.store.total_entries()), (2, 2));
}

#[test]
fn sessions_that_cannot_be_read_or_stand_elsewhere_begin_nothing() {
    for piece in [Piece::Start, Piece::Sessions] {
        let (mut copy, mut state) = (Copy::all(0), state());
        copy.next = Next::Piece(piece.clone());
        let damaged = Content::Start { sessions: vec![9], hlc: Hlc(7) };
        assert_asked_again(&mut copy, &mut state, &piece, 6, damaged);
        assert_asked_again(&mut copy, &mut state, &piece, 6, start(5));
        let beyond = Version::MAX.0 + 1;
        assert_asked_again(&mut copy, &mut state, &piece, beyond, start(beyond));
        assert_eq!((state.log.last(), state.hlc), (LogPosition::START, Hlc(0)));
        let now = copy.not_before;
        assert!(copy.ask(now, RESEND_MS).is_some());
        copy.take(&mut state, chunk(piece, 6, start(6)), now, &mut Recorded::default());
        assert_eq!(state.hlc, Hlc(7));
    }
}

#[test]
fn content_of_another_piece_is_not_taken() {
    let (mut copy, mut state) = (Copy::all(0), state());
    let nothing = Content::Records { records: Vec::new(), next: None };
    assert_asked_again(&mut copy, &mut state, &Piece::Start, 3, nothing);
    let piece = Piece::Records(WalkCursor::default());
    copy.next = Next::Piece(piece.clone());
    assert_asked_again(&mut copy, &mut state, &piece, 3, start(3));
    assert_eq!(state.log.last(), LogPosition::START);
}

#[test]
fn what_is_good_at_a_position_that_was_passed_is_asked_for_again_after_a_while() {
    for (piece, content) in
        [(Piece::Buckets, Content::Buckets(Vec::new())), (Piece::Sessions, start(3))]
    {
        let (mut copy, mut state) = (Copy::repair(0), state());
        state.restart_log(LogPosition::new(1, 9));
        copy.next = Next::Piece(piece.clone());
        assert_asked_again(&mut copy, &mut state, &piece, 3, content);
    }
}

#[test]
fn a_record_that_was_renamed_before_its_copy_came_is_at_its_new_key_alone() {
    let (mut copy, mut state) = (Copy::all(0), state());
    let (map, value) = (MapId(0), b"moved");
    let rename = Effect::Rename { map, from: b"k1", to: b"k2", value, expires_at: None };
    state.restart_log(LogPosition::new(1, 3));
    let position = LogPosition::new(1, 4);
    let answer = crate::entry::Answer::None;
    state.log.append(&crate::entry::Entry {
        position,
        hlc: Hlc(9),
        request: None,
        answer,
        effect: rename,
    });
    copy.apply(&mut state, 4);
    let piece = Piece::Records(WalkCursor::default());
    copy.next = Next::Piece(piece.clone());
    let now = copy.not_before;
    assert!(copy.ask(now, RESEND_MS).is_some());
    let content = Content::Records { records: records(), next: None };
    let mut effects = Recorded::default();
    // Both keys as they were before the rename.
    copy.take(&mut state, chunk(piece, 3, content), now, &mut effects);
    let found = |key: &[u8]| {
        let entry = state.store.peek(map, state.hash(key), key);
        entry.map(|entry| (entry.value.to_vec(), entry.version))
    };
    assert_eq!(found(b"k1"), None);
    assert_eq!(found(b"k2"), Some((value.to_vec(), version_of(4))));
}
