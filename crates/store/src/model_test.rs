//! The store against a model that is a sorted map and obviously right: random operations on few keys in several maps, with
//! time going on, and every reply compared.

use std::collections::BTreeMap;

use isogrid_core::{
    Condition, Entry, Expiry, Limits, MapId, NumberFormat, Op, PartitionId, Reply, Scan, Timestamp,
    Version, View,
};
use proptest::prelude::*;

use crate::hash::KeyHasher;
use crate::number;
use crate::partition::Partition;

pub(crate) const ID: PartitionId = PartitionId(3);
pub(crate) const MAPS: u32 = 3;

#[derive(Clone)]
struct Held {
    value: Vec<u8>,
    version: Version,
    expires_at: Option<Timestamp>,
}

impl Held {
    fn entry(&self) -> Entry<'_> {
        Entry { value: &self.value, version: self.version, expires_at: self.expires_at }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

#[derive(Default)]
struct Model {
    maps: BTreeMap<MapId, BTreeMap<Vec<u8>, Held>>,
    version: u64,
    old: Option<Held>,
}

impl Model {
    fn next_version(&mut self) -> Version {
        self.version += 1;
        Version(self.version)
    }

    fn expire(&mut self, now: Timestamp) -> usize {
        let mut removed = 0;
        for map in self.maps.values_mut() {
            let before = map.len();
            map.retain(|_, held| held.is_live(now));
            removed += before - map.len();
        }
        self.version += removed as u64;
        removed
    }

    fn live(&self, map: MapId, now: Timestamp) -> impl Iterator<Item = (&Vec<u8>, &Held)> {
        self.maps.get(&map).into_iter().flatten().filter(move |(_, held)| held.is_live(now))
    }

    /// Writes as told, and keeps the old entry for the reply.
    fn write(
        &mut self,
        map: MapId,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
        now: Timestamp,
    ) -> Version {
        let version = self.next_version();
        let records = self.maps.entry(map).or_default();
        self.old = records.remove(key);
        let expires_at = match expiry {
            Expiry::Never => None,
            Expiry::Keep => self.old.as_ref().and_then(|old| old.expires_at),
            Expiry::AfterMs(ms) => Some(Timestamp(now.0 + ms)),
            Expiry::At(at) => Some(at),
        };
        let held = Held { value: value.to_vec(), version, expires_at };
        if held.is_live(now) {
            records.insert(key.to_vec(), held);
        }
        version
    }

