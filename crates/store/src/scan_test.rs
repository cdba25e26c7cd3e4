//! Tests of scans: exactly once while the table changes, on any replica, with any hashes; filters; bounds of a page.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{Expiry, Limits, Op, PartitionId, Reply};
use proptest::prelude::*;

use super::*;
use crate::partition::Partition;
use crate::partition::tests::{MAP, partition};

fn scan(cursor: u64, entries_max: u32) -> Scan<'static> {
    Scan {
        partition: PartitionId(3),
        cursor,
        entries_max,
        prefix: b"",
        glob: b"",
        filter: b"",
        with_values: true,
        view: View::Latest,
    }
}

fn page<'s>(partition: &'s mut Partition, scan: Scan<'_>, now: u64) -> Page<'s> {
    match partition.run(MAP, Op::Scan(scan), now) {
        Reply::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

/// All keys that a scan from the beginning finds, in order.
fn keys(partition: &mut Partition, mut request: Scan<'_>, now: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    loop {
        let page = page(partition, request, now);
        found.extend(page.entries.iter().map(|entry| entry.key.to_vec()));
        match page.next {
            Some(next) => request.cursor = next,
            None => return found,
        }
    }
}

fn filled(keys: u32) -> Partition {
    let mut partition = partition();
    for number in 0..keys {
        partition.run(MAP, Op::put(format!("key:{number}").as_bytes(), &number.to_le_bytes()), 1);
    }
    partition
}

#[test]
fn pages_of_any_size_find_every_key_once_in_the_same_order() {
    let mut partition = filled(2_000);
    let all = keys(&mut partition, scan(0, u32::MAX), 1);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 2_000);
    for entries_max in [0, 1, 7, 511, 512, 600, 1_000, 2_000, 2_001] {
        assert_eq!(keys(&mut partition, scan(0, entries_max), 1), all, "pages of {entries_max}");
    }
    let first = page(&mut partition, scan(0, 10), 1);
    assert_eq!(first.entries.len(), 10);
    assert!(first.entries.iter().all(|entry| entry.entry.value.len() == 4));
}

#[test]
fn a_large_page_ends_with_a_segment() {
    let mut partition = filled(20_000);
    let mut request = scan(0, 512);
    let (mut pages, mut found) = (0, 0);
    while let Some(next) = {
        let page = page(&mut partition, request, 1);
        found += page.entries.len();
        pages += 1;
        assert!(page.entries.len() <= 512, "{}", page.entries.len());
        page.next
    } {
        // The first hash of a segment has zeros behind those bits that choose it.
        assert_eq!(next & 0xffff_ffff, 0, "{next:x}");
        request.cursor = next;
    }
    assert_eq!(found, 20_000);
    assert!((40..=78).contains(&pages), "{pages} pages of at least half the size that may be");
}

#[test]
fn the_first_and_the_last_hash_are_found() {
    let hasher = KeyHasher::instead(|key| match key {
        b"first" => 0,
        b"last" => u64::MAX,
        _ => 1 << 63,
    });
    let mut partition = Partition::with_hasher(PartitionId(3), hasher, &Limits::default());
    for key in [&b"last"[..], b"middle", b"first"] {
        partition.run(MAP, Op::put(key, b""), 1);
    }
    for entries_max in [1, 2, 3] {
        let found = keys(&mut partition, scan(0, entries_max), 1);
        assert_eq!(found, [&b"first"[..], b"middle", b"last"]);
    }
    assert_eq!(page(&mut partition, scan(u64::MAX, 5), 1).entries.len(), 1);
    assert_eq!(page(&mut partition, scan(0, 2), 1).next, Some(u64::MAX));
}

#[test]
fn keys_with_one_hash_come_in_one_page() {
    let hasher = KeyHasher::instead(|key| u64::from(key[0] % 3) << 62);
    let mut partition = Partition::with_hasher(PartitionId(3), hasher, &Limits::default());
    (0..90u8).for_each(|key| drop(partition.run(MAP, Op::put(&[key], b""), 1)));
    let first = page(&mut partition, scan(0, 10), 1);
    assert_eq!((first.entries.len(), first.next), (30, Some(1 << 62)));
    assert_eq!(keys(&mut partition, scan(0, 31), 1).len(), 90);
}

