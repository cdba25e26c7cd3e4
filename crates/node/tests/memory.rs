//! At the memory mark and at a map's limits: room is made, or writes are refused; what was there stays readable.

#[expect(dead_code, reason = "shared by several tests")]
mod common;

use std::time::{Duration, Instant};

use common::{Session, config, start};
use isogrid_core::{ErrorCode, Eviction, Expiry, MapSettings, Op, PartitionId, Reply};
use isogrid_node::config::MemoryLimit;

/// The mark of these tests. They share a process, so the resident memory of one may bring the other to its mark earlier:
/// from half of it on. A part of it is the logs'.
const MARK: MemoryLimit = MemoryLimit::Bytes(200 << 20);

/// Writes values of 10 kB; the codes of those that failed.
async fn write(session: &mut Session, map: &str, keys: std::ops::Range<u32>) -> Vec<ErrorCode> {
    let value = [7; 10_000];
    let mut failed = Vec::new();
    for chunk in keys.collect::<Vec<_>>().chunks(100) {
        let keys: Vec<String> = chunk.iter().map(|n| format!("key-{n}")).collect();
        let ops: Vec<Op<'_>> = keys.iter().map(|key| Op::put(key.as_bytes(), &value)).collect();
        session
            .call(map, &ops, |replies| {
                failed.extend(replies.iter().filter_map(|reply| match reply {
                    Reply::Failed(error) => Some(error.code()),
                    _ => None,
                }));
            })
            .await;
    }
    failed
}

async fn len(session: &mut Session, map: &str) -> u64 {
    let ops: Vec<Op<'_>> = (0..256).map(|p| Op::Len { partition: PartitionId(p) }).collect();
    let count = |reply: &Reply<'_>| match reply {
        Reply::Count(count) => *count,
        other => panic!("{other:?}"),
    };
    session.call(map, &ops, |replies| replies.iter().map(count).sum()).await
}

#[tokio::test]
async fn over_the_mark_writes_are_refused_and_the_rest_goes_on() {
    let mut config = config();
    config.memory.limit = MARK;
    let node = start(config);
    let mut session = Session::open(&node).await;
    // Twice as much as may be.
    let failed = write(&mut session, "m", 0..40_000).await;
    assert!(failed.len() > 1_000, "only {} were refused", failed.len());
    assert!(failed.iter().all(|code| *code == ErrorCode::MemoryFull), "{failed:?}");
    let kept = 40_000 - failed.len() as u64;
    assert_eq!(len(&mut session, "m").await, kept);
    session
        .call("m", &[Op::Get { key: b"key-0" }, Op::delete(b"key-0")], |replies| {
            assert!(matches!(&replies[0], Reply::Found(e) if e.value.len() == 10_000));
            assert!(matches!(&replies[1], Reply::Deleted { .. }));
        })
        .await;
    // Room again: the same write succeeds.
    let ops: Vec<Op<'_>> = (0..256).map(|p| Op::Clear { partition: PartitionId(p) }).collect();
    session.call("m", &ops, |_| ()).await;
    assert_eq!(write(&mut session, "m", 0..1).await, []);
}

#[tokio::test]
async fn over_the_mark_a_cache_makes_room() {
    let mut config = config();
    config.memory.limit = MARK;
    let lru = MapSettings { eviction: Eviction::Lru, ..MapSettings::default() };
    config.maps.insert("cache".to_owned(), lru);
    let node = start(config);
    let mut session = Session::open(&node).await;
    let failed = write(&mut session, "cache", 0..48_000).await;
    assert_eq!(failed, [], "a cache takes every write");
    let kept = len(&mut session, "cache").await;
    assert!((5_500..21_000).contains(&kept), "{kept} of 48000 fit");
    session
        .call("cache", &[Op::Get { key: b"key-47999" }], |replies| {
            assert!(matches!(&replies[0], Reply::Found(_)), "the newest is there");
        })
        .await;
}

#[tokio::test]
async fn a_map_keeps_its_number_of_entries_exactly() {
    let mut config = config();
    let limited = |eviction| MapSettings { eviction, entries_max: 100, ..MapSettings::default() };
    config.maps.insert("cache".to_owned(), limited(Eviction::Lfu));
    config.maps.insert("strict".to_owned(), limited(Eviction::None));
    let node = start(config);
    let mut session = Session::open(&node).await;
    assert_eq!(write(&mut session, "cache", 0..1_000).await, []);
    assert_eq!(len(&mut session, "cache").await, 100);
    let refused = write(&mut session, "strict", 0..1_000).await;
    assert_eq!((refused.len(), refused[0]), (900, ErrorCode::MapFull));
    assert_eq!(len(&mut session, "strict").await, 100);
}

#[tokio::test]
async fn expired_records_give_their_memory_back() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    let keys: Vec<String> = (0..1_000).map(|n| format!("k{n}")).collect();
    let ops: Vec<Op<'_>> = keys
        .iter()
        .map(|key| Op::Put {
            key: key.as_bytes(),
            value: &[1; 1_000],
            condition: isogrid_core::Condition::Always,
            expiry: Expiry::AfterMs(300),
            return_old: false,
        })
        .collect();
    session.call("m", &ops, |_| ()).await;
    assert!(common::data_bytes(&node).await > 1_000_000);
    let deadline = Instant::now() + common::PATIENCE;
    while common::data_bytes(&node).await > 0 {
        assert!(Instant::now() < deadline, "nobody asked for the keys, and still they go");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    session
        .call("m", &[Op::Get { key: b"k1" }], |replies| assert_eq!(replies, [Reply::Missing]))
        .await;
}