    fn execute(&mut self, map: MapId, op: &Op<'_>, now: Timestamp) -> Reply<'_> {
        self.old = None;
        let isogrid_core::Target::Key(key) = op.target() else { return self.whole(map, op, now) };
        let present =
            self.live(map, now).find(|(held, _)| *held == key).map(|(_, held)| held.clone());
        if !op.is_read() && present.is_none() {
            // An expired record goes first, as a change of its own.
            let expired = self.maps.get_mut(&map).and_then(|records| records.remove(key));
            self.version += u64::from(expired.is_some());
        }
        match *op {
            Op::Get { .. } => match self.maps.get(&map).and_then(|records| records.get(key)) {
                Some(held) if held.is_live(now) => Reply::Found(held.entry()),
                _ => Reply::Missing,
            },
            Op::Exists { .. } | Op::Touch { .. } => Reply::Flag(present.is_some()),
            Op::Put { value, condition, expiry, return_old, .. } => {
                match (condition, &present) {
                    (Condition::IfPresent, None) => return Reply::Missing,
                    (Condition::IfAbsent, Some(_)) => return self.conflict(map, key),
                    (Condition::IfVersion(version), _)
                        if present.as_ref().map(|held| held.version) != Some(version) =>
                    {
                        return self.conflict(map, key);
                    }
                    _ => {}
                }
                let version = self.write(map, key, value, expiry, now);
                let old = self.old.as_ref().filter(|_| return_old).map(Held::entry);
                Reply::Written { version, old }
            }
            Op::Delete { condition, return_old, .. } => {
                let Some(held) = present else { return Reply::Missing };
                let holds = match condition {
                    Condition::Always | Condition::IfPresent => true,
                    Condition::IfAbsent => false,
                    Condition::IfVersion(version) => version == held.version,
                };
                if !holds {
                    return self.conflict(map, key);
                }
                self.old = self.maps.get_mut(&map).and_then(|records| records.remove(key));
                let version = self.next_version();
                Reply::Deleted {
                    version,
                    old: self.old.as_ref().filter(|_| return_old).map(Held::entry),
                }
            }
            Op::CompareAndSet { expected, value, expiry, .. } => {
                if present.as_ref().map(|held| &held.value[..]) != expected {
                    return self.conflict(map, key);
                }
                Reply::Written { version: self.write(map, key, value, expiry, now), old: None }
            }
            _ => self.execute_rest(map, op, now, present),
        }
    }

    fn execute_rest(
        &mut self,
        map: MapId,
        op: &Op<'_>,
        now: Timestamp,
        present: Option<Held>,
    ) -> Reply<'_> {
        let value = present.as_ref().map(|held| &held.value[..]);
        match *op {
            Op::Expire { key, expiry } => {
                let Some(held) = present else { return Reply::Missing };
                let same = match expiry {
                    Expiry::Never => held.expires_at.is_none(),
                    Expiry::Keep => true,
                    Expiry::AfterMs(ms) => held.expires_at == Some(Timestamp(now.0 + ms)),
                    Expiry::At(at) => held.expires_at == Some(at),
                };
                let version = if same {
                    held.version
                } else {
                    self.write(map, key, &held.value, expiry, now)
                };
                Reply::Written { version, old: None }
            }
            Op::Increment { key, delta, format, expiry } => {
                match number::add_integer(value, delta, format) {
                    Ok(value) => {
                        let written = number::write_integer(value, format);
                        let version = self.write(map, key, written.as_slice(), expiry, now);
                        Reply::Integer { value, version }
                    }
                    Err(error) => Reply::Failed(error),
                }
            }
            Op::IncrementFloat { key, delta, format, expiry } => {
                match number::add_float(value, delta, format) {
                    Ok(value) => {
                        let written = number::write_float(value, format);
                        let version = self.write(map, key, written.as_slice(), expiry, now);
                        Reply::Float { value, version }
                    }
                    Err(error) => Reply::Failed(error),
                }
            }
            Op::Append { key, value: added } => {
                let joined = [value.unwrap_or_default(), added].concat();
                let version = self.write(map, key, &joined, Expiry::Keep, now);
                Reply::Integer { value: joined.len() as i64, version }
            }
            Op::Rename { from, to, if_absent } => self.rename(map, (from, to), if_absent, now),
            _ => unreachable!("the caller handled {op:?}"),
        }
    }

    fn rename(
        &mut self,
        map: MapId,
        (from, to): (&[u8], &[u8]),
        if_absent: bool,
        now: Timestamp,
    ) -> Reply<'_> {
        let Some(records) = self.maps.get_mut(&map) else { return Reply::Missing };
        if !records.contains_key(from) {
            return Reply::Missing;
        }
        if records.get(to).is_some_and(|held| !held.is_live(now)) {
            records.remove(to);
            self.version += 1;
        }
        if if_absent && records.contains_key(to) {
            return self.conflict(map, to);
        }
        let version = Version(self.version + 1);
        let held = records.remove(from).expect("it is there");
        records.insert(to.to_vec(), Held { version, ..held });
        self.version += 1;
        Reply::Written { version, old: None }
    }

    fn conflict(&self, map: MapId, key: &[u8]) -> Reply<'_> {
        Reply::Conflict {
            current: self.maps.get(&map).and_then(|records| records.get(key)).map(Held::entry),
        }
    }

    fn whole(&mut self, map: MapId, op: &Op<'_>, now: Timestamp) -> Reply<'_> {
        let live = self.live(map, now).count() as u64;
        if matches!(op, Op::Clear { .. }) {
            let records = self.maps.entry(map).or_default();
            self.version += u64::from(!records.is_empty());
            records.clear();
        }
        Reply::Count(live)
    }
}

