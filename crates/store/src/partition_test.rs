//! Tests of a partition as a whole: maps beside each other, batches, expiry, digest; and helpers for other tests.

use isogrid_core::{Condition, ErrorCode, Expiry, Scan};

use super::*;
use crate::raw::tests::LIVE_RECORDS;

pub(crate) const MAP: MapId = MapId(0);

/// A partition with even hashes.
pub(crate) fn partition() -> Partition {
    Partition::new(PartitionId(3), 42, &Limits::default())
}

impl Partition {
    /// Executes an operation on a map at a time.
    pub(crate) fn run<'s>(&'s mut self, map: MapId, op: Op<'_>, now: u64) -> Reply<'s> {
        let hash = self.hash_of(&op);
        self.execute(map, &op, hash, &Context { now: Timestamp(now), over_mark: false })
    }

    pub(crate) fn hash_of(&self, op: &Op<'_>) -> KeyHash {
        match op.target() {
            isogrid_core::Target::Key(key) => self.common.hasher.hash(key),
            isogrid_core::Target::Partition(_) => KeyHash(0),
        }
    }

    /// Checks every rule of every map.
    pub(crate) fn check(&self) {
        for store in self.maps.iter().flatten() {
            store.check(&self.common.hasher);
        }
        let total: usize = (0..self.maps.len()).map(|map| self.bytes(MapId(map as u32))).sum();
        assert_eq!(self.total_bytes(), total);
    }
}

fn put_until<'a>(key: &'a [u8], at: u64) -> Op<'a> {
    let expiry = Expiry::At(Timestamp(at));
    Op::Put { key, value: b"v", condition: Condition::Always, expiry, return_old: false }
}

#[test]
fn maps_do_not_see_each_other() {
    let mut partition = partition();
    partition.run(MapId(0), Op::put(b"k", b"zero"), 1);
    partition.run(MapId(2), Op::put(b"k", b"two"), 1);
    assert!(
        matches!(partition.run(MapId(0), Op::Get { key: b"k" }, 1), Reply::Found(e) if e.value == b"zero")
    );
    assert!(
        matches!(partition.run(MapId(2), Op::Get { key: b"k" }, 1), Reply::Found(e) if e.value == b"two")
    );
    assert_eq!(partition.run(MapId(1), Op::Get { key: b"k" }, 1), Reply::Missing);
    assert_eq!(partition.last_version(), Version(2), "versions are counted per partition");
    partition.run(MapId(2), Op::Clear { partition: PartitionId(3) }, 1);
    assert_eq!((partition.entries(MapId(0)), partition.entries(MapId(2))), (1, 0));
    partition.check();
}

#[test]
fn a_map_that_nobody_wrote_is_empty() {
    let mut partition = partition();
    let id = PartitionId(3);
    let scan = |glob| Scan {
        partition: id,
        cursor: 0,
        entries_max: 5,
        prefix: b"",
        glob,
        filter: b"",
        with_values: true,
        view: View::Latest,
    };
    let map = MapId(9);
    assert_eq!(partition.run(map, Op::Get { key: b"k" }, 1), Reply::Missing);
    assert_eq!(partition.run(map, Op::delete(b"k"), 1), Reply::Missing);
    assert_eq!(
        partition.run(map, Op::Expire { key: b"k", expiry: Expiry::Never }, 1),
        Reply::Missing
    );
    assert_eq!(partition.run(map, Op::Exists { key: b"k" }, 1), Reply::Flag(false));
    assert_eq!(partition.run(map, Op::Touch { key: b"k" }, 1), Reply::Flag(false));
    assert_eq!(partition.run(map, Op::Len { partition: id }, 1), Reply::Count(0));
    assert_eq!(partition.run(map, Op::Clear { partition: id }, 1), Reply::Count(0));
    assert_eq!(partition.run(map, Op::Scan(scan(b"")), 1), Reply::Page(Page::default()));
    let Reply::Failed(error) = partition.run(map, Op::Scan(scan(b"[")), 1) else {
        panic!("invalid")
    };
    assert_eq!(error.code(), ErrorCode::PatternInvalid);
    assert_eq!(
        (partition.maps.len(), partition.total_bytes(), partition.last_version().0),
        (0, 0, 0)
    );
    Step::ALL.into_iter().for_each(|step| partition.prefetch(step, map, KeyHash(5)));
}

#[test]
fn a_batch_answers_like_single_operations() {
    let (mut single, mut batched) = (partition(), partition());
    let keys: Vec<[u8; 4]> = (0..500u32).map(|n| (n * 7 % 50).to_le_bytes()).collect();
    let ops = keys.iter().enumerate().map(|(index, key)| match index % 4 {
        0 | 1 => Op::put(key, &keys[index / 2]),
        2 => Op::Get { key },
        _ => Op::delete(key),
    });
    let requests: Vec<_> = ops
        .map(|op| Request {
            map: MapId(op.value().map_or(0, |v| u32::from(v[0] % 2))),
            hash: single.hash_of(&op),
            op,
        })
        .collect();
    let context = Context { now: Timestamp(1), over_mark: false };
    let mut answered = 0;
    batched.execute_batch(&requests, &context, |index, reply| {
        assert_eq!(index, answered);
        let request = &requests[index];
        assert_eq!(reply, single.execute(request.map, &request.op, request.hash, &context));
        answered += 1;
    });
    assert_eq!(answered, requests.len());
    assert_eq!(
        (single.digest(), single.last_version()),
        (batched.digest(), batched.last_version())
    );
    batched.check();
}

