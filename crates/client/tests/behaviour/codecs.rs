//! Codecs: evolution of structs, zero copies, and typed errors for what cannot be read.

use bytes::Bytes;
use isogrid_client::testing::Cluster;
use isogrid_client::{ErrorKind, Json, Outcome, Raw, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct UserV1 {
    name: String,
    age: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UserV2 {
    #[serde(default)]
    city: Option<String>,
    age: u32,
    name: String,
}

#[tokio::test]
async fn fields_can_be_added_and_reordered() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let (old, new) = (grid.map::<u64, UserV1>("users"), grid.map::<u64, UserV2>("users"));
    old.put(&1, &UserV1 { name: "Ann".into(), age: 41 }).await?;
    let ann = UserV2 { city: None, age: 41, name: "Ann".into() };
    assert_eq!(new.get(&1).await?, Some(ann));
    let bob = UserV2 { city: Some("Oslo".into()), age: 7, name: "Bob".into() };
    new.put(&2, &bob).await?;
    assert_eq!(old.get(&2).await?.map(|user| (user.name, user.age)), Some(("Bob".into(), 7)));

    let (old, new) = (
        grid.map_with::<u64, UserV1, _>("json", Json),
        grid.map_with::<u64, UserV2, _>("json", Json),
    );
    old.put(&1, &UserV1 { name: "Ann".into(), age: 41 }).await?;
    assert_eq!(new.get(&1).await?.map(|user| user.city), Some(None));
    let text = grid.map_with::<u64, String, _>("json", Raw);
    assert_eq!(text.get(&1).await?.as_deref(), Some(r#"{"name":"Ann","age":41}"#));
    Ok(())
}

#[tokio::test]
async fn another_type_is_an_error_of_the_codec() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    grid.map::<u64, String>("m").put(&1, &"text".into()).await?;
    let error = grid.map::<u64, UserV1>("m").get(&1).await.expect_err("no user");
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Codec, Outcome::Applied));
    let many = grid.map::<u64, UserV1>("m").get_many([1u64, 2]).await?;
    assert!(many[0].1.is_err() && matches!(many[1].1, Ok(None)));
    Ok(())
}

#[tokio::test]
async fn raw_bytes_come_back_as_they_are() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let blobs = cluster.grid().await?.map_with::<Vec<u8>, Bytes, _>("b", Raw);
    let value: Bytes = (0..=255u8).cycle().take(500_000).collect::<Vec<u8>>().into();
    let key = [0u8, 255, 10, 13];
    blobs.put(&key, &value).await?;
    assert_eq!(blobs.get(&key).await?, Some(value));
    blobs.put(b"empty", &Bytes::new()).await?;
    assert_eq!(blobs.get(b"empty").await?, Some(Bytes::new()));
    Ok(())
}
