//! Tests of the walk.

use std::collections::BTreeSet;

use isogrid_core::{Expiry, Op};

use super::*;
use crate::hash::KeyHasher;
use crate::partition::tests::partition;

fn fill(partition: &mut Partition, map: u32, keys: std::ops::Range<u32>) {
    for number in keys {
        let key = number.to_le_bytes();
        partition.run(MapId(map), Op::put(&key, &number.to_be_bytes()), 1);
    }
}

/// Walks in pages, and lets something happen after each.
fn walk(
    partition: &mut Partition,
    bytes_max: usize,
    mut between: impl FnMut(&mut Partition, usize),
) -> Vec<(MapId, KeyHash, Vec<u8>)> {
    let (mut found, mut cursor) = (Vec::new(), Some(WalkCursor::default()));
    for round in 0.. {
        let Some(start) = cursor else { break };
        let page = partition.walk(start, bytes_max);
        assert!(page.next.is_none_or(|next| next > start), "a walk gets on");
        found.extend(
            page.records.iter().map(|record| (record.map, record.hash, record.key.to_vec())),
        );
        cursor = page.next;
        between(partition, round);
    }
    found
}

#[test]
fn every_record_comes_once_in_order_whatever_the_pages() {
    let mut partition = partition();
    fill(&mut partition, 0, 0..700);
    fill(&mut partition, 2, 300..1_500);
    fill(&mut partition, 5, 0..1);
    let expire = Op::Expire { key: &7u32.to_le_bytes(), expiry: Expiry::AfterMs(1) };
    partition.run(MapId(0), expire, 1);
    let whole = walk(&mut partition, usize::MAX, |_, round| assert_eq!(round, 0));
    assert_eq!(whole.len(), 700 + 1_200 + 1);
    assert!(whole.windows(2).all(|two| two[0] < two[1]), "sorted, and nothing twice");
    assert_eq!(partition.maps().collect::<Vec<_>>(), [MapId(0), MapId(2), MapId(5)]);
    assert_eq!(partition.total_entries(), whole.len());
    for bytes_max in [0, 100, 3_000] {
        assert_eq!(walk(&mut partition, bytes_max, |_, _| ()), whole);
    }
    let page = partition.walk(WalkCursor::default(), 4_000);
    assert_eq!(page.records.len(), 100, "4 + 4 + 32 bytes each");
}

#[test]
fn what_is_present_throughout_comes_once_though_tables_grow_and_shrink() {
    let mut partition = partition();
    fill(&mut partition, 0, 0..300);
    fill(&mut partition, 1, 0..300);
    let found = walk(&mut partition, 2_000, |partition, round| {
        let first = 1_000 + round as u32 * 400;
        match round {
            0..8 => (0..2).for_each(|map| fill(partition, map, first..first + 400)),
            _ => (1_000..5_000u32).for_each(|key| {
                partition.run(MapId(0), Op::delete(&key.to_le_bytes()), 1);
            }),
        }
    });
    let distinct: BTreeSet<_> = found.iter().collect();
    assert_eq!(distinct.len(), found.len(), "nothing twice");
    for (map, number) in (0..2).flat_map(|map| (0..300u32).map(move |number| (map, number))) {
        let key = number.to_le_bytes().to_vec();
        let hash = partition.common.hasher.hash(&key);
        assert!(distinct.contains(&(MapId(map), hash, key)));
    }
}

#[test]
fn buckets_and_ranges_have_what_is_theirs() {
    let mut partition = partition();
    fill(&mut partition, 0, 0..2_000);
    fill(&mut partition, 3, 0..50);
    let whole = walk(&mut partition, usize::MAX, |_, _| ());
    for bytes_max in [0, 200, usize::MAX] {
        let mut found = Vec::new();
        for bucket in 0..=u8::MAX {
            let mut cursor = Some(WalkCursor::default());
            while let Some(start) = cursor {
                let page = partition.walk_bucket(bucket, start, bytes_max);
                assert!(page.records.iter().all(|record| record.hash.0 >> 56 == u64::from(bucket)));
                found.extend(page.records.iter().map(|r| (r.map, r.hash, r.key.to_vec())));
                cursor = page.next;
            }
        }
        found.sort_unstable();
        assert_eq!(found, whole);
    }
    let (first, last) = (whole[10].1.0, whole[20].1.0);
    let cursor = WalkCursor { map: 0, hash: whole[12].1.0 };
    let page = partition.walk_hashes(first..=last, cursor, usize::MAX);
    let of_first_map = page.records.iter().filter(|record| record.map == MapId(0));
    assert_eq!(of_first_map.count(), 9);
    assert_eq!(page.next, None);
}

#[test]
fn keys_with_one_hash_come_together() {
    let hasher = KeyHasher::instead(|key| u64::from(key[0] % 3));
    let mut partition = Partition::with_hasher(partition().id(), hasher, &Default::default());
    fill(&mut partition, 0, 0..30);
    let page = partition.walk(WalkCursor::default(), 1);
    assert_eq!((page.records.len(), page.next), (10, Some(WalkCursor { map: 0, hash: 1 })));
    let last = partition.walk(WalkCursor { map: 0, hash: 2 }, 1);
    assert_eq!((last.records.len(), last.next), (10, None));
}

#[test]
fn an_empty_partition_is_walked_at_once() {
    let partition = partition();
    assert_eq!(partition.walk(WalkCursor::default(), 1), Walked::default());
    assert_eq!(partition.walk(WalkCursor { map: 9, hash: 9 }, 1), Walked::default());
    assert_eq!((partition.maps().count(), partition.total_entries()), (0, 0));
}
