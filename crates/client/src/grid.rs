//! [`Grid`]: the client itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::builder::GridBuilder;
use crate::codec::{Codec, MessagePack, Raw};
use crate::error::Result;
use crate::key::Key;
use crate::link::Link;
use crate::map::Map;
use crate::pipeline::Pipeline;

/// A connection to the grid. Cheap to clone; all clones share the same connections.
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// use isogrid_client::Grid;
/// use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let address = cluster.endpoints().remove(0);
/// let grid = Grid::builder()
///     .seeds([address])
///     .request_timeout(Duration::from_secs(1))
///     .build()
///     .await?;
/// let users = grid.map::<String, String>("users");
/// users.put("u1", &"Ann".into()).await?;
/// assert_eq!(users.get("u1").await?.as_deref(), Some("Ann"));
/// grid.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Grid(Arc<Handle>);

/// What a client has counted: see [`Grid::stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many operations came to a node that did not own their partition, and had to be sent again. It grows a little
    /// when partitions move, and not at all otherwise.
    pub routing_misses: u64,
    /// How many connections there are.
    pub connections: usize,
    /// The version of the table by which operations find their way; zero while there is none.
    pub table_version: u64,
    /// Whether writes carry names, so that a retry is never executed twice.
    pub has_session: bool,
}

/// What all clones of a client share. Dropping it ends the tasks behind the link.
struct Handle {
    link: Arc<Link>,
    #[cfg(feature = "sql")]
    statements: crate::sql::Doors,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl Grid {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Grid(Arc::new(Handle {
            link,
            #[cfg(feature = "sql")]
            statements: crate::sql::Doors::default(),
        }))
    }

    /// Sets up a client step by step.
    pub fn builder() -> GridBuilder {
        GridBuilder::default()
    }

    /// Connects to a URL: `isogrid://HOST:PORT[,HOST:PORT…][?option=value&…]`.
    ///
    /// | option | example | as in the builder |
    /// |---|---|---|
    /// | `request_timeout` | `2s` | [`request_timeout`](GridBuilder::request_timeout) |
    /// | `connect_timeout` | `500ms` | [`connect_timeout`](GridBuilder::connect_timeout) |
    /// | `in_flight_ops_max` | `256` | [`in_flight_ops_max`](GridBuilder::in_flight_ops_max) |
    /// | `connections_max` | `1` | [`connections_max`](GridBuilder::connections_max) |
    /// | `gateway` | `true` | [`gateway`](GridBuilder::gateway) |
    /// | `zone` | `eu-1a` | [`zone`](GridBuilder::zone) |
    /// | `client_name` | `billing` | [`client_name`](GridBuilder::client_name) |
    /// | `retry` | `false` | [`retry`](GridBuilder::retry) with [`Retry::none`](crate::Retry::none) |
    ///
    /// # Errors
    ///
    /// `EndpointInvalid` for a URL that cannot be read, with a hint; `CannotConnect` if no address answers.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::Grid;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let address = cluster.endpoints().remove(0);
    /// let grid = Grid::connect(&format!("isogrid://{address}/?request_timeout=2s")).await?;
    /// let error = Grid::connect("isogrid://localhost/?requst_timeout=2s").await.unwrap_err();
    /// assert!(error.to_string().contains("did you mean \"request_timeout\"?"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Grid> {
        GridBuilder::from_url(url)?.build().await
    }

    /// A typed handle to a map, with values as MessagePack. No I/O: a map exists once something is written to it.
    pub fn map<K: Key, V>(&self, name: &str) -> Map<K, V>
    where
        MessagePack: Codec<V>,
    {
        Map::new(self.clone(), name, MessagePack)
    }

    /// A typed handle to a map, with a codec of your choice. No I/O.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use bytes::Bytes;
    /// use isogrid_client::{Json, Raw};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let people = grid.map_with::<u64, Vec<String>, _>("people", Json);
    /// people.put(&1, &vec!["Ann".into()]).await?;
    /// let blobs = grid.map_with::<u64, Bytes, _>("people", Raw);
    /// assert_eq!(blobs.get(&1).await?.as_deref(), Some(&b"[\"Ann\"]"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_with<K: Key, V, C: Codec<V>>(&self, name: &str, codec: C) -> Map<K, V, C> {
        Map::new(self.clone(), name, codec)
    }

    /// A map of plain bytes, for tools that do not know what is in it. No I/O.
    pub fn raw_map(&self, name: &str) -> Map<Bytes, Bytes, Raw> {
        self.map_with(name, Raw)
    }

    /// Collects operations to be sent together: see [`Pipeline`].
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline::new(self)
    }

    /// Closes the connections, for this handle and all its clones. Operations under way are given their time to end;
    /// later ones fail. Dropping the future leaves the client open or closes it without waiting.
    pub async fn close(&self) -> Result<()> {
        const LOOK_AGAIN: Duration = Duration::from_millis(2);
        let link = self.link();
        let drained = async {
            // Every operation has a deadline, so this ends.
            while link.routes.lanes().any(|lane| lane.is_busy()) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        // A second limit, since operations that begin meanwhile could keep the first from being reached.
        let _ = tokio::time::timeout(link.settings.request_timeout, drained).await;
        link.close();
        let mut tasks = link.take_tasks();
        // A task that was cancelled with its runtime has ended too.
        while tasks.join_next().await.is_some() {}
        if let Some(sink) = &link.settings.tracer.sink {
            // A collector that is gone keeps nobody.
            let _ = tokio::time::timeout(link.settings.request_timeout, sink.flush()).await;
        }
        Ok(())
    }

    /// What this client has counted since it was made. No I/O.
    pub fn stats(&self) -> Stats {
        let link = self.link();
        let connections = link.routes.lanes().filter(|lane| lane.is_connected()).count();
        Stats {
            routing_misses: link.lanes.routing_misses.load(Ordering::Relaxed),
            connections,
            table_version: link.lanes.table_version.load(Ordering::Relaxed),
            has_session: link.numbers.session().is_some(),
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    #[cfg(feature = "sql")]
    pub(crate) fn statements(&self) -> &crate::sql::Doors {
        &self.0.statements
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link();
        f.debug_struct("Grid")
            .field("address", &link.addresses.lock().current())
            .field("connections", &link.routes.lanes_len())
            .field("closed", &link.is_closed())
            .finish()
    }
}
