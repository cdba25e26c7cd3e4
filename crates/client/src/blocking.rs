//! The client for programs without an async runtime: the same operations, waiting for their results.
//!
//! A [`Grid`] owns one thread that drives its connections. Calls from many threads share them, and gather into frames just
//! as tasks do.
//!
//! Do not use it from async code: a waiting call would hold up the runtime (and panics there, to tell you).
//!
//! ```
//! # use isogrid_client::testing::Cluster;
//! # let runtime = tokio::runtime::Runtime::new().unwrap();
//! # let cluster = runtime.block_on(Cluster::start(1))?;
//! # let address = cluster.endpoints().remove(0);
//! use isogrid_client::blocking::Grid;
//! use std::time::Duration;
//!
//! let grid = Grid::connect(&format!("isogrid://{address}"))?;
//! let users = grid.map::<String, String>("users");
//! users.put("u1", &"Ann".into())?;
//! assert_eq!(users.get("u1")?.as_deref(), Some("Ann"));
//! // Whatever has options is called through its async twin.
//! let bob = "Bob".to_string();
//! users.call(|users| users.put("u2", &bob).ttl(Duration::from_secs(60)))?;
//! # drop(grid);
//! # runtime.block_on(cluster.stop(0))?;
//! # Ok::<(), isogrid_client::Error>(())
//! ```

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::StreamExt;
use isogrid_core::{ErrorCode, Version};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::builder::GridBuilder;
use crate::codec::{Codec, MessagePack, Raw};
use crate::error::{Error, Result};
use crate::key::{Key, OwnedKey};
use crate::many::Report;
use crate::scan::ScanStream;
use crate::value::{Put, Versioned};
use crate::{ClusterStatus, MapInfo};

/// A connection to the grid, for threads. Cheap to clone; the last clone ends the runtime thread.
#[derive(Clone)]
pub struct Grid {
    grid: crate::Grid,
    runtime: Arc<RuntimeThread>,
}

/// The thread that drives connections and timers, while callers wait on threads of their own.
struct RuntimeThread {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RuntimeThread {
    fn start() -> Result<Self> {
        let internal =
            |error: std::io::Error| Error::new(ErrorCode::Internal, format!("a thread: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(internal)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("isogrid-client".into())
            .spawn(move || {
                // An error says that the sender is gone, which is the signal.
                let _ = runtime.block_on(stopped);
            })
            .map_err(internal)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for RuntimeThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was reported over there.
            let _ = thread.join();
        }
    }
}

impl Grid {
    /// Connects to a URL: see [`crate::Grid::connect`].
    pub fn connect(url: &str) -> Result<Grid> {
        Self::build(GridBuilder::from_url(url)?)
    }

    /// Connects as a builder says: `blocking::Grid::build(isogrid_client::Grid::builder().seeds(["localhost"]))`.
    pub fn build(builder: GridBuilder) -> Result<Grid> {
        let runtime = Arc::new(RuntimeThread::start()?);
        let grid = runtime.handle.block_on(builder.build())?;
        Ok(Grid { grid, runtime })
    }

    /// A typed handle to a map, with values as MessagePack. No I/O.
    pub fn map<K: Key, V>(&self, name: &str) -> Map<K, V>
    where
        MessagePack: Codec<V>,
    {
        self.map_with(name, MessagePack)
    }

    /// A typed handle to a map, with a codec of your choice. No I/O.
    pub fn map_with<K: Key, V, C: Codec<V>>(&self, name: &str, codec: C) -> Map<K, V, C> {
        Map { map: self.grid.map_with(name, codec), grid: self.clone() }
    }

    /// The state of the cluster.
    pub fn status(&self) -> Result<ClusterStatus> {
        self.wait(self.grid.status())
    }

    /// All maps with their sizes and settings.
    pub fn maps(&self) -> Result<Vec<MapInfo>> {
        self.wait(self.grid.maps())
    }

    /// Runs a statement of SQL and takes all rows: see [`crate::Sql::fetch`].
    #[cfg(feature = "sql")]
    pub fn sql<T: serde::de::DeserializeOwned>(&self, statement: &str) -> Result<Vec<T>> {
        self.wait(self.grid.sql(statement).fetch())
    }

    /// Runs a statement of SQL that writes, and says how many rows it wrote: see [`crate::Sql::execute`].
    #[cfg(feature = "sql")]
    pub fn execute(&self, statement: &str) -> Result<u64> {
        self.wait(self.grid.sql(statement).execute())
    }

    /// Closes the connections, once the operations under way have ended.
    pub fn close(&self) -> Result<()> {
        self.wait(self.grid.close())
    }

    fn wait<F: IntoFuture>(&self, future: F) -> F::Output {
        self.runtime.handle.block_on(future.into_future())
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Grid").field(&self.grid).finish()
    }
}

/// A map, for threads. Each method is that of [`crate::Map`] with no options set; [`call`](Map::call) sets them.
#[derive(Clone)]
pub struct Map<K, V, C = MessagePack>
where
    C: Clone,
{
    map: crate::Map<K, V, C>,
    grid: Grid,
}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Does any operation with its options and waits for it: `map.call(|m| m.put("k", &v).if_absent())`.
    pub fn call<'a, F: IntoFuture>(
        &'a self,
        operation: impl FnOnce(&'a crate::Map<K, V, C>) -> F,
    ) -> F::Output {
        self.grid.wait(operation(&self.map))
    }

