//! Pipelines: different operations together, each with its own result.

use bytes::Bytes;
use isogrid_client::testing::Cluster;
use isogrid_client::{ErrorCode, Raw, Result};

#[tokio::test]
async fn operations_on_several_maps_share_a_pipeline() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let names = grid.map::<u64, String>("names");
    let blobs = grid.map_with::<String, Bytes, _>("blobs", Raw);
    names.put(&1, &"Ann".into()).await?;

    let mut pipeline = grid.pipeline();
    let name = pipeline.push(names.get(&1));
    let versioned = pipeline.push(names.get(&1).versioned());
    let missing = pipeline.push(names.get(&2));
    let put = pipeline.push(blobs.put("b", &Bytes::from_static(b"x")).if_absent());
    let bad = pipeline.push(blobs.get(&"k".repeat(1 << 20)));
    let not_a_number = pipeline.push(names.incr(&1, 1));
    let late = pipeline.push(names.contains(&1));
    assert_eq!(pipeline.len(), 7);
    let mut replies = pipeline.send().await?;

    assert!(replies.take(late)?);
    assert_eq!(replies.take(name)?.as_deref(), Some("Ann"));
    assert_eq!(replies.take(versioned)?.map(|v| v.value).as_deref(), Some("Ann"));
    assert_eq!(replies.take(missing)?, None);
    assert!(replies.take(put)?.is_stored());
    let code = |result: Result<_>| result.map(|_| ()).map_err(|error| error.code());
    assert_eq!(code(replies.take(bad).map(|_| 0)), Err(ErrorCode::KeyTooLong));
    assert_eq!(code(replies.take(not_a_number).map(|_| 0)), Err(ErrorCode::NotANumber));
    Ok(())
}

#[tokio::test]
async fn a_pipeline_can_name_more_maps_than_a_frame() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    // Making a map costs the node more than using one.
    let patience = std::time::Duration::from_secs(20);
    let maps: Vec<_> = (0..300).map(|n| grid.map::<String, u64>(&format!("map-{n}"))).collect();
    let mut pipeline = grid.pipeline().timeout(patience);
    let values: Vec<u64> = (0..300).collect();
    let puts: Vec<_> =
        maps.iter().zip(&values).map(|(map, n)| pipeline.push(map.put("k", n))).collect();
    let mut replies = pipeline.send().await?;
    for put in puts {
        replies.take(put)?;
    }
    for (map, n) in maps.iter().zip(&values) {
        assert_eq!(map.get("k").await?, Some(*n), "{}", map.name());
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_pipeline_and_a_foreign_ticket_are_harmless() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("m");
    let mut other = grid.pipeline();
    let foreign = other.push(map.get(&1));
    let empty = grid.pipeline();
    assert!(empty.is_empty());
    let error = empty.send().await?.take(foreign).expect_err("another pipeline's");
    assert_eq!(error.code(), ErrorCode::ArgumentInvalid);
    Ok(())
}
