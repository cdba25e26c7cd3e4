//! What the record table costs: get and put on a million records of 16 + 100 bytes in one partition, one by one and in
//! windows of three passes. Nearly all of it is memory that no cache holds.
//!
//! `cargo bench -p isogrid-benches --bench table`

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isogrid_core::{Eviction, Limits, MapId, MapSettings, Op, PartitionId, Reply, Timestamp};
use isogrid_store::{Context, KeyHash, Partition, Request, Step, hash_key};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 42;
const MAP: MapId = MapId(0);
const KEYS: u64 = 1_000_000;
const VALUE: &[u8] = &[7; 100];
const CONTEXT: Context = Context { now: Timestamp(1), over_mark: false };

/// How many operations one sample has: enough that its keys come from memory.
const OPS: usize = 1 << 16;

/// How many operations are prefetched together; 1 is without prefetch.
const WINDOWS: [usize; 5] = [1, 8, 16, 32, 64];

fn main() {
    divan::main();
}

/// A key of 16 bytes that looks random.
fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(mixed) << 64 | u128::from(number)).to_le_bytes()
}

fn filled(keys: u64, eviction: Eviction) -> Partition {
    let mut partition = Partition::new(PartitionId(0), SEED, &Limits::default());
    let settings = MapSettings { eviction, ..MapSettings::default() };
    partition.configure(MAP, &settings, Default::default());
    for number in 0..keys {
        let key = key(number);
        partition.execute(MAP, &Op::put(&key, VALUE), hash_key(SEED, &key), &CONTEXT);
    }
    partition
}

/// A deterministic walk over the keys in no order, that goes on from sample to sample.
struct Walk(u64);

impl Walk {
    fn keys(&mut self) -> Vec<[u8; 16]> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            key((self.0 >> 33) % KEYS)
        };
        (0..OPS).map(|_| next()).collect()
    }
}

/// Hashes and executes, as a node does for the part of a frame that belongs to one partition.
fn run<'k>(
    partition: &mut Partition,
    keys: &'k [[u8; 16]],
    window: usize,
    op: impl Fn(&'k [u8]) -> Op<'k>,
) {
    let mut hashes = [KeyHash(0); 64];
    for keys in keys.chunks(window) {
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = hash_key(SEED, key);
            if window > 1 {
                partition.prefetch(Step::Bucket, MAP, *hash);
            }
        }
        if window > 1 {
            hashes
                .iter()
                .take(keys.len())
                .for_each(|hash| partition.prefetch(Step::Record, MAP, *hash));
        }
        for (hash, key) in hashes.iter().zip(keys) {
            consume(partition.execute(MAP, &op(key), *hash, &CONTEXT));
        }
    }
}

/// Reads the value as a copy into a frame would.
fn consume(reply: Reply<'_>) {
    let mut copy = [0u8; 128];
    if let Reply::Found(entry) = reply {
        copy[..entry.value.len()].copy_from_slice(entry.value);
        black_box(&copy);
    } else {
        black_box(reply);
    }
}

fn bench(
    bencher: Bencher<'_, '_>,
    window: usize,
    eviction: Eviction,
    op: impl for<'k> Fn(&'k [u8]) -> Op<'k>,
) {
    let mut partition = filled(KEYS, eviction);
    let mut walk = Walk(1);
    bencher
        .counter(ItemsCount::new(OPS))
        .with_inputs(|| walk.keys())
        .bench_local_refs(|keys| run(&mut partition, keys, window, &op));
}

#[divan::bench(args = WINDOWS)]
fn get(bencher: Bencher<'_, '_>, window: usize) {
    bench(bencher, window, Eviction::None, |key| Op::Get { key });
}

/// The price of noting each use.
#[divan::bench(args = [1, 32])]
fn get_with_lru(bencher: Bencher<'_, '_>, window: usize) {
    bench(bencher, window, Eviction::Lru, |key| Op::Get { key });
}

#[divan::bench(args = WINDOWS)]
fn put_over(bencher: Bencher<'_, '_>, window: usize) {
    bench(bencher, window, Eviction::None, |key| Op::put(key, VALUE));
}

/// The crate's own window, with its requests.
#[divan::bench]
fn get_by_execute_batch(bencher: Bencher<'_, '_>) {
    let mut partition = filled(KEYS, Eviction::None);
    let mut walk = Walk(1);
    bencher.counter(ItemsCount::new(OPS)).with_inputs(|| walk.keys()).bench_local_refs(|keys| {
        for keys in keys.chunks(1_024) {
            let request =
                |key| Request { map: MAP, hash: hash_key(SEED, key), op: Op::Get { key } };
            let requests: Vec<_> = keys.iter().map(|key| request(key)).collect();
            partition.execute_batch(&requests, &CONTEXT, |_, reply| consume(reply));
        }
    });
}

/// From nothing to a million records, growth and allocations included.
#[divan::bench(sample_count = 10)]
fn put_new(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| filled(KEYS, Eviction::None));
}
