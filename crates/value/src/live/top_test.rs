//! The first few against all that is there, sorted, while records come, change and go, partitions are told anew, and old news come late.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What happens to the records of a test.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, i64),
    Remove(u8),
    Clear(u16),
    /// A partition is told anew.
    Snapshot(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..60, -20i64..20).prop_map(|(key, score)| Step::Put(key, score)),
        3 => (0u8..60).prop_map(Step::Remove),
        1 => (0u16..3).prop_map(Step::Clear),
        1 => (0u16..3).prop_map(Step::Snapshot),
    ]
}

struct World {
    records: BTreeMap<u8, (i64, u64)>,
    version: u64,
    top: Top<i64>,
    folded: BTreeMap<u8, i64>,
    refills: usize,
}

impl World {
    fn place(key: &u8, version: u64) -> Place<'_> {
        let partition = u16::from(*key % 3);
        Place { partition, key: std::slice::from_ref(key), version }
    }

    fn take(&mut self, step: &Step) {
        self.version += 1;
        let version = self.version;
        match step {
            Step::Put(key, score) => {
                self.records.insert(*key, (*score, version));
                let cell = Cell::BigInt(*score);
                self.top.put(World::place(key, version), cell, *score, Origin::Log);
            }
            Step::Remove(key) => {
                self.records.remove(key);
                self.top.gone(World::place(key, version));
            }
            Step::Clear(partition) => {
                self.records.retain(|key, _| u16::from(*key % 3) != *partition);
                self.top.cleared(*partition, version);
            }
            Step::Snapshot(partition) => self.tell(*partition),
        }
    }

    /// A snapshot, and behind it news that it had shown.
    fn tell(&mut self, partition: u16) {
        self.top.begin(partition);
        let of: Vec<_> =
            self.records.iter().filter(|(key, _)| u16::from(**key % 3) == partition).collect();
        for (key, (score, version)) in &of {
            self.top.put(
                World::place(key, *version),
                Cell::BigInt(*score),
                *score,
                Origin::Snapshot,
            );
        }
        self.top.done(partition);
        for (key, (score, version)) in &of {
            // It was lower before, and was there all the time.
            self.top.put(
                World::place(key, version - 1),
                Cell::BigInt(score - 1),
                score - 1,
                Origin::Log,
            );
            self.top.put(World::place(key, *version), Cell::BigInt(*score), *score, Origin::Log);
        }
    }

    fn settle(&mut self) {
        while self.top.is_short() {
            self.refills += 1;
            self.top.restart();
            (0..3).for_each(|partition| self.tell(partition));
        }
        for change in self.top.changes() {
            let fresh = match change {
                Change::Enter(key, score) => self.folded.insert(key[0], score).is_none(),
                Change::Update(key, score) => self.folded.insert(key[0], score).is_some(),
                Change::Leave(key) => self.folded.remove(&key[0]).is_some(),
            };
            assert!(fresh, "what enters was not there, what changes and leaves was");
        }
    }

    fn sorted(&self, count: usize, order: Order) -> BTreeMap<u8, i64> {
        let mut all: Vec<(i64, u8)> =
            self.records.iter().map(|(key, (score, _))| (*score, *key)).collect();
        all.sort_by_key(|(score, key)| (if order.is_descending { -score } else { *score }, *key));
        all.into_iter().take(count).map(|(score, key)| (key, score)).collect()
    }
}

proptest! {
    #[test]
    fn the_first_are_those_of_all_records_sorted(
        steps in proptest::collection::vec(step(), 1..200),
        count in 1usize..6,
        is_descending in any::<bool>(),
    ) {
        let order = Order { is_descending, is_null_first: false };
        let mut top = Top::new(count, order, 3);
        top.reserve = 3;
        let mut world =
            World { records: BTreeMap::new(), version: 1, top, folded: BTreeMap::new(), refills: 0 };
        (0..3).for_each(|partition| world.tell(partition));
        for step in &steps {
            world.take(step);
            world.settle();
            prop_assert_eq!(&world.folded, &world.sorted(count, order), "after {:?}", step);
        }
    }
}

#[test]
fn what_is_kept_is_bounded_and_a_used_up_reserve_is_noticed() {
    let mut top = Top::new(2, Order { is_descending: true, is_null_first: false }, 1);
    top.begin(0);
    let place = |key: &'static [u8], version| Place { partition: 0, key, version };
    let keys: Vec<&'static [u8]> =
        (0..1_000u32).map(|n| &*n.to_be_bytes().to_vec().leak()).collect();
    for (n, key) in keys.iter().enumerate() {
        top.put(place(key, 1), Cell::BigInt(n as i64), (), Origin::Snapshot);
    }
    assert_eq!(top.changes(), [], "the snapshot is not complete");
    top.done(0);
    let enters = |n: usize| Change::Enter(keys[n].into(), ());
    assert_eq!(top.changes(), [enters(999), enters(998)]);
    assert_eq!((top.kept.len(), top.kept.len()), (top.kept_max(), top.positions.len()));
    for n in (899..1_000).rev() {
        assert!(!top.is_short(), "{n}");
        top.gone(place(keys[n], 2));
    }
    assert!(top.is_short(), "one is left, and others are behind the border");
}