/// An operation that owns what it names.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(u8, Vec<u8>, Condition, Expiry, bool),
    Delete(u8, Condition, bool),
    Read(u8, u8),
    CompareAndSet(u8, Option<Vec<u8>>, Vec<u8>, Expiry),
    Expire(u8, Expiry),
    Increment(u8, i64, NumberFormat, Expiry),
    IncrementFloat(u8, f64, NumberFormat, Expiry),
    Append(u8, Vec<u8>),
    Rename(u8, Vec<u8>, bool),
    Clear,
    Wait(u64),
    ExpireDue,
    ScanAll(u32, bool),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..3),
        2 => (-20..200i64).prop_map(|number| number.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(vec![7; 70_000]),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::Always),
        1 => Just(Condition::IfAbsent),
        1 => Just(Condition::IfPresent),
        1 => (0..40u64).prop_map(|version| Condition::IfVersion(Version(version))),
    ]
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        3 => Just(Expiry::Never),
        2 => Just(Expiry::Keep),
        3 => (0..30u64).prop_map(Expiry::AfterMs),
        1 => (0..200u64).prop_map(|at| Expiry::At(Timestamp(at))),
    ]
}

fn format() -> impl Strategy<Value = NumberFormat> {
    prop_oneof![Just(NumberFormat::Text), Just(NumberFormat::MessagePack)]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let key = || 0..24u8;
    prop_oneof![
        8 => (key(), value(), condition(), expiry(), any::<bool>()).prop_map(|(k, v, c, e, o)| Step::Put(k, v, c, e, o)),
        3 => (key(), condition(), any::<bool>()).prop_map(|(k, c, o)| Step::Delete(k, c, o)),
        4 => (key(), 0..4u8).prop_map(|(k, kind)| Step::Read(k, kind)),
        2 => (key(), prop::option::of(value()), value(), expiry()).prop_map(|(k, x, v, e)| Step::CompareAndSet(k, x, v, e)),
        2 => (key(), expiry()).prop_map(|(k, e)| Step::Expire(k, e)),
        3 => (key(), -5..300i64, format(), expiry()).prop_map(|(k, d, f, e)| Step::Increment(k, d, f, e)),
        2 => (key(), -2.0..300f64, format(), expiry()).prop_map(|(k, d, f, e)| Step::IncrementFloat(k, d, f, e)),
        3 => (key(), value()).prop_map(|(k, v)| Step::Append(k, v)),
        4 => (key(), key(), any::<bool>()).prop_map(|(k, to, a)| Step::Rename(k, key_bytes(to), a)),
        1 => Just(Step::Clear),
        4 => (0..12u64).prop_map(Step::Wait),
        1 => Just(Step::ExpireDue),
        1 => (1..30u32, any::<bool>()).prop_map(|(n, v)| Step::ScanAll(n, v)),
    ]
}

/// Keys of several lengths, one of them with a wide header.
pub(crate) fn key_bytes(number: u8) -> Vec<u8> {
    let len = if number == 5 { 300 } else { usize::from(number) };
    vec![b'a' + number; len]
}

impl Step {
    pub(crate) fn op<'a>(&'a self, key: &'a [u8]) -> Option<Op<'a>> {
        Some(match self {
            Step::Put(_, value, condition, expiry, return_old) => Op::Put {
                key,
                value,
                condition: *condition,
                expiry: *expiry,
                return_old: *return_old,
            },
            Step::Delete(_, condition, return_old) => {
                Op::Delete { key, condition: *condition, return_old: *return_old }
            }
            Step::Read(_, 0) => Op::Exists { key },
            Step::Read(_, 1) => Op::Touch { key },
            Step::Read(_, 2) => Op::Len { partition: ID },
            Step::Read(..) => Op::Get { key },
            Step::CompareAndSet(_, expected, value, expiry) => {
                Op::CompareAndSet { key, expected: expected.as_deref(), value, expiry: *expiry }
            }
            Step::Expire(_, expiry) => Op::Expire { key, expiry: *expiry },
            Step::Increment(_, delta, format, expiry) => {
                Op::Increment { key, delta: *delta, format: *format, expiry: *expiry }
            }
            Step::IncrementFloat(_, delta, format, expiry) => {
                Op::IncrementFloat { key, delta: *delta, format: *format, expiry: *expiry }
            }
            Step::Append(_, value) => Op::Append { key, value },
            Step::Rename(_, to, if_absent) => Op::Rename { from: key, to, if_absent: *if_absent },
            Step::Clear => Op::Clear { partition: ID },
            Step::Wait(_) | Step::ExpireDue | Step::ScanAll(..) => return None,
        })
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Step::Put(key, ..)
            | Step::Delete(key, ..)
            | Step::Read(key, _)
            | Step::CompareAndSet(key, ..)
            | Step::Expire(key, _)
            | Step::Increment(key, ..)
            | Step::IncrementFloat(key, ..)
            | Step::Append(key, _)
            | Step::Rename(key, ..) => key_bytes(*key),
            _ => Vec::new(),
        }
    }
}

