//! What this node does as a member of a cluster: forms or joins it, tells the council's leader that it lives, learns what
//! was decided, and, when it leads the council itself, runs the steward.
//!
//! ```text
//!   gossip ──► bootstrap ──► register ──► heartbeat ──► leader: evidence ──► steward ──► council
//!   council's state ──► news ──► view ──► engine, gRPC, gossip
//!   proposals of primaries ──► batch ──► the council's leader
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `view` | all that this node knows of what was committed |
//! | `news` | what brings a view up to date |
//! | `faces` | what it needs of gossip, council, peers and engine |
//! | `settings` | what is set for it |
//! | `shared` | [`Control`]: what its tasks share, and how the view changes |
//! | `question` | what the council's leader and other nodes are asked, as it travels |
//! | `answers` | the answers to it |
//! | `leader` | finds the council's leader and asks it until there is an answer |
//! | `bootstrap` | forms a cluster or joins one |
//! | `register` | registers this life, as often as it takes |
//! | `heartbeat` | tells the leader what this node sees |
//! | `stewardship` | the leader: evidence, steward, orders |
//! | `voters` | the leader: who votes in the council |
//! | `votes` | whose vote counts now |
//! | `spread` | news: follows the own council, pushes, pulls |
//! | `neighbours` | gossip and addresses of the other nodes |
//! | `batch` | proposals of primaries, many in one command |
//! | `operators` | maps, sessions, intents, stops |
//! | `health` | one word about the cluster |
//! | `facts` | what operators are shown |

mod answers;
mod batch;
mod bootstrap;
pub(crate) mod faces;
mod facts;
pub(crate) mod health;
mod heartbeat;
mod leader;
mod neighbours;
pub(crate) mod news;
mod operators;
pub(crate) mod question;
mod register;
mod settings;
mod shared;
mod spread;
mod stewardship;
pub(crate) mod view;
mod voters;
mod votes;

#[cfg(test)]
mod control_test;
#[cfg(test)]
mod twins;

pub(crate) use facts::ClusterFacts;
pub(crate) use settings::{ControlSettings, Pace};
pub(crate) use shared::Control;
