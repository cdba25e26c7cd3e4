//! One replica of a partition: a state machine that turns events into effects. Synchronous and deterministic: no clock, no
//! randomness, no IO. A node keeps each [`Replica`] behind a mutex, and the simulator runs hundreds of them.
//!
//! docs/replication.md tells the protocol; PROTOCOL's rules R1 to R12 are named where the code keeps them.
//!
//! | module | what it does |
//! |---|---|
//! | [`replica`] | [`Replica`]: `step(event, now, effects)`, and the change of roles |
//! | `primary` | executes, sends, commits, answers; proposes changes of the in-sync set; serves copies |
//! | `backup`, `learner` | follow: in sync, or catching up |
//! | `follower` | what both do: match logs, acknowledge, read |
//! | `copy` | a learner's copy in progress |
//! | [`dump`] | what a backup of the cluster takes |
//! | `corrupt` | data gone wrong, for tests |
//! | `state` | what a replica has whatever it is |
//! | `shown`, `owned` | what a read shows, and answers that wait |
//! | [`event`], [`effects`], [`message`], [`notice`] | what goes in and what comes out |
//! | [`lease`] | leases of all partitions of a node pair in one message |
//! | `watch` | watchers of the log |
//! | [`entry`], [`log`], [`readers`], [`session`] | the log, who reads it, and the requests it remembers |
//! | [`image`], [`tail`] | what a disk keeps beside the log, and the log as it comes back from there |
//! | [`settings`] | what can be set |
//! | [`time`] | time as it is told |

mod backup;
mod copy;
mod corrupt;
pub mod dump;
pub mod effects;
pub mod entry;
pub mod event;
mod follower;
pub mod image;
mod learner;
pub mod lease;
pub mod log;
pub mod message;
pub mod notice;
mod owned;
mod primary;
pub mod readers;
pub mod replica;
pub mod session;
pub mod settings;
mod shown;
mod state;
pub mod tail;
pub mod time;
mod watch;

pub use copy::Progress;
pub use effects::{Effects, Proposal, ProposedChange, Receipt, Recorded, Refusal, Response};
pub use entry::Tag;
pub use event::{Event, ReadMode, Request, Ticket};
pub use message::Message;
pub use notice::Notice;
pub use replica::{FollowerLag, Replica, RoleName};
pub use settings::Settings;
pub use time::{Now, Ticks};
