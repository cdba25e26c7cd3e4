//! A put allocates its record, and what it shares with many others: a segment of the log, a message, a growing table.
//! Nothing else, at the primary and at its backup.

#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use isogrid_core::{
    Epoch, Incarnation, Limits, MapId, NodeId, Op, PartitionEntry, PartitionId, Replica as Name,
    RequestId, SessionId, Timestamp,
};
use isogrid_replica::{
    Effects, Event, Message, Notice, Now, Proposal, Replica, Request, Response, Settings, Tag,
    Ticket, Ticks,
};
use isogrid_store::{Context, Partition, hash_key};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SEED: u64 = 42;
const MAP: MapId = MapId(0);
const BATCH: u64 = 64;
const BATCHES: u64 = 400;
const KEYS: u64 = 1_000;

/// How many allocations the work makes.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[derive(Default)]
struct Hands {
    messages: Vec<Message>,
    written: u64,
}

impl Effects for Hands {
    fn respond(&mut self, _ticket: Ticket, response: Response<'_>) {
        self.written += u64::from(matches!(response, Response::Written { .. }));
    }

    fn defer(&mut self, _ticket: Ticket) {}

    fn resume(&mut self) {}

    fn send(&mut self, _to: &Name, message: Message) {
        self.messages.push(message);
    }

    fn propose(&mut self, _proposal: Proposal) {}

    fn notice(&mut self, _notice: Notice) {}
}

struct Pair {
    names: [Name; 2],
    replicas: [Replica; 2],
    hands: Hands,
    /// Allocations of the primary and of the backup.
    counts: [u64; 2],
    number: u64,
}

fn store() -> Partition {
    Partition::new(PartitionId(0), SEED, &Limits::default())
}

impl Pair {
    fn new() -> Self {
        let settings = Arc::new(Settings { hash_seed: SEED, ..Settings::default() });
        let names =
            ["a", "b"].map(|name| Name { node: NodeId::new(name), incarnation: Incarnation(1) });
        let now = Now::default();
        let replicas = [0, 1]
            .map(|index: usize| Replica::new(names[index].clone(), store(), settings.clone(), now));
        let entry = PartitionEntry {
            epoch: Epoch(1),
            ver: 1,
            primary: Some(names[0].node.clone()),
            in_sync: names.to_vec(),
            ..PartitionEntry::default()
        };
        let mut pair = Pair { names, replicas, hands: Hands::default(), counts: [0; 2], number: 0 };
        pair.step(1, Event::Table(&entry));
        pair.step(0, Event::Table(&entry));
        pair.exchange();
        pair
    }

    fn now(&self) -> Now {
        let ms = self.number / 100;
        Now { ticks: Ticks(ms * 1_000), wall: Timestamp(ms) }
    }

    fn step(&mut self, index: usize, event: Event<'_>) {
        let now = self.now();
        let (replica, hands) = (&mut self.replicas[index], &mut self.hands);
        self.counts[index] += allocations(|| replica.step(event, now, hands));
    }

    fn exchange(&mut self) {
        while let Some(message) = self.hands.messages.pop() {
            let receiver = usize::from(message.is_from_primary());
            let from = self.names[1 - receiver].clone();
            self.step(receiver, Event::Receive { from: &from, to: Incarnation(1), message });
        }
    }

    fn put_batch(&mut self) {
        for _ in 0..BATCH {
            self.number += 1;
            let key = (self.number * 7 % KEYS).to_le_bytes();
            let id = RequestId { session: SessionId(self.number % 4), number: self.number / 4 + 1 };
            let tag = Tag { id, first_incomplete: (self.number / 4).saturating_sub(20) };
            let op = Op::put(&key, &[7; 100]);
            let request = Request {
                tag: Some(tag),
                ..Request::new(Ticket(self.number), MAP, hash_key(SEED, &key), op)
            };
            self.step(0, Event::Request(request));
        }
        self.step(0, Event::Flush);
        if (self.number / BATCH).is_multiple_of(20) {
            self.step(0, Event::Tick);
            self.step(1, Event::Tick);
        }
        self.exchange();
    }
}

/// A bare store writes over a record of the same size where it lies; a primary needs the old one until the commit.
fn bare() -> u64 {
    let mut store = store();
    let mut put = |number: u64| {
        let key = (number * 7 % KEYS).to_le_bytes();
        let context = Context::default();
        drop(store.execute(MAP, &Op::put(&key, &[7; 100]), hash_key(SEED, &key), &context));
    };
    (0..2 * KEYS).for_each(&mut put);
    allocations(|| (0..KEYS).for_each(&mut put))
}

#[test]
fn a_put_allocates_its_record_and_nothing_else() {
    let mut pair = Pair::new();
    for _ in 0..BATCHES {
        pair.put_batch();
    }
    pair.counts = [0; 2];
    pair.hands.written = 0;
    for _ in 0..BATCHES {
        pair.put_batch();
    }
    let puts = BATCH * BATCHES;
    assert_eq!(pair.hands.written, puts);
    let [primary, backup] = pair.counts;
    // Per batch a message with its growing buffer, per segment of the log its buffers; far below one in ten puts.
    let shared = puts / 10;
    assert!(primary <= puts + shared, "{primary} allocations at the primary for {puts} puts");
    assert!(backup <= shared, "{backup} allocations at the backup for {puts} puts");
    assert_eq!(bare(), 0, "a bare store writes over the old record");
}