#[test]
fn filters_choose_and_expired_records_are_hidden() {
    let mut partition = filled(200);
    let expiry = Expiry::AfterMs(5);
    partition.run(MAP, Op::Expire { key: b"key:11", expiry }, 1);
    let prefix = Scan { prefix: b"key:1", with_values: false, ..scan(0, 9) };
    assert_eq!(keys(&mut partition, prefix, 1).len(), 111);
    assert_eq!(keys(&mut partition, prefix, 6).len(), 110);
    assert!(
        page(&mut partition, prefix, 6).entries.iter().all(|entry| entry.entry.value.is_empty())
    );
    let glob = Scan { glob: b"key:1[0-4]", ..scan(0, 3) };
    assert_eq!(keys(&mut partition, glob, 1).len(), 5);
    assert_eq!(keys(&mut partition, Scan { prefix: b"key:13", ..glob }, 1).len(), 1);
    assert_eq!(keys(&mut partition, Scan { prefix: b"other", ..glob }, 1).len(), 0);
}

#[test]
fn a_page_is_bounded_in_work() {
    let mut partition = filled(40_000);
    let none = Scan { prefix: b"none", ..scan(0, 10) };
    let first = page(&mut partition, none, 1);
    assert!(first.entries.is_empty());
    let next = first.next.expect("40,000 records are more than one page looks at");
    assert!(next > u64::MAX / 4 && next < u64::MAX / 4 * 3, "about 16,384 of 40,000: {next:x}");
    assert!(keys(&mut partition, none, 1).is_empty());
}

#[test]
fn a_page_is_bounded_in_bytes() {
    let mut partition = partition();
    for number in 0..20u8 {
        partition.run(MAP, Op::put(&[number], &vec![number; 300_000]), 1);
    }
    assert_eq!(page(&mut partition, scan(0, 100), 1).entries.len(), 3);
    assert_eq!(keys(&mut partition, scan(0, 100), 1).len(), 20);
    let without = Scan { with_values: false, ..scan(0, 100) };
    assert_eq!(page(&mut partition, without, 1).entries.len(), 20, "only keys count then");
    partition.run(MAP, Op::put(b"huge", &vec![0; 1 << 20]), 1);
    assert_eq!(keys(&mut partition, scan(0, 100), 1).len(), 21, "a value larger than a page");
}

