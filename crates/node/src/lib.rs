//! The process: the only crate that spawns threads, binds sockets and reads clocks. Everything it decides, it asks of the
//! pure crates below it.
//!
//! | module | what it does |
//! |---|---|
//! | [`node`] | starts and stops a node |
//! | [`config`] | defaults < file < environment < flags, and where each value came from |
//! | `boot` | what a node does before it serves |
//! | `advertise` | where others reach the node |
//! | `core_work`, `pulse` | what one core does, and its heart |
//! | `engine` | the partitions of this node and the maps in them; executes batches of operations |
//! | `control` | this node as a member of a cluster: joins, learns, leads |
//! | `gossip` | who else is there, and what each says of itself |
//! | `peers` | links and questions to other nodes |
//! | `handler` | what other nodes say, on its way to whom it is for |
//! | `relay` | operations for owners elsewhere, of clients that do not know them |
//! | `grpc` | the services: sessions of frames, typed data calls, admin, health, reflection |
//! | `http` | health for probes, figures, and the API for everybody who has no client |
//! | `readiness`, `restart` | whether this node takes part, and whether it may be restarted |
//! | `doors` | what goes through the doors, counted |
//! | `metrics` | the page that Prometheus reads |
//! | `history` | key figures of the last day |
//! | `sql` | what runs statements |
//! | `pg` | the door for PostgreSQL's clients |
//! | `acceptor` | takes connections and gives each to a core |
//! | `clients` | who is connected, through all doors |
//! | `connection` | what is known of a connection, and how to end it |
//! | `janitor` | expiry, eviction, memory figures, stuck clients |
//! | `memory` | how much memory there is, and when to refuse more |
//! | `identity` | the node's name and its data folder |
//! | `recovering` | reads the data back from disk, and tells how far it is |
//! | `traces` | what is told of distributed traces |
//! | `worker` | background work that can be seen |
//! | [`logging`] | log lines, as text or JSON |
//!
//! A put is followed through all of them in docs/life-of-a-put.md.

mod acceptor;
mod advertise;
mod boot;
mod clients;
mod clock;
pub mod config;
mod connection;
mod control;
mod core_work;
mod doors;
mod engine;
mod gossip;
mod grpc;
mod handler;
mod history;
mod http;
mod identity;
mod janitor;
mod listen;
pub mod logging;
mod memory;
mod metrics;
pub mod node;
mod peers;
#[cfg(feature = "sql")]
mod pg;
mod pulse;
mod readiness;
mod recovering;
mod relay;
mod report;
mod restart;
#[cfg(feature = "sql")]
mod sql;
mod storage;
mod traces;
mod worker;

pub use config::Config;
pub use node::Node;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
