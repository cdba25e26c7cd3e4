//! SQL of a real cluster beside SQLite: the same data, the same statements, the same answers, also while nodes die and partitions move.
//!
//! docs/sql.md says how to run it with more rows and more statements.

mod answer;
mod asked;
#[path = "../reliability/cluster.rs"]
#[expect(dead_code, reason = "shared with the reliability suite, which does more to its clusters")]
mod cluster;
mod data;
mod differential;
mod faults;
mod generated;
#[path = "../reliability/ports.rs"]
mod ports;
mod random;
#[path = "../reliability/setup.rs"]
mod setup;
mod sqlite;
mod statement;
#[path = "../reliability/topology.rs"]
#[expect(dead_code, reason = "shared with the reliability suite, which asks more of it")]
mod topology;
mod written;

use std::io::Write;

/// What a test has to say about its figures.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// How many orders there are and how many statements chance writes, unless told otherwise: fewer for a build that was not optimised.
const ORDERS: u32 = if cfg!(debug_assertions) { 5_000 } else { 20_000 };
const BY_CHANCE: u32 = if cfg!(debug_assertions) { 100 } else { 300 };

/// How many orders there are.
fn orders() -> u32 {
    from_environment("ISOGRID_QUERY_ROWS", ORDERS)
}

/// Only one cluster at a time: a machine with few cores has enough to do with one.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
