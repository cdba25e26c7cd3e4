//! Nodes inside the process of a test: real ones, on free ports, started in milliseconds.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use isogrid_core::{ErrorCode, Limits};
use isogrid_node::config::MemoryLimit;
use isogrid_node::{Config, Node};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::grid::Grid;

/// How long nodes may take to become a cluster, and how often they are looked at meanwhile.
const WHOLE_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
    /// The zone of each node; those without one have none.
    pub zones: Vec<String>,
    /// Where the nodes tell traces, if they do; the feature `otel` is for that.
    pub traces_to: Option<String>,
    /// Of so many operations without a trace context one begins a trace; none if zero.
    pub trace_one_of: u64,
}

impl Cluster {
    /// Starts nodes, and waits until they are one cluster that takes operations.
    pub async fn start(nodes: usize) -> Result<Cluster> {
        Self::start_with(nodes, ClusterOptions::default()).await
    }

    /// Starts nodes that are set up otherwise.
    pub async fn start_with(nodes: usize, options: ClusterOptions) -> Result<Cluster> {
        let gossip = gossip_addresses(nodes)?;
        let starting = (0..nodes).map(|node| {
            let config = config(&options, &gossip, node);
            off_runtime(move || start_member(config?))
        });
        let members: Result<Vec<Arc<Member>>> =
            futures::future::join_all(starting).await.into_iter().collect();
        let cluster = Cluster { nodes: members? };
        if nodes > 1 {
            cluster.until_whole().await?;
        }
        Ok(cluster)
    }

    /// Waits until all nodes know each other and the cluster is healthy.
    async fn until_whole(&self) -> Result<()> {
        let begun = std::time::Instant::now();
        let grid = loop {
            match self.grid().await {
                Ok(grid) => break grid,
                Err(error) if begun.elapsed() > WHOLE_MAX => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        };
        loop {
            let status = grid.status().await;
            let detail = match &status {
                Ok(status)
                    if status.health == "healthy" && status.members.len() == self.nodes.len() =>
                {
                    return grid.close().await;
                }
                Ok(status) => format!("{} with {} members", status.health, status.members.len()),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > WHOLE_MAX {
                let detail = format!("{} nodes are not whole in time: {detail}", self.nodes.len());
                return Err(Error::new(ErrorCode::NotReady, detail));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
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

/// Free addresses for gossip: nodes must know each other's before the first one starts.
fn gossip_addresses(nodes: usize) -> Result<Vec<String>> {
    // All are held until all are chosen, so that none is chosen twice.
    let sockets: std::io::Result<Vec<UdpSocket>> =
        (0..nodes).map(|_| UdpSocket::bind("127.0.0.1:0")).collect();
    let addresses = sockets.and_then(|sockets| {
        sockets.iter().map(|socket| socket.local_addr().map(|at| at.to_string())).collect()
    });
    addresses.map_err(|error| Error::new(ErrorCode::AddressUnavailable, error.to_string()))
}

fn config(options: &ClusterOptions, gossip: &[String], node: usize) -> Result<Config> {
    let mut config = Config::default();
    config.node.grpc_addr = "127.0.0.1:0".into();
    config.node.http_addr = "127.0.0.1:0".into();
    config.node.gossip_addr.clone_from(&gossip[node]);
    if gossip.len() > 1 {
        config.node.name = Some(format!("node-{node}"));
    }
    config.node.zone = options.zones.get(node).cloned().or(config.node.zone);
    config.node.cores = if options.cores == 0 { CORES } else { options.cores };
    config.limits = options.limits.clone();
    config.tracing.endpoint.clone_from(&options.traces_to);
    config.tracing.sample_one_of = options.trace_one_of;
    if let Some(bytes) = options.memory_limit_bytes {
        config.memory.limit = MemoryLimit::Bytes(bytes);
    }
    match gossip.len() {
        1 => Ok(config),
        nodes => in_cluster(&config, gossip, nodes),
    }
}

/// The same configuration, as a member of a cluster.
fn in_cluster(config: &Config, gossip: &[String], nodes: usize) -> Result<Config> {
    let refused = |error: serde_json::Error| {
        Error::new(ErrorCode::ConfigValueInvalid, format!("the cluster of a test: {error}"))
    };
    // As text, since these keys are the node's own and this crate only passes them on.
    let mut value = serde_json::to_value(config).map_err(refused)?;
    value["cluster"]["seeds"] = gossip.into();
    value["cluster"]["expect"] = nodes.into();
    serde_json::from_value(value).map_err(refused)
}

/// Starts a node, and notes where it listens: a restart must come back where clients look for it.
fn start_member(config: Config) -> Result<Arc<Member>> {
    let node = Node::start(config.clone())?;
    let (grpc_addr, http_addr) = (node.grpc_addr(), node.http_addr());
    let mut config = config;
    config.node.name = Some(node.id().to_string());
    config.node.grpc_addr = grpc_addr.to_string();
    config.node.http_addr = http_addr.to_string();
    let endpoint = grpc_addr.to_string();
    Ok(Arc::new(Member { config, endpoint, node: Mutex::new(Some(node)) }))
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
