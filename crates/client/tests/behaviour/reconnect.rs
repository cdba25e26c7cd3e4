//! A client survives the loss of its connections and of its node.

use std::time::Duration;

use futures::future::join_all;
use isogrid_client::testing::Cluster;
use isogrid_client::{Grid, Outcome, Result};

use crate::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_restarted_node_is_found_again() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    for round in 0..3u64 {
        map.put(&round, &round).timeout(PATIENCE).await?;
        cluster.kill(0).await?;
        let (read, restarted) =
            futures::join!(map.get(&round).timeout(PATIENCE), cluster.restart(0));
        restarted?;
        assert_eq!(read?, None, "it waited for the node, which remembers nothing");
    }
    Ok(())
}

#[tokio::test]
async fn a_polite_stop_loses_no_reply() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    let keys: Vec<u64> = (0..200).collect();
    let writes = join_all(keys.iter().map(|key| map.put(key, &1).timeout(PATIENCE)));
    let (stopped, results) = futures::join!(
        async {
            cluster.stop(0).await?;
            cluster.restart(0).await
        },
        writes
    );
    stopped?;
    // What the stopping node refused was sent to the restarted one.
    for result in results {
        if let Err(error) = result {
            assert_eq!(error.outcome(), Outcome::Unknown, "only what was cut off fails: {error}");
        }
    }
    map.put(&1, &1).timeout(PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn cut_connections_repeat_reads_and_count_increments_once() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut proxy = Proxy::before(&cluster.endpoints()[0]).await;
    let grid = Grid::builder().seeds([proxy.address.to_string()]).gateway(true).build().await?;
    let map = grid.map::<u64, u64>("m");
    map.put(&1, &1).await?;
    proxy.hold();
    let reads = join_all((0..20).map(|_| map.get(&1).timeout(PATIENCE)));
    let writes = join_all((0..20).map(|_| map.incr(&1, 1).timeout(PATIENCE)));
    let cutting = async {
        // Whatever was sent by now hangs in the proxy.
        tokio::task::yield_now().await;
        let _ = map.get(&1).timeout(Duration::from_millis(50)).await;
        proxy.cut();
    };
    let (reads, writes, ()) = futures::join!(reads, writes, cutting);
    for read in reads {
        assert!((1..=21).contains(&read?.unwrap_or_default()), "a read is sent again");
    }
    let mut results: Vec<i64> = writes.into_iter().collect::<Result<_>>()?;
    results.sort_unstable();
    assert_eq!(results, (2..=21).collect::<Vec<_>>(), "each is sent again and counted once");
    assert_eq!(map.incr(&1, 1).await?, 22);
    Ok(())
}
