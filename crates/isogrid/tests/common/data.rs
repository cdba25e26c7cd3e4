//! What is in maps, as a client writes and reads it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use isogrid_client::{Grid, Versioned};
use serde_json::Value;

use super::Ran;

/// Key, value and the moment of expiry.
pub(crate) type Contents = BTreeMap<String, (Vec<u8>, Option<u64>)>;

/// A runtime for what a test does as a client.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A client of this node.
pub(crate) async fn grid(endpoint: &str) -> Grid {
    Grid::builder().seeds([endpoint]).build().await.expect("it is there")
}

/// Puts one entry.
pub(crate) async fn put(grid: &Grid, map: &str, key: &str, value: &[u8]) {
    let value = Bytes::copy_from_slice(value);
    grid.raw_map(map).put(key.as_bytes(), &value).await.expect("it takes writes");
}

/// All that a map has.
pub(crate) async fn contents(endpoint: &str, map: &str) -> Contents {
    let grid = grid(endpoint).await;
    let map = grid.raw_map(map);
    let keys: Vec<Bytes> = map.scan().keys_only().stream().try_collect().await.expect("a scan");
    let mut contents = Contents::new();
    for key in keys {
        let found: Option<Versioned<Bytes>> = map.get(&key[..]).versioned().await.expect("a read");
        if let Some(found) = found {
            let key = String::from_utf8(key.to_vec()).expect("text");
            contents.insert(key, (found.value.to_vec(), found.expires_at.map(|at| at.0)));
        }
    }
    contents
}

/// What a command printed that went well.
pub(crate) fn ok(ran: Ran) -> Value {
    assert_eq!(ran.code, 0, "{} {}", ran.text(), ran.stderr);
    ran.json()
}
