//! What replication adds to a put: nanoseconds per operation of a primary with one backup, of that backup, and of the bare
//! store. Records of 16 + 100 bytes, batches of 64 with one flush, every put with a session. The kinds by turns; the best
//! round of each counts.
//!
//! `cargo run --release -p isogrid-replica --example step_cost`
//!
//! With `store` or `replicas` as argument only that is run; then how many keys, and how many rounds: for `callgrind`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures and prints; a replica itself has no clock"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_core::{
    Epoch, Incarnation, Limits, MapId, NodeId, Op, PartitionEntry, PartitionId, Replica as Name,
    RequestId, SessionId, Timestamp,
};
use isogrid_replica::{
    Effects, Event, Message, Notice, Now, Proposal, Replica, Request, Response, Settings, Tag,
    Ticket, Ticks,
};
use isogrid_store::{Context, KeyHash, Partition, hash_key};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 42;
const MAP: MapId = MapId(0);
const BATCH: usize = 64;
const ROUND_BATCHES: usize = 256;
const ROUNDS: u64 = 300;
const SESSIONS: u64 = 16;
/// Time that passes from batch to batch.
const STEP_US: u64 = 100;

/// Takes what a replica does, as a node would: messages are queued, answers are looked at.
#[derive(Default)]
struct Hands {
    messages: Vec<Message>,
    answers: u64,
}

impl Effects for Hands {
    fn respond(&mut self, ticket: Ticket, response: Response<'_>) {
        assert!(matches!(response, Response::Written { .. }), "{response:?}");
        black_box((ticket, response));
        self.answers += 1;
    }

    fn defer(&mut self, ticket: Ticket) {
        panic!("{ticket:?} is deferred");
    }

    fn resume(&mut self) {}

    fn send(&mut self, _to: &Name, message: Message) {
        self.messages.push(message);
    }

    fn propose(&mut self, proposal: Proposal) {
        panic!("{proposal:?}");
    }

    fn notice(&mut self, notice: Notice) {
        black_box(notice);
    }
}

/// A primary with its backup, and the same records in a store alone.
struct Bench {
    primary: Replica,
    backup: Replica,
    store: Partition,
    names: [Name; 2],
    keys: Vec<([u8; 16], KeyHash)>,
    hands: Hands,
    random: u64,
    number: u64,
    now_us: u64,
    primary_time: Duration,
    backup_time: Duration,
    store_time: Duration,
}

fn key(number: u64) -> ([u8; 16], KeyHash) {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = (u128::from(mixed) << 64 | u128::from(number)).to_le_bytes();
    (key, hash_key(SEED, &key))
}

fn new_store() -> Partition {
    Partition::new(PartitionId(0), SEED, &Limits::default())
}

impl Bench {
    fn new(keys: u64) -> Self {
        let settings = Arc::new(Settings { hash_seed: SEED, ..Settings::default() });
        let names =
            ["a", "b"].map(|name| Name { node: NodeId::new(name), incarnation: Incarnation(1) });
        let now = Now { ticks: Ticks(0), wall: Timestamp(1_000) };
        let replica = |name: &Name| Replica::new(name.clone(), new_store(), settings.clone(), now);
        let entry = PartitionEntry {
            epoch: Epoch(1),
            ver: 1,
            primary: Some(names[0].node.clone()),
            in_sync: names.to_vec(),
            ..PartitionEntry::default()
        };
        let mut bench = Bench {
            primary: replica(&names[0]),
            backup: replica(&names[1]),
            store: new_store(),
            names,
            keys: (0..keys).map(key).collect(),
            hands: Hands::default(),
            random: 1,
            number: 0,
            now_us: 0,
            primary_time: Duration::ZERO,
            backup_time: Duration::ZERO,
            store_time: Duration::ZERO,
        };
        bench.backup.step(Event::Table(&entry), now, &mut bench.hands);
        bench.primary.step(Event::Table(&entry), now, &mut bench.hands);
        bench.exchange();
        for chunk in (0..keys as usize).collect::<Vec<_>>().chunks(BATCH) {
            bench.put_replicated(chunk);
            bench.put_bare(chunk);
        }
        bench
    }

