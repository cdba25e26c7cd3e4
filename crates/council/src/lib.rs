//! The council's service: what the cluster has agreed on, kept by a few voters with Raft. The rules of what is agreed are
//! those of `isogrid_cluster::Council`; here is how voters agree.
//!
//! ```text
//!  propose ─> service ─> openraft ─┬─> log ─> writer (one thread, one sync for all that waits) ─> council.redb
//!                                  ├─> network ─> the other voters' receive
//!                                  └─> machine: Council ─> watch ─> everybody on this node
//! ```
//!
//! | module | what |
//! |---|---|
//! | `service`, `door` | [`CouncilService`], and what is asked of it |
//! | `voters` | other voters |
//! | `follow` | who leads, whether it failed |
//! | `log`, `writer`, `store` | the log in memory, the thread that writes it, the file |
//! | `machine`, `snapshot` | the council as a state machine, and as bytes |
//! | `network`, `receive`, `message` | what voters say to each other |
//! | `record` | how places, votes and entries are written |
//! | `settings` | bounds and timings |
//! | [`packed`] | plain data as bytes |
//! | `types` | what openraft is configured with |
//!
//! docs/council.md has the picture and the figures, docs/adr/0013 the reasons for openraft.

mod door;
mod follow;
mod log;
mod machine;
mod message;
mod network;
pub mod packed;
mod receive;
mod record;
mod service;
mod settings;
mod snapshot;
mod store;
mod types;
mod voters;
mod writer;

#[cfg(test)]
mod measure_test;
#[cfg(test)]
mod record_test;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod store_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod voters_test;

pub use follow::CouncilLeader;
pub use network::{CallFailed, RaftTransport};
pub use service::{CouncilFigures, CouncilService, ProposeFailed};
pub use settings::{CouncilSettings, Timings};
