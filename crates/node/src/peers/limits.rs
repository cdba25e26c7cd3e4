//! Every limit of the traffic between nodes, in one place.

use std::time::Duration;

/// The largest message of a link, packed. A value has at most 16 MiB; what is larger cannot be sent.
pub(crate) const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Where a batch is split. A message that is larger by itself is a batch of its own.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Where a batch of copies is split: what a write waits for at most when it comes behind one.
pub(crate) const CHUNK_BATCH_BYTES: usize = 256 << 10;

/// The largest batch that is received: one full batch and the message that went beyond it, with its envelope.
pub(crate) const RECEIVED_BYTES_MAX: usize = MESSAGE_BYTES_MAX + BATCH_BYTES;

/// The largest question and the largest answer.
pub(crate) const QUESTION_BYTES_MAX: usize = 32 << 20;

/// How many nodes one can know of; further ones are not listened to.
pub(crate) const PEERS_MAX: usize = 1_024;

/// How many links of other nodes a node holds open: each node has one for each of its cores.
pub(crate) const LINKS_MAX: usize = 8_192;

/// What may be set; the defaults are for production.
#[derive(Clone, Debug)]
pub(crate) struct PeerLimits {
    /// How many bytes of messages between replicas wait in a lane; beyond, they are dropped.
    pub(crate) lane_bytes_max: usize,
    /// How many of them while there is no link.
    pub(crate) lane_bytes_unlinked_max: usize,
    /// How many bytes of copies wait in a lane.
    pub(crate) chunk_bytes_max: usize,
    /// The room beyond that is kept for what is small and lets others go on: acknowledgements.
    pub(crate) reserve_bytes: usize,
    /// How many bytes of beats, news and directives wait in a lane.
    pub(crate) control_bytes_max: usize,
    /// How many questions to one node may be under way.
    pub(crate) questions_max: usize,
    /// How long a connection may take to be made.
    pub(crate) connect_timeout: Duration,
    /// The pause after a failed try to connect; it doubles up to the second.
    pub(crate) pause_min: Duration,
    /// The longest pause.
    pub(crate) pause_max: Duration,
    /// How often the other node is told that this one lives.
    pub(crate) ping_interval: Duration,
    /// How often a link that gets no answer is looked at, and how long it may be silent then.
    pub(crate) keepalive_interval: Duration,
    pub(crate) keepalive_timeout: Duration,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            lane_bytes_max: 32 << 20,
            lane_bytes_unlinked_max: 1 << 20,
            chunk_bytes_max: 4 << 20,
            reserve_bytes: 2 << 20,
            control_bytes_max: 8 << 20,
            questions_max: 1_024,
            connect_timeout: Duration::from_millis(200),
            pause_min: Duration::from_millis(20),
            pause_max: Duration::from_millis(250),
            ping_interval: Duration::from_millis(100),
            keepalive_interval: Duration::from_secs(1),
            keepalive_timeout: Duration::from_secs(3),
        }
    }
}
