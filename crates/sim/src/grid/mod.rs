//! A whole grid in virtual time: the real replicas, the real council and steward, on machines that fail, over a network that
//! fails, under clients that do not give up.
//!
//! | module | what it is |
//! |---|---|
//! | [`options`] | what a run is like |
//! | [`world`] | everything in one queue of events |
//! | `receive`, `faults` | what happens when something arrives or breaks |
//! | `machine`, `disk` | a node: its clocks, what it keeps, and what is wrong with it |
//! | `process`, `storage` | one life of a node, and its data on disk |
//! | `council` | the council's service around the real state machine |
//! | `packet`, `hands` | what travels, and what replicas want done |
//! | `workload`, `watch` | the clients and the watchers |
//! | `history` | what was ever committed |
//! | `invariants` | what must hold after every step, one per file |
//! | `verdict` | the end of a run: is the cluster whole again, and do the oracles agree? |
//! | `paths` | the rare paths that must be visited |

mod council;
mod disk;
mod faults;
mod hands;
mod history;
mod invariants;
mod machine;
pub mod options;
mod packet;
mod paths;
mod process;
mod receive;
#[doc(hidden)]
pub mod rules;
mod storage;
mod verdict;
mod watch;
mod workload;
pub mod world;

pub use options::{Options, Storage};
pub use world::World;

use crate::runner::SeedRun;

/// Runs a seed: faults and load, then peace, then judgement.
pub fn run(seed: u64, options: &Options) -> SeedRun {
    verdict::run(seed, options)
}
