//! What a lane takes, in which order it gives it, and where it ends.

use futures::{FutureExt, StreamExt};
use isogrid_core::{Incarnation, LogPosition, PartitionId};
use isogrid_replica::message::{Ack, Chunk, Piece};

use super::*;
use crate::peers::codec::decode;
use crate::peers::testing::{append, beat, numbers};

const MIB: usize = 1 << 20;

fn replica(message: Message) -> LinkMessage {
    LinkMessage::Replica { partition: PartitionId(1), to: Incarnation(1), message }
}

fn chunk(bytes: usize) -> LinkMessage {
    let content = Content::Records { records: vec![1; bytes], next: None };
    replica(Message::Chunk(Box::new(Chunk {
        epoch: Default::default(),
        loss_generation: 0,
        piece: Piece::Sessions,
        as_of: LogPosition::START,
        content,
        total: (0, 0),
    })))
}

fn ack() -> LinkMessage {
    replica(Message::Ack(Ack {
        epoch: Default::default(),
        matched: LogPosition::START,
        applied: 0,
        sent_at: Default::default(),
        stamp: Default::default(),
        round: 0,
        complete: true,
    }))
}

fn lane() -> (Arc<Lane>, LaneBatches) {
    let lane = Arc::new(Lane::new(&PeerLimits::default()));
    let batches = lane.link();
    (lane, batches)
}

/// The next batch, if one waits.
fn next(batches: &mut LaneBatches) -> Option<Vec<LinkMessage>> {
    let batch = batches.next().now_or_never()?.expect("the link is the lane's");
    assert!(batch.len() <= 2 * MIB);
    Some(decode(&batch).expect("well made"))
}

#[test]
fn all_that_gathered_is_one_batch() {
    let (lane, mut batches) = lane();
    (0..100).for_each(|number| lane.push(&append(1, number, 10)));
    let all = next(&mut batches).expect("something waits");
    assert_eq!(numbers(&all), (0..100).collect::<Vec<_>>());
    assert_eq!(next(&mut batches), None);
    assert_eq!(lane.traffic().sent_batches, 1);
}

#[test]
fn what_is_urgent_goes_first_and_copies_go_last() {
    let (lane, mut batches) = lane();
    lane.push(&chunk(10));
    lane.push(&append(1, 1, 10));
    lane.push(&beat(1, 1));
    assert_eq!(next(&mut batches), Some(vec![beat(1, 1)]));
    assert_eq!(next(&mut batches), Some(vec![append(1, 1, 10)]));
    assert_eq!(next(&mut batches), Some(vec![chunk(10)]));
}

#[test]
fn a_write_waits_for_one_batch_of_copies_at_most() {
    let (lane, mut batches) = lane();
    (0..30).for_each(|_| lane.push(&chunk(100 << 10)));
    let first = next(&mut batches).expect("copies wait");
    assert_eq!(first.len(), 2, "a batch of copies has at most 256 KiB");
    lane.push(&append(1, 1, 10));
    assert_eq!(next(&mut batches), Some(vec![append(1, 1, 10)]));
    assert_eq!(next(&mut batches).map(|copies| copies.len()), Some(2));
}

#[test]
fn a_backlog_is_split_and_keeps_its_order() {
    let (lane, mut batches) = lane();
    (0..50).for_each(|number| lane.push(&append(1, number, 100 << 10)));
    let mut all = Vec::new();
    let mut count = 0;
    while let Some(batch) = next(&mut batches) {
        all.extend(numbers(&batch));
        count += 1;
    }
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert_eq!(count, 5);
    assert_eq!(lane.traffic().waiting_bytes, 0);
}

#[test]
fn a_full_lane_drops_writes_but_takes_answers_and_beats() {
    let (lane, mut batches) = lane();
    (0..100).for_each(|number| lane.push(&append(1, number, MIB)));
    let full = lane.traffic();
    assert!(full.waiting_bytes <= 32 << 20, "{full:?}");
    assert_eq!(full.dropped_messages + full.sent_messages, 100);
    (0..100).for_each(|_| lane.push(&chunk(MIB)));
    lane.push(&ack());
    lane.push(&beat(1, 5));
    let after = lane.traffic();
    assert!(after.waiting_bytes <= 37 << 20, "{after:?}");
    assert_eq!(next(&mut batches), Some(vec![beat(1, 5)]));
    let rest: Vec<LinkMessage> = std::iter::from_fn(|| next(&mut batches)).flatten().collect();
    assert!(rest.contains(&ack()));
}

#[test]
fn one_message_always_fits_an_empty_lane() {
    let limits = PeerLimits { lane_bytes_max: 10, chunk_bytes_max: 10, ..PeerLimits::default() };
    let lane = Arc::new(Lane::new(&limits));
    let mut batches = lane.link();
    lane.push(&append(1, 1, 1_000));
    lane.push(&append(1, 2, 1_000));
    assert_eq!(next(&mut batches).map(|batch| numbers(&batch)), Some(vec![1]));
}

#[test]
fn a_broken_link_gets_nothing_more_and_leaves_nothing() {
    let (lane, mut batches) = lane();
    lane.push(&append(1, 1, 10));
    lane.unlink();
    assert_eq!(lane.traffic().waiting_bytes, 0);
    assert_eq!(lane.traffic().dropped_messages, 1);
    assert_eq!(batches.next().now_or_never(), Some(None));
    (0..100).for_each(|number| lane.push(&append(1, number, 100 << 10)));
    assert!(lane.traffic().waiting_bytes <= MIB as u64, "without a link little is kept");
    let mut later = lane.link();
    assert_eq!(batches.next().now_or_never(), Some(None));
    assert!(next(&mut later).is_some());
}
