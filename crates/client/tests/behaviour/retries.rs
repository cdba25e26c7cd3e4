//! Retries: what may succeed later is tried again within its deadline and its budget.

use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_client::testing::{Cluster, ClusterOptions};
use isogrid_client::{Error, ErrorCode, ErrorKind, Grid, Map, Outcome, Raw, Result, Retry};

/// A node that is full, and what a write to it says.
async fn full_node() -> Result<Cluster> {
    let options = ClusterOptions { memory_limit_bytes: Some(1 << 20), ..ClusterOptions::default() };
    Cluster::start_with(1, options).await
}

async fn fill(map: &Map<u64, Bytes, Raw>) -> Error {
    let value = Bytes::from(vec![0; 64 << 10]);
    for key in 0..1_000u64 {
        if let Err(error) = map.put(&key, &value).await {
            return error;
        }
    }
    panic!("a node of one megabyte took sixty");
}

#[tokio::test]
async fn a_full_node_is_tried_again_until_the_deadline() -> Result<()> {
    let cluster = full_node().await?;
    let timeout = Duration::from_millis(300);
    let grid = Grid::builder().seeds(cluster.endpoints()).request_timeout(timeout).build().await?;
    let map = grid.map_with::<u64, Bytes, _>("m", Raw);
    let begun = Instant::now();
    let error = fill(&map).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Overloaded, Outcome::NotApplied));
    assert!(error.attempts() > 1 && begun.elapsed() >= timeout, "{error:?}");
    assert!(error.is_retryable());
    Ok(())
}

/// An attempt when the time is over could not be waited for: of a write nobody would know any more what became of it.
#[tokio::test]
async fn a_pause_that_takes_all_the_time_is_followed_by_no_attempt() -> Result<()> {
    let cluster = full_node().await?;
    let (timeout, longer) = (Duration::from_millis(100), Duration::from_secs(1_000));
    let retry = Retry::exponential(longer, longer);
    let builder = Grid::builder().seeds(cluster.endpoints()).request_timeout(timeout);
    let grid = builder.retry(retry).build().await?;
    let map = grid.map_with::<u64, Bytes, _>("m", Raw);
    let begun = Instant::now();
    let alone = fill(&map).await;
    assert!(begun.elapsed() >= timeout, "it may have got its way meanwhile");
    let value = Bytes::from(vec![0; 64 << 10]);
    let report = map.put_many((2_000..2_032u64).map(|key| (key, value.clone()))).await?;
    let (_, of_many) = report.failed.into_iter().next().expect("the node is full");
    for error in [alone, of_many] {
        assert_eq!((error.code(), error.attempts()), (ErrorCode::MemoryFull, 1), "{error:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_without_retries_fails_at_once() -> Result<()> {
    let cluster = full_node().await?;
    let grid = Grid::builder().seeds(cluster.endpoints()).retry(Retry::none()).build().await?;
    let error = fill(&grid.map_with("m", Raw)).await;
    assert_eq!((error.code(), error.attempts()), (ErrorCode::MemoryFull, 1));
    Ok(())
}

#[tokio::test]
async fn many_failures_spend_the_budget() -> Result<()> {
    let cluster = full_node().await?;
    let quick = Duration::from_micros(100);
    let retry = Retry::exponential(quick, quick).budget(0.0);
    let grid = Grid::builder().seeds(cluster.endpoints()).retry(retry).build().await?;
    let map = grid.map_with::<u64, Bytes, _>("m", Raw);
    fill(&map).await;
    let value = Bytes::from(vec![0; 64 << 10]);
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "the budget is never spent");
        // A key that is not there: writing over a value of the same size needs no memory.
        let puts = futures::future::join_all((0..200).map(|_| map.put(&5_000, &value))).await;
        let mut errors = puts.into_iter().filter_map(Result::err);
        // Other errors come while there still is a budget: after two seconds of retries.
        if let Some(error) = errors.find(|error| error.code() == ErrorCode::RetryBudgetSpent) {
            break error;
        }
    };
    assert_eq!((error.outcome(), error.kind()), (Outcome::NotApplied, ErrorKind::Unavailable));
    let cause = std::error::Error::source(&error).expect("the error beneath");
    assert!(cause.to_string().contains("IG-0301"), "{cause}");
    Ok(())
}
