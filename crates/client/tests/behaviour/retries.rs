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
