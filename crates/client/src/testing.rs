//! Nodes inside the process of a test: real ones, on free ports, started in milliseconds.

use std::sync::Arc;

use isogrid_core::{ErrorCode, Limits};
use isogrid_node::config::MemoryLimit;
use isogrid_node::{Config, Node};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::grid::Grid;

/// Cores per node: enough to show what more than one does.
const CORES: usize = 2;

/// A cluster in this process. Its nodes stop when it is dropped.
///
/// ```
/// use isogrid_client::testing::Cluster;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// let cluster = Cluster::start(1).await?;
/// let grid = cluster.grid().await?;
/// let map = grid.map::<String, u64>("m");
/// map.put("k", &1).await?;
///
/// cluster.kill(0).await?;
/// cluster.restart(0).await?;
/// assert_eq!(map.get("k").await?, None, "one node has no backup");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Arc<Member>>,
}

/// One node, running or not.
struct Member {
    config: Config,
    endpoint: String,
    /// `None` while it is killed. Held for as long as starting or stopping takes.
    node: Mutex<Option<Node>>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// How the nodes of a test are set up.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// The limits that the nodes enforce.
    pub limits: Limits,
    /// Cores per node; two if zero.
    pub cores: usize,
    /// The memory mark of each node; the node's default if `None`.
    pub memory_limit_bytes: Option<u64>,
}

impl Cluster {
    /// Starts nodes. Only one is possible yet: clusters of several nodes come with membership.
    pub async fn start(nodes: usize) -> Result<Cluster> {
        Self::start_with(nodes, ClusterOptions::default()).await
    }

    /// Starts nodes that are set up otherwise.
    pub async fn start_with(nodes: usize, options: ClusterOptions) -> Result<Cluster> {
        if nodes != 1 {
            let detail = format!("{nodes} nodes: clusters of several nodes come with membership");
            return Err(Error::new(ErrorCode::ArgumentInvalid, detail));
        }
        let config = config(&options);
        let member = off_runtime(move || {
            let node = Node::start(config.clone())?;
            // A restart must come back where clients look for it.
            let (grpc_addr, http_addr) = (node.grpc_addr(), node.http_addr());
            let mut config = config;
            config.node.name = Some(node.id().to_string());
            config.node.grpc_addr = grpc_addr.to_string();
            config.node.http_addr = http_addr.to_string();
            let endpoint = grpc_addr.to_string();
            Ok(Arc::new(Member { config, endpoint, node: Mutex::new(Some(node)) }))
        });
        Ok(Cluster { nodes: vec![member.await?] })
    }

    /// Where each node listens, as `HOST:PORT`, killed ones included.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|member| member.endpoint.clone()).collect()
    }

    /// A new client of this cluster.
    pub async fn grid(&self) -> Result<Grid> {
        Grid::builder().seeds(self.endpoints()).client_name("test").build().await
    }

    /// Ends a node as a crash would: connections break, and what was only in its memory is gone.
    pub async fn kill(&self, node: usize) -> Result<()> {
        let member = self.member(node)?;
        off_runtime(move || {
            drop(member.node.lock().take());
            Ok(())
        })
        .await
    }

    /// Stops a node politely: requests in progress are finished.
    pub async fn stop(&self, node: usize) -> Result<()> {
        let member = self.member(node)?;
        off_runtime(move || {
            if let Some(node) = member.node.lock().take() {
                node.stop();
            }
            Ok(())
        })
        .await
    }

    /// Starts a killed node again, at the same address.
    pub async fn restart(&self, node: usize) -> Result<()> {
        let member = self.member(node)?;
        off_runtime(move || {
            let mut running = member.node.lock();
            // Stopped first, since both need the same ports.
            drop(running.take());
            *running = Some(Node::start(member.config.clone())?);
            Ok(())
        })
        .await
    }

    fn member(&self, node: usize) -> Result<Arc<Member>> {
        self.nodes.get(node).cloned().ok_or_else(|| {
            let detail = format!("node {node} of {}", self.nodes.len());
            Error::new(ErrorCode::ArgumentInvalid, detail)
        })
    }
}

fn config(options: &ClusterOptions) -> Config {
    let mut config = Config::default();
    config.node.grpc_addr = "127.0.0.1:0".into();
    config.node.http_addr = "127.0.0.1:0".into();
    config.node.gossip_addr = "127.0.0.1:0".into();
    config.node.cores = if options.cores == 0 { CORES } else { options.cores };
    config.limits = options.limits.clone();
    if let Some(bytes) = options.memory_limit_bytes {
        config.memory.limit = MemoryLimit::Bytes(bytes);
    }
    config
}

/// Starting and stopping a node waits for its threads, which a test's runtime must not do.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorCode::Internal, format!("starting a node: {error}"))),
    }
}
