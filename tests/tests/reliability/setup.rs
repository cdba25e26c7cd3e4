//! How a cluster is set up: how many nodes, where they run, and what they are told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long an operation may take: longer than any fault, so that what fails is a defect.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How the nodes are set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// How many further nodes may be started later.
    pub(crate) spare: usize,
    pub(crate) backups: u8,
    pub(crate) partitions: u16,
    /// The secret of their gossip.
    pub(crate) secret: Option<&'static str>,
    /// A gossip address beside their own that they all call.
    pub(crate) seed: Option<SocketAddr>,
    /// Whether they keep their data on disk.
    pub(crate) on_disk: bool,
}

/// Where a node runs.
pub(crate) struct Host {
    pub(crate) grpc: String,
    pub(crate) gossip: String,
    pub(crate) http: String,
    /// What starts a process there.
    pub(crate) started_by: Vec<String>,
    /// Where its data are, if they are on disk and not beside its log.
    pub(crate) data_dir: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        let partitions = crate::from_environment("ISOGRID_TEST_PARTITIONS", 64);
        let partitions = u16::try_from(partitions).expect("at most 16,384");
        Setup {
            nodes: 3,
            spare: 0,
            backups: 1,
            partitions,
            secret: None,
            seed: None,
            on_disk: false,
        }
    }
}
