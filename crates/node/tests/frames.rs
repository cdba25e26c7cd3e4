//! Frames do what their operations say, in the order of each partition, whatever the order of execution.

#[expect(dead_code, reason = "shared by several tests")]
mod common;

use isogrid_core::{Condition, ErrorCode, Expiry, Op, Outcome, PartitionId, Reply, Scan, View};

#[tokio::test]
async fn every_operation_answers() {
    let node = common::start(common::config());
    let mut session = common::Session::open(&node).await;
    assert_eq!((session.welcome.partitions, session.welcome.cores), (256, 2));
    let key = b"k".as_slice();
    let ops = [
        Op::put(key, b"one"),
        Op::Get { key },
        Op::Put {
            key,
            value: b"two",
            condition: Condition::IfAbsent,
            expiry: Expiry::Never,
            return_old: false,
        },
        Op::Append { key, value: b"!" },
        Op::Expire { key, expiry: Expiry::AfterMs(60_000) },
        Op::Get { key },
        Op::Exists { key },
        Op::delete(key),
        Op::Get { key },
    ];
    session
        .call("m", &ops, |replies| {
            assert!(matches!(replies[0], Reply::Written { .. }), "{:?}", replies[0]);
            assert!(matches!(&replies[1], Reply::Found(e) if e.value == b"one"));
            assert!(matches!(&replies[2], Reply::Conflict { current: Some(e) } if e.value == b"one"));
            assert!(matches!(replies[3], Reply::Integer { value: 4, .. }));
            assert!(matches!(&replies[5], Reply::Found(e) if e.value == b"one!" && e.expires_at.is_some()));
            assert_eq!(replies[6], Reply::Flag(true));
            assert!(matches!(replies[7], Reply::Deleted { .. }));
            assert_eq!(replies[8], Reply::Missing);
        })
        .await;
}

#[tokio::test]
async fn a_rename_moves_within_a_partition_and_says_why_not_further() {
    let node = common::start(common::config());
    let mut session = common::Session::open(&node).await;
    let rename = |from, to, if_absent| Op::Rename { from, to, if_absent };
    let long = [b"{t}".as_slice(), &[b'x'; 100_000]].concat();
    let ops = [
        rename(b"{t}a", b"{t}b", false),
        Op::put(b"{t}a", b"one"),
        rename(b"{t}a", b"{t}b", false),
        Op::Get { key: b"{t}a" },
        Op::Get { key: b"{t}b" },
        rename(b"{t}b", b"elsewhere", false),
        Op::put(b"{t}c", b"two"),
        rename(b"{t}b", b"{t}c", true),
        rename(b"{t}b", &long, false),
        Op::Get { key: b"{t}b" },
    ];
    let code = |reply: &Reply<'_>| match reply {
        Reply::Failed(error) => Some((error.code(), error.outcome())),
        _ => None,
    };
    session
        .call("m", &ops, |replies| {
            assert_eq!(replies[0], Reply::Missing);
            assert!(matches!(replies[2], Reply::Written { .. }), "{:?}", replies[2]);
            assert_eq!(replies[3], Reply::Missing);
            assert!(matches!(&replies[4], Reply::Found(e) if e.value == b"one"));
            assert_eq!(code(&replies[5]), Some((ErrorCode::KeysApart, Outcome::NotApplied)));
            assert!(
                matches!(&replies[7], Reply::Conflict { current: Some(e) } if e.value == b"two")
            );
            assert_eq!(code(&replies[8]), Some((ErrorCode::KeyTooLong, Outcome::NotApplied)));
            assert!(matches!(&replies[9], Reply::Found(e) if e.value == b"one"));
        })
        .await;
}

#[tokio::test]
async fn a_frame_over_many_partitions_keeps_its_order() {
    let node = common::start(common::config());
    let mut session = common::Session::open(&node).await;
    let keys: Vec<String> = (0..500).map(|n| format!("key-{n}")).collect();
    let ops: Vec<Op<'_>> = keys.iter().map(|k| Op::put(k.as_bytes(), k.as_bytes())).collect();
    session.call("m", &ops, |replies| assert_eq!(replies.len(), 500)).await;
    let mut ops = Vec::new();
    for key in &keys {
        ops.push(Op::Get { key: key.as_bytes() });
        ops.push(Op::Get { key: b"absent" });
    }
    session
        .call("m", &ops, |replies| {
            for (key, pair) in keys.iter().zip(replies.chunks(2)) {
                assert!(matches!(&pair[0], Reply::Found(e) if e.value == key.as_bytes()));
                assert_eq!(pair[1], Reply::Missing);
            }
        })
        .await;
    let count = |partition| Op::Len { partition: PartitionId(partition) };
    let ops: Vec<Op<'_>> = (0..256).map(count).collect();
    session
        .call("m", &ops, |replies| {
            let total: u64 = replies
                .iter()
                .map(|r| match r {
                    Reply::Count(count) => *count,
                    other => panic!("{other:?}"),
                })
                .sum();
            assert_eq!(total, 500);
        })
        .await;
}

#[tokio::test]
async fn a_read_makes_no_map_and_a_write_does() {
    let node = common::start(common::config());
    let mut session = common::Session::open(&node).await;
    let scan = Op::Scan(Scan {
        partition: PartitionId(3),
        cursor: 0,
        entries_max: 10,
        prefix: b"",
        glob: b"",
        filter: b"",
        with_values: true,
        view: View::Latest,
    });
    session
        .call("typo", &[Op::Get { key: b"k" }, Op::delete(b"k"), scan], |replies| {
            assert_eq!(replies[..2], [Reply::Missing, Reply::Missing]);
            assert!(matches!(&replies[2], Reply::Page(page) if page.entries.is_empty()));
        })
        .await;
    assert_eq!(common::maps(&node).await, Vec::<String>::new());
    session.call("real", &[Op::put(b"k", b"v")], |_| ()).await;
    assert_eq!(common::maps(&node).await, ["real"]);
}
