//! Every call ends in time, whatever the other side does, and its error says what is known.

use std::time::{Duration, Instant};

use isogrid_client::testing::Cluster;
use isogrid_client::{ErrorCode, ErrorKind, Grid, Outcome, Result, Retry};
use tokio::net::TcpListener;

use crate::proxy::Proxy;

const SHORT: Duration = Duration::from_millis(150);

/// Far above what a loaded machine adds, far below waiting forever.
const MUCH: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_listener_that_never_answers_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let begun = Instant::now();
    let error = Grid::builder().seeds([&address]).connect_timeout(SHORT).build().await;
    let error = error.expect_err("nobody there");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::CannotConnect, Outcome::NotApplied));
    assert!(error.to_string().contains(&address), "{error}");
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < MUCH);
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let error = Grid::builder().seeds([&address]).build().await.expect_err("nobody there");
    assert_eq!(error.code(), ErrorCode::CannotConnect);
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    let error = Grid::builder().build().await.expect_err("no seeds");
    assert_eq!(error.code(), ErrorCode::EndpointInvalid);
}

#[tokio::test]
async fn another_seed_is_tried() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let node = cluster.endpoints().remove(0);
    let grid = Grid::builder().seeds(["127.0.0.1:1", &node]).build().await?;
    grid.map::<u64, u64>("m").put(&1, &1).await?;
    Ok(())
}

#[tokio::test]
async fn a_node_that_stops_answering_ends_calls_at_their_deadline() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let proxy = Proxy::before(&cluster.endpoints()[0]).await;
    let grid = Grid::builder().seeds([proxy.address.to_string()]).build().await?;
    let map = grid.map::<u64, u64>("m");
    map.put(&1, &1).await?;
    proxy.hold();

    let begun = Instant::now();
    let put = map.put(&1, &2).timeout(SHORT);
    let get = map.get(&1).timeout(SHORT);
    let many = map.get_many([1u64, 2, 3]).timeout(SHORT).into_future();
    let (put, get, many) = futures::join!(put, get, many);
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < MUCH, "{:?}", begun.elapsed());
    let put = put.expect_err("no answer");
    assert_eq!((put.kind(), put.outcome()), (ErrorKind::DeadlineExceeded, Outcome::Unknown));
    assert!(put.node().is_some() && put.attempts() == 1);
    let get = get.expect_err("no answer");
    assert_eq!(get.outcome(), Outcome::NotApplied, "a read changes nothing");
    for (_, value) in many? {
        assert_eq!(value.expect_err("no answer").kind(), ErrorKind::DeadlineExceeded);
    }

    // The late replies find nobody and harm nobody.
    proxy.release();
    assert_eq!(map.get(&1).await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn what_was_never_sent_certainly_did_not_happen() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = Grid::builder().seeds(cluster.endpoints()).retry(Retry::none()).build().await?;
    let map = grid.map::<u64, u64>("m");
    map.put(&1, &1).await?;
    cluster.kill(0).await?;
    // The first may still be sent to the dying connection; by the time it has failed the others cannot be.
    let _ = map.put(&1, &2).timeout(SHORT).await;
    let error = map.put(&1, &3).timeout(SHORT).await.expect_err("no node");
    assert_eq!(error.code(), ErrorCode::DeadlineBeforeStart, "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().contains("no connection"), "{error}");
    cluster.restart(0).await?;
    assert_eq!(map.get(&1).timeout(MUCH).await?, None, "it did not happen later either");
    Ok(())
}

#[tokio::test]
async fn a_closed_client_refuses() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    map.put(&1, &1).await?;
    grid.close().await?;
    grid.clone().close().await?;
    let error = map.get(&1).await.expect_err("closed");
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotApplied));
    assert!(map.get_many([1u64]).await?[0].1.is_err());
    Ok(())
}
