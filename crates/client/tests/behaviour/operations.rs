//! Every operation on one key and on many.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use isogrid_client::testing::Cluster;
use isogrid_client::{Delete, ErrorCode, Outcome, Put, Raw, Rename, Result};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn get_put_delete() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    assert_eq!(map.get("k").await?, None);
    let first = map.put("k", &1).await?;
    let second = map.put(&"k".to_owned(), &2).await?;
    assert!(second > first, "versions grow");
    let versioned = map.get("k").versioned().await?.expect("present");
    assert_eq!((versioned.value, versioned.version, versioned.expires_at), (2, second, None));
    assert!(map.contains("k").await? && map.touch("k").await?);
    assert!(map.delete("k").await?);
    assert!(!map.delete("k").await?);
    assert!(!map.contains("k").await? && !map.touch("k").await?);
    Ok(())
}

#[tokio::test]
async fn conditions_give_values_not_errors() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    assert_eq!(map.put("k", &0).if_present().await?, Put::Conflict(None));
    let Put::Stored(version) = map.put("k", &1).if_absent().await? else { panic!("absent") };
    let Put::Conflict(Some(there)) = map.put("k", &2).if_absent().await? else { panic!("present") };
    assert_eq!((there.value, there.version), (1, version));
    let Put::Stored(newer) = map.put("k", &3).if_version(version).await? else { panic!("same") };
    assert!(!map.put("k", &4).if_version(version).await?.is_stored());
    let old = map.put("k", &5).if_version(newer).returning_old().await?;
    let old = old.stored().expect("the version is right").old.expect("there was a value");
    assert_eq!(old.value, 3);
    let swapped = map.put("k", &6).returning_old().await?;
    assert_eq!(swapped.old.map(|old| old.value), Some(5));

    let Delete::Conflict(there) = map.delete("k").if_version(newer).await? else {
        panic!("it has another version by now")
    };
    assert_eq!(there.value, 6);
    let gone = map.delete("k").if_version(there.version).returning_old().await?;
    assert!(matches!(gone, Delete::Deleted(Some(old)) if old.value == 6));
    assert_eq!(map.delete("k").if_version(there.version).await?, Delete::Missing);
    assert_eq!(map.delete("k").returning_old().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_record_is_renamed_with_its_expiry() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<String, u64>("m");
    let (a, b) = ("{t}a", "{t}b".to_owned());
    assert_eq!(map.rename(a, &b).await?, None);
    assert_eq!(map.rename(a, &b).if_absent().await?, Rename::Missing);
    let first = map.put(a, &1).ttl(HOUR).await?;
    let before = map.get(a).versioned().await?.expect("present");
    let renamed = map.rename(a, &b).with_receipt().await?;
    assert_eq!(renamed.receipt().map(|receipt| receipt.version()), *renamed);
    let after = map.get(&b).versioned().await?.expect("it is there now");
    assert!(after.version > first, "a version of its own");
    assert_eq!((Some(after.version), after.value), (*renamed, 1));
    assert_eq!(after.expires_at, before.expires_at);
    assert!(!map.contains(a).await?);

    map.put(a, &2).await?;
    let kept = map.rename(a, &b).if_absent().await?;
    assert!(matches!(kept, Rename::Conflict(there) if there == after) && !kept.is_renamed());
    let over = map.rename(a, &b).await?.expect("over what is there");
    assert_eq!(map.get(&b).versioned().await?.map(|v| (v.value, v.version)), Some((2, over)));
    assert!(map.rename(&b, a).if_absent().await?.is_renamed());

    let bytes = grid.raw_map("m");
    assert!(bytes.rename(&b"{t}a"[..], b"{t}b").await?.is_some(), "keys of one form");
    Ok(())
}

#[tokio::test]
async fn keys_in_different_partitions_are_refused_without_a_trip() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<String, u64>("m");
    map.put("foo", &1).await?;
    let mut pipeline = grid.pipeline();
    let apart = pipeline.push(map.rename("foo", "bar"));
    let fine = pipeline.push(map.rename("foo", "{foo}new"));
    let mut replies = pipeline.send().await?;
    let error = replies.take(apart).expect_err("two partitions");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeysApart, Outcome::NotApplied));
    assert!(replies.take(fine)?.is_some(), "it fails alone");
    cluster.kill(0).await?;
    let error = map.rename("foo", "bar").await.expect_err("two partitions");
    assert_eq!(error.code(), ErrorCode::KeysApart, "no node is asked");
    let long = "{foo}".to_owned() + &"x".repeat(70_000);
    let error = map.rename("foo", &long).await.expect_err("too long");
    assert_eq!(error.code(), ErrorCode::KeyTooLong, "nor for this");
    Ok(())
}

