//! Dropping futures, thousands of them and at any moment, leaves the client in order.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use isogrid_client::testing::Cluster;
use isogrid_client::{Grid, Result};

use crate::proxy::Proxy;

#[tokio::test]
async fn a_storm_of_dropped_futures_harms_nobody() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    assert!(map.put_many((0..1_000u64).map(|n| (n, n))).await?.is_complete());
    for round in 0..20u64 {
        let keys: Vec<u64> = (0..1_000).collect();
        let mut gets: Vec<_> = keys.iter().map(|key| map.get(key)).collect();
        // Polled once, so that they are under way, and then left at different moments.
        for get in &mut gets {
            assert!(get.now_or_never().is_none(), "nothing answers at once");
        }
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        drop(gets);
        let mut many = Box::pin(map.get_many(0..1_000u64).into_future());
        assert!((&mut many).now_or_never().is_none());
        drop(many);
        let values = join_all(keys.iter().map(|key| map.get(key))).await;
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value?, Some(*key), "round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn dropped_callers_make_room_for_others() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let proxy = Proxy::before(&cluster.endpoints()[0]).await;
    let seeds = [proxy.address.to_string()];
    let grid = Grid::builder().seeds(seeds).in_flight_ops_max(8).build().await?;
    let map = grid.map::<u64, u64>("m");
    proxy.hold();
    for _ in 0..50 {
        let mut gets: Vec<_> = (0..100).map(|_| map.get(&1)).collect();
        for get in &mut gets {
            assert!(get.now_or_never().is_none());
        }
        // Every second one, then the rest: those that wait for room move up.
        let mut index = 0;
        gets.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        drop(gets);
    }
    proxy.release();
    let patience = Duration::from_secs(20);
    assert_eq!(map.get(&1).timeout(patience).await?, None);
    let all = join_all((0..200).map(|_| map.get(&1).timeout(patience))).await;
    assert!(all.into_iter().all(|value| matches!(value, Ok(None))));
    Ok(())
}
