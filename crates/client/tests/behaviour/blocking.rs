//! The blocking client, from plain threads.

use std::time::Duration;

use isogrid_client::blocking::Grid;
use isogrid_client::testing::Cluster;
use isogrid_client::{Raw, Result};

#[test]
fn threads_share_a_blocking_client() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cluster = runtime.block_on(Cluster::start(1))?;
    let grid = Grid::build(isogrid_client::Grid::builder().seeds(cluster.endpoints()))?;
    let map = grid.map::<u64, i64>("m");
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let map = map.clone();
            scope.spawn(move || -> Result<()> {
                for n in 0..50 {
                    map.put(&(thread * 100 + n), &1)?;
                    map.incr(&9_999, 1)?;
                }
                map.update(&8_888, |value| Some(value.unwrap_or(0) + 1))?;
                Ok(())
            });
        }
    });
    assert_eq!(map.get(&9_999)?, Some(400));
    assert_eq!(map.get(&8_888)?, Some(8));
    assert_eq!(map.len()?, 402);
    assert!(map.contains(&0)? && map.delete(&0)?);
    let names = grid.map::<String, i64>("m");
    names.put("{t}a", &1)?;
    assert!(names.rename("{t}a", "{t}b")?.is_some() && names.rename("{t}a", "{t}b")?.is_none());
    assert!(names.delete("{t}b")?);
    let report = map.put_many((0..10u64).map(|n| (n, 5)))?;
    assert!(report.is_complete());
    assert!(map.get_many([1u64, 2])?.iter().all(|(_, value)| matches!(value, Ok(Some(5)))));
    let ttl = Duration::from_secs(60);
    assert!(map.call(|map| map.put(&1, &6).ttl(ttl).if_present())?.is_stored());
    assert!(map.get_versioned(&1)?.is_some_and(|v| v.expires_at.is_some()));
    let found = map.scan(|scan| scan.limit(3)).collect::<Result<Vec<_>>>()?;
    assert_eq!(found.len(), 3);
    let logs = grid.map_with::<String, String, _>("logs", Raw);
    assert_eq!(logs.append("k", b"abc")?, 3);
    assert!(grid.status()?.members.len() == 1 && grid.maps()?.len() == 2);
    map.clear()?;
    assert!(map.is_empty()?);
    grid.close()?;
    assert!(map.get(&1).is_err());
    Ok(())
}
