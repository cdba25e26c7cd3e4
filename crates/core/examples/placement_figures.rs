//! Prints the table of docs/placement.md: how even the placement is and how much of it moves.
//!
//! `cargo run --release -p isogrid-core --example placement_figures`

#![allow(clippy::print_stdout, reason = "printing the table is what this example is for")]
#![allow(clippy::disallowed_methods, reason = "it measures how long the placement takes")]

use std::collections::BTreeMap;
use std::time::Instant;

use isogrid_core::NodeId;
use isogrid_core::members::{Member, Members};
use isogrid_core::placement::desired;
use isogrid_core::slot::PartitionCount;

/// Copies per partition: a primary and one backup.
const COPIES: usize = 2;

/// A placement is compared with the one after a change for this many different changes; the mean and the worst count.
const CHANGES: usize = 10;

type Placement = Vec<Vec<NodeId>>;

fn main() {
    println!(
        "| nodes | zones | partitions | primaries max/mean | copies max/mean | join moves (ideal) | \
         worst | leave moves (ideal) | worst | backup takes over | ms |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (nodes, zones, partitions) in [
        (3, 1, 256),
        (3, 1, 1_024),
        (3, 1, 16_384),
        (10, 1, 256),
        (10, 1, 1_024),
        (10, 1, 16_384),
        (10, 3, 1_024),
        (100, 1, 256),
        (100, 1, 1_024),
        (100, 1, 16_384),
        (100, 3, 16_384),
    ] {
        print_row(nodes, zones, PartitionCount::new(partitions).expect("a power of two"));
    }
}

fn print_row(nodes: usize, zones: usize, partitions: PartitionCount) {
    let members: Members = (0..nodes).map(|node| member(node, zones)).collect();
    let began = Instant::now();
    let before = desired(partitions, &members, COPIES);
    let took_ms = began.elapsed().as_secs_f64() * 1e3;

    let joins: Vec<f64> = (0..CHANGES)
        .map(|change| {
            let mut more = members.clone();
            // Its name is new, and it lands in the zone whose turn it is.
            let joiner = NodeId::new(format!("new-{change}"));
            more.upsert(Member { id: joiner, ..member(nodes, zones) });
            moved(&before, &desired(partitions, &more, COPIES))
        })
        .collect();
    let mut leaves = Vec::new();
    let mut takeovers = Vec::new();
    for leaver in members.iter().take(CHANGES) {
        let mut fewer = members.clone();
        fewer.remove(&leaver.id);
        let after = desired(partitions, &fewer, COPIES);
        leaves.push(moved(&before, &after));
        takeovers.push(taken_over(&before, &after, &leaver.id));
    }

    let percent = |fraction: f64| format!("{:.1} %", fraction * 100.0);
    let ideal_join = 1.0 / (nodes as f64 + 1.0);
    let ideal_leave = 1.0 / nodes as f64;
    println!(
        "| {nodes} | {zones} | {} | {:.3} | {:.3} | {} ({}) | {} | {} ({}) | {} | {} | {took_ms:.0} |",
        partitions.get(),
        unevenness(before.iter().map(|holders| &holders[..1]), nodes),
        unevenness(before.iter().map(|holders| &holders[..]), nodes),
        percent(mean(&joins)),
        percent(ideal_join),
        percent(worst(&joins)),
        percent(mean(&leaves)),
        percent(ideal_leave),
        percent(worst(&leaves)),
        percent(mean(&takeovers)),
    );
}

fn member(number: usize, zones: usize) -> Member {
    let zone = Some(format!("zone-{}", number % zones));
    Member { zone, ..Member::new(format!("node-{number}")) }
}

/// The largest load of a member over the mean.
fn unevenness<'a>(placement: impl Iterator<Item = &'a [NodeId]>, nodes: usize) -> f64 {
    let mut loads: BTreeMap<&NodeId, usize> = BTreeMap::new();
    let mut copies = 0;
    for node in placement.flatten() {
        *loads.entry(node).or_default() += 1;
        copies += 1;
    }
    let largest = loads.into_values().max().unwrap_or(0);
    largest as f64 * nodes as f64 / f64::from(copies)
}

/// The part of all copies that is on a member that did not hold that partition before.
fn moved(before: &Placement, after: &Placement) -> f64 {
    let arrivals: usize = before
        .iter()
        .zip(after)
        .map(|(old, new)| new.iter().filter(|node| !old.contains(node)).count())
        .sum();
    arrivals as f64 / (after.len() * COPIES) as f64
}

/// The part of the leaver's primaries whose next primary held a copy already.
fn taken_over(before: &Placement, after: &Placement, leaver: &NodeId) -> f64 {
    let orphans: Vec<(&Vec<NodeId>, &Vec<NodeId>)> =
        before.iter().zip(after).filter(|(old, _)| old[0] == *leaver).collect();
    let taken = orphans.iter().filter(|(old, new)| old.contains(&new[0])).count();
    taken as f64 / orphans.len().max(1) as f64
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

fn worst(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}