    fn now(&self) -> Now {
        Now { ticks: Ticks(self.now_us), wall: Timestamp(1_000 + self.now_us / 1_000) }
    }

    /// Messages go to and fro until there are none.
    fn exchange(&mut self) {
        let now = self.now();
        while !self.hands.messages.is_empty() {
            let messages = std::mem::take(&mut self.hands.messages);
            let start = Instant::now();
            for message in messages {
                let (from, to, time) = if message.is_from_primary() {
                    (&self.names[0], &mut self.backup, &mut self.backup_time)
                } else {
                    (&self.names[1], &mut self.primary, &mut self.primary_time)
                };
                let start = Instant::now();
                let event = Event::Receive { from, to: Incarnation(1), message };
                to.step(event, now, &mut self.hands);
                *time += start.elapsed();
            }
            black_box(start);
        }
    }

    fn put_replicated(&mut self, batch: &[usize]) {
        self.now_us += STEP_US;
        let now = self.now();
        let start = Instant::now();
        for index in batch {
            let (key, hash) = &self.keys[*index];
            self.number += 1;
            let number = 1 + self.number / SESSIONS;
            let id = RequestId { session: SessionId(self.number % SESSIONS), number };
            let tag = Tag { id, first_incomplete: number.saturating_sub(8) };
            let op = Op::put(key, &[8; 100]);
            let request =
                Request { tag: Some(tag), ..Request::new(Ticket(self.number), MAP, *hash, op) };
            self.primary.step(Event::Request(request), now, &mut self.hands);
        }
        self.primary.step(Event::Flush, now, &mut self.hands);
        if self.now_us.is_multiple_of(20_000) {
            self.primary.step(Event::Tick, now, &mut self.hands);
        }
        self.primary_time += start.elapsed();
        if self.now_us.is_multiple_of(20_000) {
            let start = Instant::now();
            self.backup.step(Event::Tick, now, &mut self.hands);
            self.backup_time += start.elapsed();
        }
        self.exchange();
    }

    fn put_bare(&mut self, batch: &[usize]) {
        let context = Context { now: Timestamp(1), over_mark: false };
        let start = Instant::now();
        for index in batch {
            let (key, hash) = &self.keys[*index];
            black_box(self.store.execute(MAP, &Op::put(key, &[8; 100]), *hash, &context));
        }
        self.store_time += start.elapsed();
    }

    fn draw(&mut self) -> [usize; BATCH] {
        [(); BATCH].map(|()| {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) as usize % self.keys.len()
        })
    }

    /// Nanoseconds per operation of store, primary and backup.
    fn round(&mut self, kind: &str) -> [f64; 3] {
        (self.store_time, self.primary_time, self.backup_time) = Default::default();
        for _ in 0..ROUND_BATCHES {
            let batch = self.draw();
            // Who comes first must not be the one to fetch the keys.
            for index in batch {
                black_box(self.keys[index]);
            }
            if kind != "replicas" {
                self.put_bare(&batch);
            }
            if kind != "store" {
                self.put_replicated(&batch);
            }
        }
        let operations = (ROUND_BATCHES * BATCH) as f64;
        [self.store_time, self.primary_time, self.backup_time]
            .map(|time| time.as_nanos() as f64 / operations)
    }
}

/// The number that an argument says.
fn number(argument: usize) -> Option<u64> {
    std::env::args().nth(argument)?.parse().ok()
}

fn main() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let sizes = number(2).map_or(vec![1_000, 10_000, 200_000], |keys| vec![keys]);
    for keys in sizes {
        let mut bench = Bench::new(keys);
        let mut best = [f64::MAX; 3];
        for _ in 0..number(3).unwrap_or(ROUNDS) {
            let round = bench.round(&kind);
            best = [0, 1, 2].map(|index| best[index].min(round[index]));
        }
        let [store, primary, backup] = best;
        println!(
            "{keys:>8} keys  store {store:6.1} ns  primary {primary:6.1} ns (+{:.1})  backup {backup:6.1} ns (+{:.1})",
            primary - store,
            backup - store,
        );
        assert_eq!(bench.primary.commit(), bench.primary.log().last().seq, "all is committed");
        black_box(bench.hands.answers);
    }
}
