//! Many callers at once: each gets its own answer.

use futures::future::try_join_all;
use isogrid_client::testing::{Cluster, ClusterOptions};
use isogrid_client::{Grid, Result};

async fn callers_check_their_own_values(grid: Grid, tasks: u64, rounds: u64) -> Result<()> {
    let map = grid.map::<u64, u64>("m");
    let tasks = (0..tasks).map(|task| {
        let map = map.clone();
        let task = tokio::spawn(async move {
            for round in 0..rounds {
                let key = task * 1_000_000 + round;
                map.put(&key, &(key * 7)).await?;
                assert_eq!(map.get(&key).await?, Some(key * 7));
                let keys = [key, key + 500_000];
                let many = map.get_many(keys).await?;
                assert!(matches!(many[0].1, Ok(Some(value)) if value == key * 7));
                assert!(matches!(many[1].1, Ok(None)));
            }
            Result::<()>::Ok(())
        });
        async { task.await.expect("no panic") }
    });
    try_join_all(tasks).await?;
    Ok(())
}

#[tokio::test]
async fn on_one_thread() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    callers_check_their_own_values(cluster.grid().await?, 500, 20).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    callers_check_their_own_values(cluster.grid().await?, 200, 20).await
}

#[tokio::test]
async fn with_little_room() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = Grid::builder().seeds(cluster.endpoints()).in_flight_ops_max(3).build().await?;
    callers_check_their_own_values(grid, 100, 10).await
}

#[tokio::test]
async fn with_other_numbers_of_cores_and_connections() -> Result<()> {
    let options = ClusterOptions { cores: 3, ..ClusterOptions::default() };
    let cluster = Cluster::start_with(1, options).await?;
    for connections in [1, 2, 3, 8] {
        let builder = Grid::builder().seeds(cluster.endpoints());
        let grid = builder.connections_max(connections).build().await?;
        assert!(format!("{grid:?}").contains(&format!("connections: {}", connections.min(3))));
        callers_check_their_own_values(grid, 20, 5).await?;
    }
    Ok(())
}
