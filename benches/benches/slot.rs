//! What it costs to find the slot of a key: every door pays it once per operation.
//!
//! `cargo bench -p isogrid-benches --bench slot`

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isogrid_core::slot::{PartitionCount, slot_of};

/// Enough keys that no branch predictor learns them, few enough that all stay in the first-level cache.
const KEYS: usize = 256;

/// 16 bytes is the length that the comparisons with other stores use.
const KEY_BYTES: [usize; 4] = [8, 16, 32, 64];

fn main() {
    divan::main();
}

/// One key after the other, as in a frame.
#[divan::bench(args = KEY_BYTES)]
fn slot(bencher: Bencher<'_, '_>, key_bytes: usize) {
    let keys = keys_of(key_bytes);
    bencher.counter(ItemsCount::new(KEYS)).bench(|| {
        for key in black_box(&keys) {
            black_box(slot_of(key));
        }
    });
}

/// The same, and on to the partition.
#[divan::bench(args = KEY_BYTES)]
fn partition(bencher: Bencher<'_, '_>, key_bytes: usize) {
    let keys = keys_of(key_bytes);
    let partitions = PartitionCount::default();
    bencher.counter(ItemsCount::new(KEYS)).bench(|| {
        for key in black_box(&keys) {
            black_box(partitions.partition_of_key(key));
        }
    });
}

/// A key whose hash tag decides: its braces have to be found first.
#[divan::bench]
fn slot_of_a_hash_tag(bencher: Bencher<'_, '_>) {
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|n| format!("order:{{u{n:05}}}").into()).collect();
    bencher.counter(ItemsCount::new(KEYS)).bench(|| {
        for key in black_box(&keys) {
            black_box(slot_of(key));
        }
    });
}

fn keys_of(key_bytes: usize) -> Vec<Vec<u8>> {
    (0..KEYS).map(|number| format!("{number:0key_bytes$}").into_bytes()).collect()
}
