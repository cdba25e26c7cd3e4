//! Limits are told before anything is sent, with figures.

use bytes::Bytes;
use isogrid_client::testing::{Cluster, ClusterOptions};
use isogrid_client::{ErrorCode, Outcome, Raw, Result};

#[tokio::test]
async fn keys_values_and_names_are_checked() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map_with::<String, Bytes, _>("m", Raw);
    let small = Bytes::from_static(b"x");
    let long = "k".repeat(4_097);
    let error = map.put(&long, &small).await.expect_err("too long");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeyTooLong, Outcome::NotApplied));
    assert!(error.detail().contains("4097 bytes, at most 4096"), "{error}");
    map.put(&long[1..], &small).await?;
    let large = Bytes::from(vec![0; (1 << 20) + 1]);
    let error = map.put("k", &large).await.expect_err("too large");
    assert_eq!(error.code(), ErrorCode::ValueTooLarge);
    let largest = large.slice(1..);
    map.put("k", &largest).await?;
    assert_eq!(map.get("k").await?, Some(largest.clone()));
    let error = map.compare_and_set("k", Some(&large), &small).await.expect_err("too large");
    assert_eq!(error.code(), ErrorCode::ValueTooLarge);
    assert!(map.compare_and_set("k", Some(&largest), &small).await?.is_stored());

    let nameless = grid.map::<u64, u64>("not a name");
    assert_eq!(nameless.get(&1).await.expect_err("a space").code(), ErrorCode::MapNameInvalid);
    assert_eq!(nameless.len().await.expect_err("a space").code(), ErrorCode::MapNameInvalid);
    let error = map.scan().glob(vec![b'*'; 5_000]).keys_only().stream();
    let error = futures::TryStreamExt::try_collect::<Vec<_>>(error).await.expect_err("too long");
    assert_eq!(error.code(), ErrorCode::PatternInvalid);
    Ok(())
}

#[tokio::test]
async fn a_node_with_small_limits_is_obeyed() -> Result<()> {
    let mut options = ClusterOptions::default();
    options.limits.batch_ops_max = 7;
    options.limits.in_flight_ops_max = 5;
    options.limits.key_bytes_max = 8;
    let cluster = Cluster::start_with(1, options).await?;
    let map = cluster.grid().await?.map::<u64, u64>("m");
    assert!(map.put_many((0..500u64).map(|n| (n, n))).await?.is_complete());
    let found = map.get_many(0..500u64).await?;
    assert!(found.into_iter().all(|(n, value)| matches!(value, Ok(Some(v)) if v == n)));
    let many = futures::future::join_all((0..100).map(|_| map.get(&7))).await;
    assert!(many.into_iter().all(|value| matches!(value, Ok(Some(7)))));
    let error = map.get(&1_000_000_000u64).await.expect_err("ten digits");
    assert_eq!(error.code(), ErrorCode::KeyTooLong);
    Ok(())
}
