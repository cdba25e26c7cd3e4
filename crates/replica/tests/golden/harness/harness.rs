//! What the scripts run on: real replicas of one partition, a network and a council that do only what they are told.
//!
//! | command | what it does |
//! |---|---|
//! | `settings durable=yes …` | before the start: settings of the replicas |
//! | `map 1 acknowledge=primary min_in_sync=2` | before the start: how a map is replicated |
//! | `start a b c` | registers the nodes, a leads, all in sync; delivers until all is quiet |
//! | `a put k v id=7.1`, `a get k mode=confirmed` | a client asks node a: put, get, exists, del, incr, len, clear |
//! | `deliver`, `deliver a->b` | delivers until all is quiet; or what lies on one way now |
//! | `drop a->b`, `duplicate a->b` | loses what lies on a way; delivers it and leaves it there |
//! | `tamper a->b v w` | changes a value in the entries on a way |
//! | `hold a`, `hold a->b`, `release a` | messages of a node, or of a way, wait |
//! | `tick 100 a` | time passes, and replicas (all, or those named) notice it |
//! | `run 2000` | time passes in steps of 20 ms with everything delivered; prints no messages |
//! | `clock b -5000` | sets a node's wall clock back or forth |
//! | `council …` | `promote b`, `learner c`, `remove b`, `drop c`, `reset b`, `register c`, `decide`, `lose`, `show` |
//! | `table a b` | the committed table reaches these nodes, or all |
//! | `crash a`, `restart a`, `restart a disk=kept` | a node loses its memory, and comes back with a new incarnation |
//! | `persisted a` | the log of a node is on its disk |
//! | `imaged a` | the data of a node are on its disk |
//! | `damaged a` | what the disk of a node has is worth nothing |
//! | `handover a b`, `retire a b`, `vouch a b`, `end-session a 7` | directives to a primary |
//! | `answered a` | the council answers a heartbeat that a sent just now |
//! | `state`, `state a` | what the replicas are and hold |

mod ask;
mod council;
mod show;
mod time;
mod world;

pub(crate) use world::World;