/// Even hashes; hashes that share their upper bits; hashes of a few values.
fn hashers() -> impl Strategy<Value = fn(&[u8]) -> u64> {
    prop_oneof![
        Just((|key: &[u8]| crate::hash_key(1, key).0) as fn(&[u8]) -> u64),
        Just((|key: &[u8]| crate::hash_key(1, key).0 >> 6) as fn(&[u8]) -> u64),
        Just((|key: &[u8]| crate::hash_key(1, key).0 & 0xf800_0000_0000_0001) as fn(&[u8]) -> u64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Between two pages the table grows by hundreds of keys or loses them, and every other page comes from a replica
    /// that was filled in another order. 300 keys stay throughout.
    #[test]
    fn a_key_present_throughout_is_returned_exactly_once(
        hasher in hashers(),
        changes in prop::collection::vec((any::<bool>(), 0..1_500u32, 0..400u32), 60),
        page_len in 1..60u32,
    ) {
        let new = || Partition::with_hasher(PartitionId(3), KeyHasher::instead(hasher), &Limits::default());
        let mut replicas = [new(), new()];
        let stays = |number: u32| format!("stays:{number}").into_bytes();
        for number in 0..300 {
            replicas[0].run(MAP, Op::put(&stays(number), b""), 1);
            replicas[1].run(MAP, Op::put(&stays(299 - number), b""), 1);
        }
        let mut returned = BTreeMap::new();
        let mut request = scan(0, page_len);
        for (adds, first, count) in changes.into_iter().cycle() {
            let page = page(&mut replicas[count as usize % 2], request, 1);
            for entry in &page.entries {
                *returned.entry(entry.key.to_vec()).or_insert(0) += 1;
            }
            let Some(next) = page.next else { break };
            request.cursor = next;
            for replica in &mut replicas {
                for number in first..first + count {
                    let key = format!("comes and goes:{number}");
                    let key = key.as_bytes();
                    replica.run(MAP, if adds { Op::put(key, b"") } else { Op::delete(key) }, 1);
                }
            }
        }
        prop_assert!((0..300).all(|number| returned.get(&stays(number)) == Some(&1)));
        replicas.iter().for_each(Partition::check);
    }
}

/// So many records whose values are objects, and a filter that means every hundredth.
fn people(count: u32) -> (Partition, Vec<u8>) {
    let mut partition = partition();
    for number in 0..count {
        let value = format!("{{\"n\": {number}, \"rare\": {}}}", number % 100 == 0);
        partition.run(MAP, Op::put(format!("key:{number}").as_bytes(), value.as_bytes()), 1);
    }
    let filter = isogrid_value::col("rare").eq(true).encode().expect("it is small");
    (partition, filter)
}

#[test]
fn a_filter_leaves_out_what_it_does_not_mean() {
    let (mut partition, filter) = people(3_000);
    let all = keys(&mut partition, scan(0, u32::MAX), 1);
    let rare = |key: &&Vec<u8>| {
        let number =
            std::str::from_utf8(&key[4..]).expect("digits").parse::<u32>().expect("digits");
        number % 100 == 0
    };
    let expected: Vec<Vec<u8>> = all.iter().filter(rare).cloned().collect();
    assert_eq!(expected.len(), 30);
    let filtered = Scan { filter: &filter, ..scan(0, 7) };
    assert_eq!(keys(&mut partition, filtered, 1), expected);
    let keys_only = Scan { with_values: false, ..filtered };
    assert_eq!(keys(&mut partition, keys_only, 1), expected);
    assert_eq!(keys(&mut partition, Scan { prefix: b"key:10", ..filtered }, 1).len(), 2);
}

#[test]
fn a_filter_of_keys_alone_looks_at_many_records_and_not_at_all() {
    let mut partition = partition();
    for number in 0..20_000 {
        let key = format!("{{t{}}}:{number}", number % 500);
        // Nobody reads these values: they are none.
        partition.run(MAP, Op::put(key.as_bytes(), b"{garbage"), 1);
    }
    let of = |keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        isogrid_value::Filter::OfPartitionKeys(keys).encode().expect("it is small")
    };
    for (wanted, count) in [(&["t7"][..], 40), (&["t7", "t499", "none"], 80), (&["{t7}:7"], 0)] {
        let filter = of(wanted);
        let request = Scan { filter: &filter, ..scan(0, 1_000) };
        let found = keys(&mut partition, request, 1);
        let is_wanted = |key: &Vec<u8>| {
            wanted.iter().any(|tag| key.starts_with(format!("{{{tag}}}").as_bytes()))
        };
        assert!(found.len() == count && found.iter().all(is_wanted), "{wanted:?}");
    }
    let filter = of(&["none"]);
    let mut request = Scan { filter: &filter, ..scan(0, 10) };
    let mut pages = 1;
    while let Some(next) = page(&mut partition, request, 1).next {
        assert!(next > request.cursor, "it gets on");
        (request.cursor, pages) = (next, pages + 1);
    }
    assert!((3..=6).contains(&pages), "{pages} pages: a page looks at about 5,000 keys");
}

#[test]
fn a_page_that_finds_nothing_ends_before_it_has_looked_at_much() {
    let (mut partition, _) = people(5_000);
    let none = isogrid_value::col("n").lt(0).encode().expect("it is small");
    let mut request = Scan { filter: &none, ..scan(0, 10) };
    let mut pages = 1;
    while let Some(next) = page(&mut partition, request, 1).next {
        assert!(next > request.cursor, "it gets on");
        request.cursor = next;
        pages += 1;
    }
    // Of the work of 16,384 records a value takes more than 17.
    assert!((5..20).contains(&pages), "{pages} pages");
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let mut partition = filled(1);
    for (map, filter) in [(MAP, &b"garbage"[..]), (isogrid_core::MapId(99), &[1, 9])] {
        match partition.run(map, Op::Scan(Scan { filter, ..scan(0, 5) }), 1) {
            Reply::Failed(error) => {
                assert_eq!(error.code(), isogrid_core::ErrorCode::FilterInvalid)
            }
            other => panic!("{other:?}"),
        }
    }
}
