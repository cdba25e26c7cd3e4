//! Compare-and-set loops under contention lose no update.

use std::time::Duration;

use futures::future::try_join_all;
use isogrid_client::testing::Cluster;
use isogrid_client::{Put, Result};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_many_tasks_all_count() -> Result<()> {
    const TASKS: u64 = 16;
    const UPDATES: u64 = 40;
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    let tasks = (0..TASKS).map(|_| {
        let map = map.clone();
        let task = tokio::spawn(async move {
            for _ in 0..UPDATES {
                let add = |value: Option<u64>| Some(value.unwrap_or(0) + 1);
                map.update("sum", add).timeout(PATIENCE).await?;
            }
            Result::<()>::Ok(())
        });
        async { task.await.expect("no panic") }
    });
    try_join_all(tasks).await?;
    assert_eq!(map.get("sum").await?, Some(TASKS * UPDATES));
    Ok(())
}

#[tokio::test]
async fn one_of_many_wins_a_compare_and_set() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    let attempts = (0..50u64).map(|n| {
        let map = map.clone();
        async move { map.compare_and_set("k", None, &n).await }
    });
    let results = try_join_all(attempts).await?;
    let winners = results.iter().filter(|put| put.is_stored()).count();
    assert_eq!(winners, 1);
    let now = map.get("k").await?.expect("somebody won");
    assert!(map.compare_and_set("k", Some(&now), &1_000).await?.is_stored());
    let late = map.compare_and_set("k", Some(&now), &2_000).await?;
    assert!(matches!(late, Put::Conflict(Some(there)) if there.value == 1_000));
    Ok(())
}

#[tokio::test]
async fn an_update_can_remove_and_create() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<String, u64>("m");
    assert_eq!(map.update("k", |_| None).await?, None, "nothing to remove");
    assert_eq!(map.update("k", |value| value.or(Some(1))).await?, Some(1));
    assert_eq!(map.update("k", |_| None).await?, None);
    assert!(!map.contains("k").await?);
    map.update("k", |_| Some(5)).ttl(Duration::from_secs(60)).await?;
    let stored = map.get("k").versioned().await?.expect("created");
    assert!(stored.expires_at.is_some());
    Ok(())
}