fn check_scan(
    store: &mut Partition,
    model: &Model,
    map: MapId,
    (entries_max, with_values): (u32, bool),
    now: u64,
) {
    let mut found = BTreeMap::new();
    let mut cursor = 0;
    loop {
        let (prefix, glob, filter) = (&b""[..], &b""[..], &b""[..]);
        let scan = Scan {
            partition: ID,
            cursor,
            entries_max,
            prefix,
            glob,
            filter,
            with_values,
            view: View::Latest,
        };
        let Reply::Page(page) = store.run(map, Op::Scan(scan), now) else {
            panic!("a scan gives pages")
        };
        for entry in &page.entries {
            let value = entry.entry.value.to_vec();
            let held =
                Held { value, version: entry.entry.version, expires_at: entry.entry.expires_at };
            assert!(found.insert(entry.key.to_vec(), held).is_none(), "a key comes once");
        }
        let Some(next) = page.next else { break };
        assert!(next > cursor, "a scan gets on");
        cursor = next;
    }
    assert_eq!(found.len(), model.live(map, Timestamp(now)).count());
    for (key, held) in model.live(map, Timestamp(now)) {
        let expected =
            if with_values { held.entry() } else { Entry { value: &[], ..held.entry() } };
        assert_eq!(found.get(key).map(Held::entry), Some(expected));
    }
}

fn run(hasher: KeyHasher, steps: &[(u32, Step)]) {
    let limits = Limits { value_bytes_max: 16 << 20, ..Limits::default() };
    let mut store = Partition::with_hasher(ID, hasher, &limits);
    let mut model = Model::default();
    let mut now = 1;
    for (index, (map, step)) in steps.iter().enumerate() {
        let (map, key) = (MapId(*map), step.key());
        match (step, step.op(&key)) {
            (_, Some(op)) => {
                let expected = model.execute(map, &op, Timestamp(now));
                assert_eq!(store.run(map, op, now), expected, "step {index}: {step:?}");
            }
            (Step::Wait(ms), _) => now += ms,
            (Step::ScanAll(entries_max, with_values), _) => {
                check_scan(&mut store, &model, map, (*entries_max, *with_values), now);
            }
            _ => assert_eq!(store.expire(Timestamp(now), usize::MAX), model.expire(Timestamp(now))),
        }
        assert_eq!(store.last_version(), Version(model.version), "step {index}: {step:?}");
    }
    store.check();
    for map in (0..MAPS).map(MapId) {
        assert_eq!(store.entries(map), model.maps.get(&map).map_or(0, BTreeMap::len));
        check_scan(&mut store, &model, map, (5, true), now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 48 }) })]

    #[test]
    fn the_store_answers_like_a_sorted_map(steps in prop::collection::vec((0..MAPS, step()), 1..250)) {
        run(KeyHasher::new(11), &steps);
    }

    #[test]
    fn the_store_answers_like_a_sorted_map_though_hashes_collide(steps in prop::collection::vec((0..MAPS, step()), 1..250)) {
        run(KeyHasher::instead(|key| crate::hash_key(1, key).0 & 0x8000_0000_0001_0001), &steps);
    }
}