#[tokio::test]
async fn expiry_is_set_kept_and_removed() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, i64>("m");
    let expiry = async || -> Result<Option<u64>> {
        Ok(map.get("k").versioned().await?.and_then(|v| v.expires_at).map(|at| at.0))
    };
    map.put("k", &1).ttl(HOUR).await?;
    let first = expiry().await?.expect("it expires");
    map.put("k", &2).keep_ttl().await?;
    assert_eq!(expiry().await?, Some(first));
    map.incr("k", 1).await?;
    assert_eq!(expiry().await?, Some(first), "increments keep it");
    map.update("k", |value| value.map(|value| value + 1)).await?;
    assert_eq!(expiry().await?, Some(first), "updates keep it");
    assert!(map.persist("k").await?);
    assert_eq!(expiry().await?, None);
    assert!(map.expire("k", HOUR).await?);
    assert!(expiry().await?.is_some());
    map.put("k", &3).await?;
    assert_eq!(expiry().await?, None, "a plain put never expires");
    assert!(map.expire_at("k", SystemTime::now() + HOUR).await?);
    assert!(!map.expire("nothing", HOUR).await? && !map.persist("nothing").await?);
    map.put("k", &3).expires_at(SystemTime::UNIX_EPOCH).await?;
    assert_eq!(map.get("k").await?, None, "its time has passed");
    Ok(())
}

#[tokio::test]
async fn numbers_and_bytes_grow_in_place() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let numbers = grid.map::<u32, i64>("n");
    numbers.put(&1, &40).await?;
    assert_eq!(numbers.incr(&1, 2).await?, 42);
    assert_eq!(numbers.get(&1).await?, Some(42));
    assert_eq!(numbers.incr(&2, -1).ttl(HOUR).await?, -1);
    let floats = grid.map::<u32, f64>("f");
    assert_eq!(floats.incr_float(&1, 1.5).await?, 1.5);
    assert_eq!(floats.get(&1).await?, Some(1.5));
    let texts = grid.map::<u32, String>("t");
    texts.put(&1, &"no number".into()).await?;
    let error = texts.incr(&1, 1).await.expect_err("text is no number");
    assert_eq!(error.code(), ErrorCode::NotANumber);

    let bytes = grid.map_with::<String, Bytes, _>("b", Raw);
    assert_eq!(bytes.append("k", "ab").await?, 2);
    assert_eq!(bytes.append("k", b"c").await?, 3);
    assert_eq!(bytes.get("k").await?, Some(Bytes::from("abc")));
    assert_eq!(bytes.incr("n", 7).await?, 7);
    assert_eq!(bytes.get("n").await?, Some(Bytes::from("7")), "raw numbers are text");
    Ok(())
}

#[tokio::test]
async fn many_keys_have_results_of_their_own() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    // Several frames' worth.
    let report = map.put_many((0..5_000u64).map(|n| (n, n * 2))).await?;
    assert_eq!((report.ok, report.failed.len()), (5_000, 0));
    let found = map.get_many((0..6_000u64).rev()).await?;
    assert_eq!(found.len(), 6_000);
    for (expected, (key, value)) in (0..6_000u64).rev().zip(found) {
        assert_eq!(key, expected, "in the order of the keys");
        assert_eq!(value?, (key < 5_000).then_some(key * 2));
    }
    assert_eq!(map.len().await?, 5_000);
    let report = map.delete_many((4_000..6_000u64).collect::<Vec<_>>()).await?;
    assert_eq!((report.ok, report.missing), (2_000, 1_000));
    assert_eq!(map.len().await?, 4_000);

    let long = "k".repeat(100_000);
    let texts = grid.map::<String, u64>("t");
    let report = texts.put_many([("a", 1), (long.as_str(), 2), ("b", 3)]).await?;
    assert_eq!((report.ok, report.failed.len()), (2, 1));
    assert_eq!(report.failed[0].1.code(), ErrorCode::KeyTooLong);
    let found = texts.get_many(["a", &long, "b"]).await?;
    assert!(found[1].1.is_err() && matches!(found[2].1, Ok(Some(3))));
    assert!(texts.get_many(Vec::<String>::new()).await?.is_empty());
    assert_eq!(map.clear().await?, 4_000);
    assert!(map.is_empty().await?);
    Ok(())
}

#[tokio::test]
async fn status_and_maps_are_told() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    grid.map::<u64, u64>("seen").put(&1, &1).await?;
    let status = grid.status().await?;
    assert_eq!(status.members.len(), 1);
    assert_eq!(status.members[0].grpc_addr, cluster.endpoints()[0]);
    let maps = grid.maps().await?;
    assert!(maps.iter().any(|map| map.name == "seen" && map.entries == 1), "{maps:?}");
    assert_eq!(grid.map_info("seen").await?.map(|map| map.entries), Some(1));
    assert_eq!(grid.map_info("unseen").await?, None);
    Ok(())
}
