//! What the journal costs: puts over records of 16 + 100 bytes without it, with it (effects read, settled a thousand
//! changes later), and as a backup applies them. In windows of 32, the kinds by turns; the best round of each counts.
//!
//! `cargo run --release -p isogrid-store --example journal_cost`

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures and prints; the store itself has no clock"
)]

use std::hint::black_box;
use std::time::Instant;

use isogrid_core::{Effect, Limits, MapId, Op, PartitionId, Timestamp, Version};
use isogrid_store::{Context, KeyHash, Partition, Step, hash_key};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 42;
const MAP: MapId = MapId(0);
const CONTEXT: Context = Context { now: Timestamp(1), over_mark: false };
const WINDOW_LEN: usize = 32;
/// How many changes are not settled at a time.
const LAG: u64 = 1_000;
const ROUNDS: usize = 30;
const ROUND_WINDOWS: u64 = 4_096;

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Put,
    /// A put with the journal on, but nobody reads the effects.
    Journal,
    JournalAndRead,
    JournalAndCopy,
    Apply,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Get, "get"),
    (Kind::Put, "put, journal off"),
    (Kind::Journal, "put, journal on"),
    (Kind::JournalAndRead, "put, journal on, effects read"),
    (Kind::JournalAndCopy, "put, journal on, effects copied"),
    (Kind::Apply, "apply"),
];

fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(mixed) << 64 | u128::from(number)).to_le_bytes()
}

fn filled(keys: u64) -> Partition {
    let mut partition = Partition::new(PartitionId(0), SEED, &Limits::default());
    for number in 0..keys {
        let key = key(number);
        partition.execute(MAP, &Op::put(&key, &[7; 100]), hash_key(SEED, &key), &CONTEXT);
    }
    partition
}

/// Copies what a log entry would hold.
fn copy(log: &mut Vec<u8>, version: Version, effect: &Effect<'_>) {
    if let Effect::Put { key, value, .. } = effect {
        log.extend_from_slice(&version.0.to_le_bytes());
        log.extend_from_slice(key);
        log.extend_from_slice(value);
    }
}

fn one(partition: &mut Partition, kind: Kind, (key, hash): (&[u8], KeyHash), log: &mut Vec<u8>) {
    let value: &[u8] = &[8; 100];
    match kind {
        Kind::Get => drop(black_box(partition.execute(MAP, &Op::Get { key }, hash, &CONTEXT))),
        Kind::Put | Kind::Journal => {
            drop(black_box(partition.execute(MAP, &Op::put(key, value), hash, &CONTEXT)));
        }
        Kind::JournalAndRead | Kind::JournalAndCopy => {
            let executed = partition.execute_journaled(MAP, &Op::put(key, value), hash, &CONTEXT);
            black_box(&executed.reply);
            for (version, effect) in executed.changes {
                match kind {
                    Kind::JournalAndCopy => copy(log, version, &effect),
                    _ => drop(black_box((version, effect))),
                }
            }
        }
        Kind::Apply => {
            let version = Version(partition.last_version().0 + 1);
            let effect = Effect::Put { map: MAP, key, value, expires_at: None };
            partition.apply(version, &effect, hash);
        }
    }
}

/// Nanoseconds per operation.
fn round(partition: &mut Partition, kind: Kind, keys: u64, random: &mut u64) -> f64 {
    partition.journal(!matches!(kind, Kind::Get | Kind::Put | Kind::Apply));
    let mut log = Vec::with_capacity(1 << 16);
    let start = Instant::now();
    for _ in 0..ROUND_WINDOWS {
        let mut window = [([0; 16], KeyHash(0)); WINDOW_LEN];
        for (bytes, hash) in &mut window {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *bytes = key((*random >> 33) % keys);
            *hash = hash_key(SEED, bytes);
            partition.prefetch(Step::Bucket, MAP, *hash);
        }
        window.iter().for_each(|(_, hash)| partition.prefetch(Step::Record, MAP, *hash));
        for (key, hash) in &window {
            one(partition, kind, (key, *hash), &mut log);
        }
        partition.settle(Version(partition.last_version().0.saturating_sub(LAG)));
        black_box(&log);
        log.clear();
    }
    start.elapsed().as_nanos() as f64 / (ROUND_WINDOWS as f64 * WINDOW_LEN as f64)
}

fn main() {
    for keys in [10_000, 1_000_000] {
        let mut partition = filled(keys);
        let (mut best, mut random) = ([f64::MAX; KINDS.len()], 1);
        for _ in 0..ROUNDS {
            for (best, (kind, _)) in best.iter_mut().zip(KINDS) {
                *best = best.min(round(&mut partition, kind, keys, &mut random));
            }
        }
        for (best, (_, name)) in best.iter().zip(KINDS) {
            println!("{keys:>8} keys  {name:<32} {best:6.1} ns");
        }
    }
}
