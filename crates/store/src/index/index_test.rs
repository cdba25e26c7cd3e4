//! Indexes are always those that a look at all records makes, and find what they should.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_core::{
    Cause, Condition, Effect, ErrorCode, Eviction, Expiry, IndexColumn, IndexKind, Limits, MapId,
    MapSettings, Op, PartitionId, Reply, Seek, Timestamp, Version, View,
};
use isogrid_value::{Cell, key_behind, push_cell};

use super::*;
use crate::partition::{Context, Partition};
use crate::usage::MapUsage;

const MAP: MapId = MapId(0);

pub(crate) fn index(name: &str, kind: IndexKind, columns: &[&str]) -> MapIndex {
    let columns = columns.iter().map(|text| IndexColumn::of_text(text)).collect();
    MapIndex { name: name.to_owned(), kind, columns, unique: false }
}

impl Indexes {
    /// Makes all trees anew and compares.
    pub(crate) fn check(&self, table: &Table, hasher: &KeyHasher) {
        for (place, index) in self.list.iter().enumerate() {
            let mut naive: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            let mut keys = IndexKeys::default();
            for record in table.records() {
                let hash = hasher.hash(record.key());
                if !index.covers(hash) {
                    continue;
                }
                self.reader.read(record.value(), &mut keys);
                for fields in keys.of(place).iter() {
                    let mut key = Vec::new();
                    index.begin_key(fields, record.key(), &mut key);
                    key.extend_from_slice(&hash.0.to_be_bytes());
                    *naive.entry(key).or_insert(0) += 1;
                }
            }
            let name = &index.definition.name;
            let tree: BTreeMap<Vec<u8>, u32> =
                index.tree.iter().map(|(key, count)| (key.bytes().to_vec(), *count)).collect();
            assert_eq!(tree, naive, "{name}");
            assert_eq!(index.entries, naive.values().sum::<u32>() as usize, "{name}");
            let allocated = naive.keys().map(|key| super::short::Short::allocation(key.len()));
            let bytes: usize = allocated.map(|bytes| bytes + 48).sum();
            assert_eq!(index.bytes(), bytes, "{name}");
        }
    }
}

/// A small source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn key(&mut self) -> String {
        format!("{{t{}}}:{}", self.below(3), self.below(20))
    }

    /// Mostly objects with few different fields.
    fn value(&mut self) -> String {
        let long = "x".repeat(300);
        match self.below(12) {
            0 => "no object".to_owned(),
            1 => "{\"a\": 1".to_owned(),
            2 => format!("{{\"a\": \"{long}{}\"}}", self.below(2)),
            3 => format!("{{\"a\": {}.5, \"n\": {{\"x\": true}}}}", self.below(4)),
            _ => {
                let tags: Vec<String> =
                    (0..self.below(4)).map(|_| self.below(3).to_string()).collect();
                format!(
                    "{{\"a\": {}, \"b\": \"b{}\", \"n\": {{\"x\": {}}}, \"tags\": [{}]}}",
                    self.below(5),
                    self.below(3),
                    self.below(4),
                    tags.join(", ")
                )
            }
        }
    }

    fn definitions(&mut self) -> Vec<MapIndex> {
        let all = [
            index("by_a", IndexKind::Ordered, &["a"]),
            index("by_ab", IndexKind::Hash, &["a", "b"]),
            index("by_bx", IndexKind::Ordered, &["b", "n.x"]),
            index("by_tag", IndexKind::Inverted, &["tags"]),
            MapIndex { unique: true, ..index("one_a", IndexKind::Ordered, &["a", "b"]) },
        ];
        all.into_iter().filter(|_| self.below(3) > 0).collect()
    }
}

fn settings(indexes: Vec<MapIndex>, eviction: Eviction) -> MapSettings {
    let entries_max = if eviction == Eviction::None { 0 } else { 30 };
    MapSettings { eviction, entries_max, indexes, ..MapSettings::default() }
}

