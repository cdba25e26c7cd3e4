//! A large cluster in virtual time, to count what its control plane costs. The council, the steward, the placement, the
//! deltas of the table and `reconcile` are the real code; replicas are modelled and obey.
//!
//! ```text
//!   steward ──commands──► council ──table──► 5 voters ──gossip: version + hash, pull──► every node's table
//!      ▲ every 100 ms        ▲                                                               │ reconcile
//!      └── evidence ─────────┴──────── proposals of primaries ◄── copies, removals ◄─────────┘
//! ```
//!
//! What is modelled: a copy takes its bytes over the bandwidth of the busier of its two nodes, which all copies of a
//! node share alike, and every other step takes one round trip, rounded up to [`STEP_MS`]. docs/scale.md has the
//! figures, `examples/scale.rs` prints them.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | how large the cluster is, and how fast |
//! | [`encoding`] | how many bytes things take on the wire |
//! | [`traffic`] | what was sent, and how long the work took |
//! | [`report`] | what a change of the cluster cost |
//! | [`world`] | the cluster itself |

mod copies;
pub mod encoding;
mod node;
mod observe;
mod propose;
pub mod report;
pub mod settings;
mod spread;
pub mod traffic;
pub mod world;

pub use encoding::{Encoding, GossipShape, HeartbeatShape, digest_bytes};
pub use report::{Evenness, Event, ScaleReport, SpreadReport};
pub use settings::{STEP_MS, ScaleSettings};
pub use traffic::{NoWatch, Traffic, Watch, Work};
pub use world::ScaleWorld;
