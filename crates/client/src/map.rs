//! [`Map`]: a typed handle to a map.

use std::fmt;
use std::marker::PhantomData;

use crate::call::MapTarget;
use crate::codec::{Codec, MessagePack};
use crate::grid::Grid;
use crate::key::Key;

/// A map of the grid, with keys of type `K` and values of type `V` written by the codec `C`.
///
/// Handles are cheap to clone, can be shared between threads, and do nothing until an operation is awaited. Every method
/// takes `&self` and gives an operation: set its options, then `.await` it.
///
/// | to | use |
/// |---|---|
/// | read | [`get`](Map::get), [`contains`](Map::contains), [`get_many`](Map::get_many), [`scan`](Map::scan), [`len`](Map::len) |
/// | write | [`put`](Map::put), [`delete`](Map::delete), [`put_many`](Map::put_many), [`delete_many`](Map::delete_many), [`clear`](Map::clear) |
/// | change what is there | [`update`](Map::update), [`compare_and_set`](Map::compare_and_set), [`incr`](Map::incr), [`incr_float`](Map::incr_float), [`append`](Map::append), [`rename`](Map::rename) |
/// | manage expiry | [`expire`](Map::expire), [`persist`](Map::persist), [`touch`](Map::touch) |
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct User { name: String, age: u32 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// let users = grid.map::<String, User>("users");
/// users.put("u1", &User { name: "Ann".into(), age: 41 }).ttl(Duration::from_secs(3600)).await?;
/// users.update("u1", |user| user.map(|user| User { age: user.age + 1, ..user })).await?;
/// assert_eq!(users.get("u1").await?.map(|user| user.age), Some(42));
/// # Ok(())
/// # }
/// ```
pub struct Map<K, V, C = MessagePack> {
    pub(crate) target: MapTarget,
    pub(crate) codec: C,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    pub(crate) fn new(grid: Grid, name: &str, codec: C) -> Self {
        Self { target: MapTarget::new(grid, name), codec, types: PhantomData }
    }
}

impl<K, V, C> Map<K, V, C> {
    /// The map's name.
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// The client that this handle belongs to.
    pub fn grid(&self) -> &Grid {
        &self.target.grid
    }
}

impl<K, V, C: Clone> Clone for Map<K, V, C> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), codec: self.codec.clone(), types: PhantomData }
    }
}

impl<K, V, C> fmt::Debug for Map<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("name", &self.name()).finish_non_exhaustive()
    }
}
