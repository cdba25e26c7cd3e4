//! The bounds and timings of the council's service.

use std::path::PathBuf;
use std::time::Duration;

use isogrid_core::NodeId;
use openraft::{Config, SnapshotPolicy};

/// How a council service is started.
#[derive(Clone, Debug)]
pub struct CouncilSettings {
    /// The node's data folder; `None`: the log is kept in memory and the voter is a new one with every start.
    pub folder: Option<PathBuf>,
    /// The name of this node.
    pub node: NodeId,
    /// How often, and after what silence.
    pub timings: Timings,
    /// After how many entries a snapshot is made and the log behind it dropped.
    pub compact_entries: u64,
}

/// The timings of the raft. Those of the default are for a local network with disks that sync within 50 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// The leader is heard at least this often.
    pub heartbeat: Duration,
    /// The shortest silence after which a voter stands for election...
    pub election_min: Duration,
    /// ...and the longest. It is the leader's lease as well.
    pub election_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            heartbeat: Duration::from_millis(40),
            election_min: Duration::from_millis(100),
            election_max: Duration::from_millis(200),
        }
    }
}

/// Entries between two snapshots, by default.
pub(crate) const COMPACT_ENTRIES: u64 = 5_000;
/// Entries kept behind a snapshot, so that a voter that is a little behind needs no snapshot.
const KEPT_ENTRIES_MAX: u64 = 1_000;
/// The largest command, encoded.
pub(crate) const COMMAND_BYTES_MAX: usize = 2 << 20;
/// Entries are sent in messages of about this size; one command may be larger.
pub(crate) const APPEND_BYTES_MAX: usize = 1 << 20;
/// The entries in one message.
const APPEND_ENTRIES_MAX: u64 = 300;
/// A snapshot is sent in pieces of this size: well within the 4 MiB that a message may have.
pub(crate) const PIECE_BYTES_MAX: usize = 1 << 20;
/// The largest snapshot that is taken in.
pub(crate) const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;
/// Writes that wait for the disk before the raft itself is held up.
pub(crate) const WRITES_QUEUED_MAX: usize = 1_024;
/// Commands that openraft queues; further ones wait.
const PROPOSALS_QUEUED_MAX: u64 = 4_096;

/// How long a proposal may take before its outcome is given up as unknown.
pub(crate) const PROPOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a read point may take to be confirmed.
pub(crate) const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a change of voters may take.
pub(crate) const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the first voter may take to become the leader.
pub(crate) const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long entries may take to reach a follower's disk.
pub(crate) const APPEND_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a piece of a snapshot may take, and the installation of the whole.
pub(crate) const PIECE_TIMEOUT: Duration = Duration::from_secs(2);
/// See [`PIECE_TIMEOUT`].
pub(crate) const INSTALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A leader has a quorum while one has answered within this time.
pub(crate) const QUORUM_HEARD: Duration = Duration::from_millis(500);
/// The pause before something that was refused for the moment is tried again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
/// What was committed is written with the next entries, or alone after this time.
pub(crate) const COMMITTED_FLUSH: Duration = Duration::from_millis(100);

impl CouncilSettings {
    /// The usual settings of a node.
    pub fn new(node: NodeId, folder: Option<PathBuf>) -> Self {
        CouncilSettings {
            folder,
            node,
            timings: Timings::default(),
            compact_entries: COMPACT_ENTRIES,
        }
    }

    /// What openraft is told.
    pub(super) fn raft_config(&self) -> Config {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Config {
            cluster_name: "council".to_owned(),
            heartbeat_interval: ms(self.timings.heartbeat),
            election_timeout_min: ms(self.timings.election_min),
            election_timeout_max: ms(self.timings.election_max),
            install_snapshot_timeout: ms(INSTALL_TIMEOUT),
            max_payload_entries: APPEND_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.compact_entries),
            max_in_snapshot_log_to_keep: KEPT_ENTRIES_MAX.min(self.compact_entries),
            replication_lag_threshold: self.compact_entries.saturating_mul(2),
            api_channel_size: Some(PROPOSALS_QUEUED_MAX),
            // A voter that was asleep or cut off must not depose a leader that the others hear.
            enable_pre_vote: Some(true),
            // A restarted leader may have missed an election: it stands again like everybody.
            enable_leader_restore: Some(false),
            // A log that has gone back is a wiped one: never accepted.
            allow_log_reversion: Some(false),
            ..Config::default()
        }
    }
}