#[test]
fn active_expiry_takes_the_earliest_first() {
    let mut partition = partition();
    for (key, at) in [(b"c", 30), (b"a", 10), (b"b", 20)] {
        partition.run(MAP, put_until(key, at), 1);
    }
    partition.run(MapId(1), put_until(b"d", 15), 1);
    assert_eq!(partition.next_expiry(), Some(Timestamp(10)));
    assert_eq!(partition.expire(Timestamp(9), 10), 0);
    assert_eq!(partition.expire(Timestamp(25), 1), 1);
    assert_eq!((partition.entries(MAP), partition.next_expiry()), (2, Some(Timestamp(15))));
    assert_eq!(partition.expire(Timestamp(25), 10), 2);
    assert_eq!((partition.entries(MAP), partition.next_expiry()), (1, Some(Timestamp(30))));
    assert_eq!(partition.last_version(), Version(7), "each removal is a change");
    partition.check();
}

#[test]
fn everything_is_given_back() {
    let live = LIVE_RECORDS.get();
    let usage = Arc::new(MapUsage::default());
    let mut partition = partition();
    partition.configure(MAP, &MapSettings::default(), usage.clone());
    for number in 0..3_000u32 {
        let expiry = Expiry::AfterMs(u64::from(number % 3 + 1));
        let (key, value) = (&number.to_le_bytes(), &vec![7; number as usize % 300]);
        let condition = Condition::Always;
        let op = Op::Put { key, value, condition, expiry, return_old: number % 2 == 0 };
        partition.run(MAP, op, 1);
        partition.run(MAP, op, 1);
    }
    partition.check();
    partition.expire(Timestamp(2), usize::MAX);
    assert_eq!((usage.entries(), usage.bytes()), (2_000, partition.bytes(MAP) as u64));
    assert_eq!(LIVE_RECORDS.get(), live + 2_000);
    partition.check();
    partition.expire(Timestamp(4), usize::MAX);
    assert_eq!((partition.total_bytes(), partition.digest()), (0, 0));
    assert_eq!((usage.entries(), usage.bytes(), LIVE_RECORDS.get()), (0, 0, live));
    partition.run(MAP, Op::put(b"k", &[0; 5_000]), 5);
    assert!(usage.bytes() > 5_000);
    drop(partition);
    assert_eq!((usage.entries(), usage.bytes(), LIVE_RECORDS.get()), (0, 0, live));
}

#[test]
fn a_new_account_takes_over_from_the_old_one() {
    let mut partition = partition();
    let (old, new) = (Arc::new(MapUsage::default()), Arc::new(MapUsage::default()));
    let settings = MapSettings { entries_max: 9, ..MapSettings::default() };
    partition.configure(MAP, &settings, old.clone());
    partition.run(MAP, Op::put(b"k", b"v"), 1);
    assert_eq!(
        (old.entries(), old.bytes()),
        (1, partition.bytes(MAP) as u64),
        "exact with a limit"
    );
    partition.configure(MAP, &settings, new.clone());
    assert_eq!((old.entries(), new.entries()), (0, 1));
    assert!(matches!(partition.run(MAP, Op::Get { key: b"k" }, 1), Reply::Found(_)));
}

#[test]
fn the_digest_sees_key_value_version_expiry_and_map_but_no_use_and_no_order() {
    let digest = |map: u32, ops: &[(Op<'_>, u64)]| {
        let mut partition = partition();
        let settings =
            MapSettings { eviction: isogrid_core::Eviction::Lru, ..MapSettings::default() };
        partition.configure(MapId(map), &settings, Arc::default());
        for (op, now) in ops {
            partition.run(MapId(map), *op, *now);
        }
        partition.check();
        partition.digest()
    };
    let base = digest(0, &[(Op::put(b"ab", b"c"), 1)]);
    assert_ne!(base, digest(0, &[(Op::put(b"a", b"bc"), 1)]), "the boundary between key and value");
    assert_ne!(base, digest(0, &[(Op::put(b"ab", b"d"), 1)]));
    assert_ne!(base, digest(1, &[(Op::put(b"ab", b"c"), 1)]));
    assert_ne!(base, digest(0, &[(put_until(b"ab", 9), 1)]));
    assert_ne!(base, digest(0, &[(Op::put(b"ab", b"c"), 1), (Op::put(b"ab", b"c"), 1)]), "version");
    assert_eq!(base, digest(0, &[(Op::put(b"ab", b"c"), 1), (Op::Get { key: b"ab" }, 5)]), "use");
    // The same records with the same versions, reached on other ways: an update in place, a detour.
    let straight = [(Op::put(b"x", b"1"), 1), (Op::put(b"y", b"2"), 1), (Op::put(b"x", b"3"), 1)];
    let detour = [
        (Op::put(b"z", b"9"), 1),
        (Op::put(b"y", b"2"), 1),
        (Op::put(b"x", b"3"), 1),
        (Op::delete(b"z"), 1),
    ];
    assert_eq!(digest(0, &straight), digest(0, &detour));
}