/// So few hashes that many keys collide.
fn colliding(key: &[u8]) -> u64 {
    let sum: u64 = key.iter().map(|byte| u64::from(*byte)).sum();
    (sum % 24).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn put(
    key: &str,
    value: &str,
    expiry: Expiry,
) -> impl Fn(&mut Partition, u64) -> Option<ErrorCode> {
    let (key, value) = (key.to_owned(), value.to_owned());
    move |partition, now| {
        let op = Op::Put {
            key: key.as_bytes(),
            value: value.as_bytes(),
            condition: Condition::Always,
            expiry,
            return_old: false,
        };
        let hash = partition.common.hasher.hash(key.as_bytes());
        let context = Context { now: Timestamp(now), over_mark: false };
        match partition.execute(MAP, &op, hash, &context) {
            Reply::Failed(error) => Some(error.code()),
            _ => None,
        }
    }
}

/// What happens to a primary, in any order, and its indexes are always those that a look at all records makes.
fn run_primary(seed: u64, hasher: KeyHasher) {
    let mut chance = Chance(seed | 1);
    let eviction = if seed.is_multiple_of(2) { Eviction::None } else { Eviction::Lru };
    let usage: Arc<MapUsage> = Arc::default();
    let mut partition = Partition::with_hasher(PartitionId(0), hasher, &Limits::default());
    partition.configure(MAP, &settings(chance.definitions(), eviction), usage.clone());
    partition.journal(true);
    let mut settled = Version(0);
    for now in 1..400 {
        let (key, value) = (chance.key(), chance.value());
        let hash = hasher.hash(key.as_bytes());
        let context = Context { now: Timestamp(now), over_mark: false };
        match chance.below(16) {
            0..=6 => {
                let expiry = match chance.below(3) {
                    0 => Expiry::AfterMs(chance.below(30)),
                    _ => Expiry::Keep,
                };
                put(&key, &value, expiry)(&mut partition, now);
            }
            7 => drop(partition.execute(MAP, &Op::delete(key.as_bytes()), hash, &context)),
            8 => {
                let op = Op::Append { key: key.as_bytes(), value: b" " };
                drop(partition.execute(MAP, &op, hash, &context));
            }
            9 => {
                let to = chance.key();
                let op = Op::Rename { from: key.as_bytes(), to: to.as_bytes(), if_absent: false };
                drop(partition.execute(MAP, &op, hash, &context));
            }
            10 => drop(partition.expire(Timestamp(now), 4)),
            11 => drop(partition.evict(MAP, Timestamp(now))),
            12 => {
                let to =
                    Version(settled.0 + chance.below(partition.last_version().0 - settled.0 + 1));
                if chance.below(2) == 0 {
                    partition.undo_after(to);
                } else {
                    partition.settle(to);
                    settled = to;
                }
            }
            13 => drop(partition.build_indexes(chance.below(30) as usize + 1)),
            14 => {
                let settings = settings(chance.definitions(), eviction);
                partition.configure(MAP, &settings, usage.clone());
            }
            _ if chance.below(8) == 0 => {
                let op = Op::Clear { partition: PartitionId(0) };
                drop(partition.execute(MAP, &op, hash, &context));
            }
            _ => {
                let op = Op::Expire { key: key.as_bytes(), expiry: Expiry::AfterMs(5) };
                drop(partition.execute(MAP, &op, hash, &context));
            }
        }
        partition.check();
        let limited = eviction != Eviction::None;
        assert!(!limited || usage.bytes() == partition.bytes(MAP) as u64, "the account is exact");
    }
}

#[test]
fn indexes_are_always_those_of_the_records() {
    for seed in 0..60 {
        run_primary(seed * 7_919 + 3, KeyHasher::new(seed));
        run_primary(seed * 7_919 + 4, KeyHasher::instead(colliding));
    }
}

#[test]
fn a_backup_and_a_learner_have_them_too() {
    for seed in 1..60 {
        let mut chance = Chance(seed);
        let hasher = KeyHasher::new(seed);
        let mut partition = Partition::with_hasher(PartitionId(0), hasher, &Limits::default());
        let usage: Arc<MapUsage> = Arc::default();
        partition.configure(MAP, &settings(chance.definitions(), Eviction::None), usage.clone());
        for number in 1..200 {
            let (key, value, to) = (chance.key(), chance.value(), chance.key());
            let (key, value) = (key.as_bytes(), value.as_bytes());
            let put = Effect::Put { map: MAP, key, value, expires_at: None };
            let effect = match chance.below(8) {
                0 => Effect::Remove { map: MAP, key, cause: Cause::Deleted },
                1 => Effect::Rename {
                    map: MAP,
                    from: to.as_bytes(),
                    to: key,
                    value,
                    expires_at: None,
                },
                2 if chance.below(6) == 0 => Effect::Clear { map: MAP },
                _ => put,
            };
            match chance.below(12) {
                0..=7 => partition.apply(Version(number), &effect, hasher.hash(key)),
                8 => {
                    let version = Version(number - chance.below(number.min(5)));
                    partition.apply_if_newer(version, &effect, hasher.hash(key));
                }
                9 => {
                    partition.remove_copied(MAP, hasher.hash(key), key);
                }
                10 => drop(partition.build_indexes(7)),
                _ if chance.below(20) == 0 => partition.forget_everything(),
                _ => {
                    let settings = settings(chance.definitions(), Eviction::None);
                    partition.configure(MAP, &settings, usage.clone());
                }
            }
            partition.check();
        }
    }
}

/// A partition with these records, and these indexes, built.
fn filled(indexes: Vec<MapIndex>, records: &[(&str, &str)]) -> Partition {
    let limits = Limits::default();
    let mut partition = Partition::with_hasher(PartitionId(0), KeyHasher::new(7), &limits);
    for (key, value) in records {
        put(key, value, Expiry::Never)(&mut partition, 1);
    }
    partition.configure(MAP, &settings(indexes, Eviction::None), Arc::default());
    while partition.build_indexes(1) {}
    partition
}

fn key_of(cell: &Cell<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    push_cell(cell, false, &mut key);
    key
}

/// The keys of the records that an index has, asked for so many at a time.
fn sought(
    partition: &mut Partition,
    name: &str,
    (from, to): (&[u8], &[u8]),
    entries_max: u32,
) -> Vec<String> {
    let mut from = from.to_vec();
    let mut found = Vec::new();
    loop {
        let seek = Seek {
            partition: PartitionId(0),
            index: name,
            from: &from,
            to,
            entries_max,
            view: View::Latest,
        };
        let context = Context { now: Timestamp(50), over_mark: false };
        let reply = partition.execute(MAP, &Op::Seek(seek), KeyHash(0), &context);
        let Reply::Sought(page) = reply else { panic!("{reply:?}") };
        assert!(page.entries.len() <= entries_max as usize + 1, "a page is bounded");
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        found.extend(page.entries.iter().map(|entry| text(entry.key)));
        match page.next {
            Some(next) => from = next.to_vec(),
            None => return found,
        }
    }
}

#[test]
fn ranges_come_in_order_page_by_page() {
    let values: Vec<(String, String)> =
        (0..500).map(|n| (format!("k{n}"), format!("{{\"a\": {}}}", n % 100))).collect();
    let records: Vec<(&str, &str)> = values.iter().map(|(k, v)| (&**k, &**v)).collect();
    let mut partition = filled(vec![index("by_a", IndexKind::Ordered, &["a"])], &records);
    for page in [1, 3, 1_000] {
        let from = key_of(&Cell::BigInt(10));
        let to = key_behind(&key_of(&Cell::Double(12.0)));
        let mut found = sought(&mut partition, "by_a", (&from, &to), page);
        let number = |key: &String| key[1..].parse::<usize>().unwrap() % 100;
        assert!(found.is_sorted_by_key(number), "{found:?}");
        found.sort();
        let mut expected: Vec<String> =
            (0..500).filter(|n| (10..=12).contains(&(n % 100))).map(|n| format!("k{n}")).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
    let all = sought(&mut partition, "by_a", (b"", b""), 7);
    assert_eq!(all.len(), 500);
    assert!(sought(&mut partition, "by_a", (b"\x30", b"\x20"), 7).is_empty(), "an empty range");
}

#[test]
fn records_with_the_same_hash_are_told_apart_and_the_expired_left_out() {
    let limits = Limits::default();
    let hasher = KeyHasher::instead(colliding);
    let mut partition = Partition::with_hasher(PartitionId(0), hasher, &limits);
    let indexes = vec![index("by_a", IndexKind::Ordered, &["a"])];
    partition.configure(MAP, &settings(indexes, Eviction::None), Arc::default());
    for (key, value, expiry) in [
        ("ab", r#"{"a": 1}"#, Expiry::Never),
        ("ba", r#"{"a": 2}"#, Expiry::Never),
        ("c", r#"{"a": 1}"#, Expiry::At(Timestamp(20))),
        ("d", r#"{"a": 1}"#, Expiry::Never),
    ] {
        put(key, value, expiry)(&mut partition, 1);
    }
    assert_eq!(colliding(b"ab"), colliding(b"ba"));
    let one = key_of(&Cell::BigInt(1));
    let mut found = sought(&mut partition, "by_a", (&one, &key_behind(&one)), 1);
    found.sort();
    assert_eq!(found, ["ab", "d"]);
}

#[test]
fn lists_and_equalities_find_what_has_them() {
    let records = [
        ("k1", r#"{"a": "x", "b": 1, "tags": ["red", "red", 5]}"#),
        ("k2", r#"{"a": "x", "b": 2.0, "tags": ["blue"]}"#),
        ("k3", r#"{"a": "y", "b": 2, "tags": "red"}"#),
    ];
    let indexes = vec![
        index("by_ab", IndexKind::Hash, &["a", "b"]),
        index("by_tag", IndexKind::Inverted, &["tags"]),
    ];
    let mut partition = filled(indexes, &records);
    let mut equal = key_of(&Cell::Text("x".into()));
    equal.extend(key_of(&Cell::BigInt(2)));
    isogrid_value::finish_key(IndexKind::Hash, &mut equal);
    assert_eq!(sought(&mut partition, "by_ab", (&equal, &key_behind(&equal)), 5), ["k2"]);
    let red = key_of(&Cell::Text("red".into()));
    let mut found = sought(&mut partition, "by_tag", (&red, &key_behind(&red)), 1);
    found.sort();
    assert_eq!(found, ["k1", "k3"], "what is twice in a list comes once");
}

#[test]
fn an_index_that_is_not_whole_answers_nothing() {
    let records: Vec<(String, &str)> = (0..2_000).map(|n| (format!("k{n}"), "{\"a\":1}")).collect();
    let limits = Limits::default();
    let mut partition = Partition::with_hasher(PartitionId(0), KeyHasher::new(7), &limits);
    for (key, value) in &records {
        put(key, value, Expiry::Never)(&mut partition, 1);
    }
    let indexes = vec![index("by_a", IndexKind::Ordered, &["a"])];
    partition.configure(MAP, &settings(indexes, Eviction::None), Arc::default());
    let code = |partition: &mut Partition, index| {
        let seek = Seek {
            partition: PartitionId(0),
            index,
            from: b"",
            to: b"",
            entries_max: 5,
            view: View::Latest,
        };
        match partition.execute(MAP, &Op::Seek(seek), KeyHash(0), &Context::default()) {
            Reply::Failed(error) => Some(error.code()),
            _ => None,
        }
    };
    let mut last = 0;
    let mut steps = 0;
    loop {
        let state = partition.index_states(MAP).remove(0);
        assert!(state.built >= last && state.records == 2_000);
        last = state.built;
        if !partition.build_indexes(100) {
            break;
        }
        steps += 1;
        let is_done = partition.index_states(MAP)[0].built == 2_000;
        let expected = (!is_done).then_some(ErrorCode::IndexNotReady);
        assert_eq!(code(&mut partition, "by_a"), expected);
    }
    assert!(steps > 3, "{steps} steps");
    assert_eq!(code(&mut partition, "by_b"), Some(ErrorCode::IndexNotReady), "there is none");
    // Another index, or other settings, do not begin the building anew.
    let indexes =
        vec![index("by_b", IndexKind::Ordered, &["b"]), index("by_a", IndexKind::Ordered, &["a"])];
    partition.configure(MAP, &settings(indexes, Eviction::None), Arc::default());
    assert_eq!(code(&mut partition, "by_a"), None);
    partition.check();
}

#[test]
fn a_unique_index_refuses_what_another_record_of_the_partition_key_has() {
    let unique = |kind| vec![MapIndex { unique: true, ..index("one_a", kind, &["a", "b"]) }];
    for kind in [IndexKind::Ordered, IndexKind::Hash] {
        let long = "x".repeat(400);
        let first = format!(r#"{{"a": "{long}1", "b": 1}}"#);
        let second = format!(r#"{{"a": "{long}2", "b": 1}}"#);
        let mut partition = filled(unique(kind), &[("{t}:1", &first)]);
        let mut say = |key: &str, value: &str| put(key, value, Expiry::Never)(&mut partition, 1);
        assert_eq!(say("{t}:2", &first), Some(ErrorCode::UniqueViolated));
        assert_eq!(say("{t}:2", &second), None, "the same beginning");
        assert_eq!(say("{u}:2", &first), None, "another partition key");
        assert_eq!(say("{t}:1", &first), None, "itself");
        assert_eq!(say("{t}:1", &second), Some(ErrorCode::UniqueViolated));
        assert_eq!(say("{t}:3", r#"{"a": 1}"#), None, "nothing is not equal to nothing");
        assert_eq!(say("{t}:4", r#"{"a": 1, "b": null}"#), None);
        let rename = |from: &'static str, to: &'static str| Op::Rename {
            from: from.as_bytes(),
            to: to.as_bytes(),
            if_absent: false,
        };
        let mut run = |op: Op<'_>| {
            let isogrid_core::Target::Key(key) = op.target() else { panic!("{op:?}") };
            let hash = partition.common.hasher.hash(key);
            match partition.execute(MAP, &op, hash, &Context::default()) {
                Reply::Failed(error) => Some(error.code()),
                _ => None,
            }
        };
        assert_eq!(run(rename("{u}:2", "{t}:9")), Some(ErrorCode::UniqueViolated));
        assert_eq!(run(rename("{u}:2", "{t}:1")), None, "the other one goes");
        partition.check();
    }
}

#[test]
fn a_unique_index_counts_no_expired_records_and_is_built_at_once_when_it_is_needed() {
    let values: Vec<(String, String)> =
        (0..3_000).map(|n| (format!("{{t}}:{n}"), format!("{{\"a\": {n}}}"))).collect();
    let limits = Limits::default();
    let mut partition = Partition::with_hasher(PartitionId(0), KeyHasher::new(7), &limits);
    for (key, value) in &values {
        put(key, value, Expiry::Never)(&mut partition, 1);
    }
    put("{t}:gone", r#"{"a": -1}"#, Expiry::At(Timestamp(10)))(&mut partition, 1);
    let unique = MapIndex { unique: true, ..index("one_a", IndexKind::Ordered, &["a"]) };
    partition.configure(MAP, &settings(vec![unique], Eviction::None), Arc::default());
    let same = put("{t}:new", r#"{"a": 2999.0}"#, Expiry::Never)(&mut partition, 20);
    assert_eq!(same, Some(ErrorCode::UniqueViolated));
    assert_eq!(put("{t}:new", r#"{"a": -1}"#, Expiry::Never)(&mut partition, 20), None);
    partition.check();
}