    /// The value of a key: see [`crate::Map::get`].
    pub fn get<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q) -> Result<Option<V>> {
        self.grid.wait(self.map.get(key))
    }

    /// The value of a key with its version and expiry.
    pub fn get_versioned<Q: Key<Form = K::Form> + ?Sized>(
        &self,
        key: &Q,
    ) -> Result<Option<Versioned<V>>> {
        self.grid.wait(self.map.get(key).versioned())
    }

    /// Writes a value: see [`crate::Map::put`].
    pub fn put<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q, value: &V) -> Result<Version> {
        self.grid.wait(self.map.put(key, value))
    }

    /// Removes a key and says whether it was there: see [`crate::Map::delete`].
    pub fn delete<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q) -> Result<bool> {
        self.grid.wait(self.map.delete(key))
    }

    /// Moves a record to another key of the same partition: see [`crate::Map::rename`].
    pub fn rename<Q, R>(&self, from: &Q, to: &R) -> Result<Option<Version>>
    where
        Q: Key<Form = K::Form> + ?Sized,
        R: Key<Form = K::Form> + ?Sized,
    {
        self.grid.wait(self.map.rename(from, to))
    }

    /// Whether a key is present.
    pub fn contains<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q) -> Result<bool> {
        self.grid.wait(self.map.contains(key))
    }

    /// Writes a value if the present one is the expected one: see [`crate::Map::compare_and_set`].
    pub fn compare_and_set<Q: Key<Form = K::Form> + ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        value: &V,
    ) -> Result<Put<V>> {
        self.grid.wait(self.map.compare_and_set(key, expected, value))
    }

    /// Adds to an integer: see [`crate::Map::incr`].
    pub fn incr<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q, delta: i64) -> Result<i64> {
        self.grid.wait(self.map.incr(key, delta))
    }

    /// Adds to a floating-point number: see [`crate::Map::incr_float`].
    pub fn incr_float<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q, delta: f64) -> Result<f64> {
        self.grid.wait(self.map.incr_float(key, delta))
    }

    /// The values of many keys: see [`crate::Map::get_many`].
    pub fn get_many<Q: Key<Form = K::Form> + Send + Sync>(
        &self,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<(Q, Result<Option<V>>)>>
    where
        V: Send,
    {
        self.grid.wait(self.map.get_many(keys))
    }

    /// Writes many entries: see [`crate::Map::put_many`].
    pub fn put_many<Q, U>(&self, entries: impl IntoIterator<Item = (Q, U)>) -> Result<Report<Q>>
    where
        Q: Key<Form = K::Form> + Send + Sync,
        U: Borrow<V> + Send + Sync,
    {
        self.grid.wait(self.map.put_many(entries))
    }

    /// Removes many keys: see [`crate::Map::delete_many`].
    pub fn delete_many<Q: Key<Form = K::Form> + Send + Sync>(
        &self,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Report<Q>> {
        self.grid.wait(self.map.delete_many(keys))
    }

    /// Changes a value with a function: see [`crate::Map::update`].
    pub fn update<Q: Key<Form = K::Form> + ?Sized>(
        &self,
        key: &Q,
        change: impl FnMut(Option<V>) -> Option<V> + Send,
    ) -> Result<Option<V>>
    where
        V: Send,
    {
        self.grid.wait(self.map.update(key, change))
    }

    /// How many entries the map has.
    pub fn len(&self) -> Result<u64> {
        self.grid.wait(self.map.len())
    }

    /// Whether the map has no entries.
    pub fn is_empty(&self) -> Result<bool> {
        self.grid.wait(self.map.is_empty())
    }

    /// Removes all entries and says how many there were.
    pub fn clear(&self) -> Result<u64> {
        self.grid.wait(self.map.clear())
    }
}

impl<K: OwnedKey, V: Send + 'static, C: Codec<V>> Map<K, V, C> {
    /// Walks over the entries: see [`crate::Map::scan`]. Set its options with a function:
    /// `map.scan(|scan| scan.prefix("user:"))`.
    pub fn scan<'a>(
        &'a self,
        options: impl FnOnce(crate::Scan<'a, K, V, C>) -> crate::Scan<'a, K, V, C>,
    ) -> Entries<(K, V)> {
        Entries { stream: options(self.map.scan()).stream(), grid: self.grid.clone() }
    }
}

impl<K: Key, V> Map<K, V, Raw>
where
    Raw: Codec<V>,
{
    /// Adds bytes to the end of a value: see [`crate::Map::append`].
    pub fn append<Q: Key<Form = K::Form> + ?Sized>(&self, key: &Q, bytes: &[u8]) -> Result<u64> {
        self.grid.wait(self.map.append(key, bytes))
    }
}

impl<K, V, C: Clone> fmt::Debug for Map<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Map").field(&self.map).finish()
    }
}

/// The entries that a scan finds, as they come.
#[must_use = "iterators do nothing unless they are asked"]
pub struct Entries<T> {
    stream: ScanStream<T>,
    grid: Grid,
}

impl<T> Iterator for Entries<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.grid.wait(self.stream.next())
    }
}

impl<T> fmt::Debug for Entries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}
