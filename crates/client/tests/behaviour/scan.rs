//! Scans: complete, filtered, bounded, and right while others write.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use isogrid_client::testing::Cluster;
use isogrid_client::{Raw, Result};

#[tokio::test]
async fn a_scan_finds_every_stable_key_once_while_others_write() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    assert!(map.put_many((0..3_000u64).map(|n| (format!("stable:{n}"), n))).await?.is_complete());
    let stop = AtomicBool::new(false);
    let writing = async {
        let mut n = 0u64;
        while !stop.load(Ordering::Relaxed) {
            let noise = (0..100).map(|i| (format!("noise:{}", n + i), n));
            assert!(map.put_many(noise).await?.is_complete());
            assert!(
                map.delete_many((0..50).map(|i| format!("noise:{}", n + i))).await?.is_complete()
            );
            n += 100;
        }
        Result::<u64>::Ok(n)
    };
    let scanning = async {
        let mut keys = Vec::new();
        let mut found = map.scan().page_size(16).stream();
        while let Some(entry) = found.next().await {
            let (key, value) = entry?;
            if let Some(n) = key.strip_prefix("stable:") {
                assert_eq!(n, value.to_string());
                keys.push(key);
            }
        }
        stop.store(true, Ordering::Relaxed);
        Result::<Vec<String>>::Ok(keys)
    };
    let (written, keys) = futures::future::try_join(writing, scanning).await?;
    assert!(written > 0, "something was written meanwhile");
    assert_eq!(keys.len(), 3_000, "none twice");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), 3_000, "none missing");
    Ok(())
}

#[tokio::test]
async fn options_narrow_a_scan() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<String, u64>("m");
    assert!(map.put_many((0..500u64).map(|n| (format!("k{n}"), n))).await?.is_complete());
    let all: Vec<(String, u64)> = map.scan().stream().try_collect().await?;
    assert_eq!(all.len(), 500);
    let prefix: Vec<(String, u64)> = map.scan().prefix("k49").stream().try_collect().await?;
    assert_eq!(prefix.len(), 11);
    let glob: Vec<String> = map.scan().glob("k?[05]").keys_only().stream().try_collect().await?;
    assert_eq!(glob.len(), 18);
    for limit in [0, 1, 7, 499, 10_000] {
        let some: Vec<_> = map.scan().limit(limit).stream().try_collect().await?;
        assert_eq!(some.len(), limit.min(500));
    }
    let none: Vec<_> = grid.map::<String, u64>("nothing").scan().stream().try_collect().await?;
    assert!(none.is_empty());
    Ok(())
}

#[tokio::test]
async fn large_values_come_in_bounded_pages() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map_with::<u64, Bytes, _>("m", Raw);
    let value = Bytes::from(vec![1; 200 << 10]);
    // 40 MB: more than one frame can carry, on the way in and out.
    assert!(map.put_many((0..200u64).map(|n| (n, &value))).await?.is_complete());
    let found: Vec<(u64, Bytes)> = map.scan().stream().try_collect().await?;
    assert_eq!(found.len(), 200);
    assert!(found.iter().all(|(_, found)| *found == value));
    let many = map.get_many(0..200u64).await?;
    assert!(many.iter().all(|(_, found)| matches!(found, Ok(Some(found)) if *found == value)));
    Ok(())
}

#[tokio::test]
async fn a_key_of_another_type_is_an_error() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    grid.map::<String, u64>("m").put("not a number", &1).await?;
    let error = grid.map::<u64, u64>("m").scan().stream().try_collect::<Vec<_>>().await;
    assert!(error.expect_err("no number").to_string().contains("not a number"));
    Ok(())
}
