//! What indexes cost a write, and what they save who looks for records: one partition, values of about 100 bytes of JSON.
//!
//! `cargo bench -p isogrid-benches --bench index`

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isogrid_core::{
    IndexColumn, IndexKind, Limits, MapId, MapIndex, MapSettings, Op, PartitionId, Reply, Scan,
    Seek, View,
};
use isogrid_store::{Context, Partition, hash_key};
use isogrid_value::{Cell, key_behind, push_cell};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MAP: MapId = MapId(0);
const PARTITION: PartitionId = PartitionId(0);
const SEED: u64 = 7;

/// As many as a partition of a map with a million records has, and more.
const RECORDS: u64 = 4_096;
const MANY: u64 = 1_000_000;

fn main() {
    divan::main();
}

fn index(name: &str, kind: IndexKind, columns: &[&str]) -> MapIndex {
    let columns = columns.iter().map(|text| IndexColumn::of_text(text)).collect();
    MapIndex { name: name.to_owned(), kind, columns, unique: false }
}

/// None, one or two indexes, ordered or hashed.
fn indexes(which: &str) -> Vec<MapIndex> {
    match which {
        "none" => Vec::new(),
        "one" => vec![index("by_amount", IndexKind::Ordered, &["amount"])],
        "hash" => vec![index("by_amount", IndexKind::Hash, &["amount"])],
        _ => vec![
            index("by_amount", IndexKind::Ordered, &["amount"]),
            index("by_city", IndexKind::Ordered, &["city", "at"]),
        ],
    }
}

fn value(number: u64) -> String {
    let amount = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000;
    format!(
        "{{\"city\":\"city{}\",\"amount\":{amount},\"at\":{},\"note\":\"forty letters or so, as notes have them\"}}",
        amount % 50,
        number * 1_000
    )
}

fn key(number: u64) -> String {
    format!("order:{number:010}")
}

fn partition(which: &str, records: u64) -> Partition {
    let mut partition = Partition::new(PARTITION, SEED, &Limits::default());
    let settings = MapSettings { indexes: indexes(which), ..MapSettings::default() };
    partition.configure(MAP, &settings, Arc::default());
    for number in 0..records {
        put(&mut partition, &key(number), &value(number));
    }
    partition
}

fn put(partition: &mut Partition, key: &str, value: &str) {
    let hash = hash_key(SEED, key.as_bytes());
    let op = Op::put(key.as_bytes(), value.as_bytes());
    black_box(partition.execute(MAP, &op, hash, &Context::default()));
}

/// Writes over records so that their fields become others.
#[divan::bench(args = ["none", "one", "hash", "two"])]
fn put_other_fields(bencher: Bencher<'_, '_>, which: &str) {
    bench_put(bencher, which, |turn, number| turn * RECORDS + number);
}

/// Writes over records so that their fields stay.
#[divan::bench(args = ["none", "two"])]
fn put_same_fields(bencher: Bencher<'_, '_>, which: &str) {
    bench_put(bencher, which, |_, number| number);
}

fn bench_put(bencher: Bencher<'_, '_>, which: &str, what: fn(u64, u64) -> u64) {
    let mut partition = partition(which, RECORDS);
    let keys: Vec<String> = (0..RECORDS).map(key).collect();
    let values: Vec<Vec<String>> =
        (0..4).map(|turn| (0..RECORDS).map(|number| value(what(turn, number))).collect()).collect();
    let mut turn = 0;
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        turn = (turn + 1) % values.len();
        for (key, value) in keys.iter().zip(&values[turn]) {
            put(&mut partition, key, value);
        }
    });
}

/// One record in a thousand, by a range of an index.
#[divan::bench(args = [RECORDS, MANY])]
fn find_one_in_a_thousand_by_index(bencher: Bencher<'_, '_>, records: u64) {
    let mut partition = partition("one", records);
    let bound = |number: i64| {
        let mut key = Vec::new();
        push_cell(&Cell::BigInt(number), false, &mut key);
        key
    };
    let (begin, to) = (bound(500_000), key_behind(&bound(500_999)));
    bencher.bench_local(|| {
        let mut from = begin.clone();
        let mut found = 0;
        loop {
            let seek = Seek {
                partition: PARTITION,
                index: "by_amount",
                from: &from,
                to: &to,
                entries_max: 512,
                view: View::Latest,
            };
            let context = Context::default();
            let reply = partition.execute(MAP, &Op::Seek(seek), hash_key(0, b""), &context);
            let Reply::Sought(page) = reply else { panic!("{reply:?}") };
            found += page.entries.len();
            match page.next {
                Some(next) => from = next.to_vec(),
                None => break,
            }
        }
        assert!(found as u64 >= records / 2_000, "{found}");
    });
}

/// The same by a look at all records, without a look into any.
#[divan::bench(args = [RECORDS, MANY])]
fn look_at_all(bencher: Bencher<'_, '_>, records: u64) {
    let mut partition = partition("none", records);
    bencher.bench_local(|| {
        let (mut cursor, mut found) = (0, 0);
        loop {
            let scan = Scan {
                partition: PARTITION,
                cursor,
                entries_max: 512,
                prefix: b"",
                glob: b"",
                filter: b"",
                with_values: true,
                view: View::Latest,
            };
            let context = Context::default();
            let reply = partition.execute(MAP, &Op::Scan(scan), hash_key(0, b""), &context);
            let Reply::Page(page) = reply else { panic!("{reply:?}") };
            found += page.entries.len();
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(found as u64, records);
    });
}
