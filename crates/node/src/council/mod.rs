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
//! | `service` | [`CouncilService`], the door |
//! | `voters` | other voters |
//! | `follow` | who leads, whether it failed |
//! | `log`, `writer`, `store` | the log in memory, the thread that writes it, the file |
//! | `machine`, `snapshot` | the council as a state machine, and as bytes |
//! | `network`, `receive`, `message` | what voters say to each other |
//! | `record` | how places, votes and entries are written |
//! | `settings` | bounds and timings |
//! | `types` | what openraft is configured with |
//!
//! docs/council.md has the picture and the figures, docs/adr/0013 the reasons for openraft.

mod follow;
mod log;
mod machine;
mod message;
mod network;
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

pub(crate) use follow::CouncilLeader;
pub(crate) use network::{CallFailed, RaftTransport};
pub(crate) use service::{CouncilService, ProposeFailed};
pub(crate) use settings::CouncilSettings;
