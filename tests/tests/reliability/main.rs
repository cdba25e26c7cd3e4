//! Real processes, real faults, and an oracle: what was acknowledged is there, once, whatever happens.
//!
//! docs/reliability.md says how to run the long versions and what was measured.

mod cluster;
mod disk;
mod forged_gossip;
mod gateway;
mod load;
mod middleman;
mod network;
mod one_hop;
mod ports;
mod probe;
mod rejoin;
mod setup;
mod split;
mod topology;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use cluster::{Cluster, Setup};
use isogrid_client::Grid;
use load::Load;
use probe::Figures;
use topology::Topology;

/// What a test has to say about its figures.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn load_average() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').next().unwrap_or_default().to_owned()
}

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Only one cluster at a time: a machine with few cores has enough to do with one.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Who is killed in a cycle: the council's leader each third time, the others in turn.
async fn victim(cluster: &Cluster, cycle: u32) -> usize {
    let leader = cluster.council_leader().await;
    match (cycle % 3, leader) {
        (0, Some(leader)) => leader,
        (_, Some(leader)) => (leader + 1 + (cycle as usize / 3) % 2) % 3,
        (_, None) => cycle as usize % 3,
    }
}

async fn kill_cycles(cycles: u32) {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup::default()).await;
    let grid = cluster.grid().await;
    // Every partition is known to the client, and every map exists, before the first fault.
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut figures = Figures::default();
    for cycle in 0..cycles {
        let victim = victim(&cluster, cycle).await;
        let was_leader = cluster.council_leader().await == Some(victim);
        let (before, _, _) = load.oracle.latency();
        // One fault at a time is promised: a backup that lagged meanwhile must be back first.
        cluster.until_whole().await;
        cluster.kill(victim);
        let since = Instant::now();
        let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (_, slowest, _) = load.oracle.latency();
        cluster.run(victim);
        let whole = cluster.until_whole().await;
        let losses = cluster.losses().await;
        say(&format!(
            "cycle {cycle}: {}{} killed; writable after {worst:?}, slowest operation {slowest:?}, whole {whole:?} after its start; {losses} declared losses; p99 before {before:?}, load average {}",
            cluster.name(victim),
            if was_leader { " (leader)" } else { "" },
            load_average()
        ));
    }
    say(&format!("kill -9: {figures}"));
    let outcomes = load.judge(&grid).await;
    assert!(outcomes.operations > 0 && outcomes.unique > 0 && outcomes.increments > 0);
    assert_eq!(figures.failed(), 0, "every partition became writable");
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
    let bound = Duration::from_millis(from_environment("ISOGRID_TEST_WRITABLE_MS", 3_000).into());
    assert!(figures.p99() <= bound, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_lose_nothing() {
    kill_cycles(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn killed_nodes_lose_nothing_for_long() {
    kill_cycles(from_environment("ISOGRID_TEST_CYCLES", 30)).await;
}

/// Reads a counter through one node only, whatever it owns; what it answers must be as new as what was known when it was
/// asked.
async fn watch_staleness(endpoint: String, oracle: std::sync::Arc<load::Oracle>) -> u64 {
    let build = || {
        let endpoint = endpoint.clone();
        Grid::builder()
            .seeds([endpoint])
            .gateway(true)
            .connections_max(1)
            .request_timeout(Duration::from_secs(20))
            .build()
    };
    let grid = build().await.expect("it runs");
    let maps = load::Maps::of(&grid);
    let mut reads = tokio::task::JoinSet::new();
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(14) {
        number += 1;
        let (maps, oracle) = (maps.clone(), std::sync::Arc::clone(&oracle));
        reads.spawn(async move {
            let floor = oracle.floor(number);
            let name = load::counter_name(number);
            match maps.counters.get(name.as_str()).await {
                Ok(value) if value.unwrap_or(0) < floor => {
                    oracle.wrong(format!("stale: {name} was {floor} and is read as {value:?}"));
                    0
                }
                Ok(_) => 1,
                Err(_) => 0,
            }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reads.join_all().await.into_iter().sum()
}

async fn pause_cycles(cycles: u32) {
    let _one = ONE.lock().await;
    let cluster = Cluster::start(Setup::default()).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    let mut figures = Figures::default();
    for cycle in 0..cycles {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let victim = victim(&cluster, cycle).await;
        let reading =
            watch_staleness(cluster.endpoint(victim), std::sync::Arc::clone(&load.oracle));
        let reading = tokio::spawn(reading);
        tokio::time::sleep(Duration::from_millis(500)).await;
        load.oracle.latency();
        cluster.pause(victim);
        let since = Instant::now();
        let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
        let rest = Duration::from_secs(10).saturating_sub(since.elapsed());
        tokio::time::sleep(rest).await;
        cluster.resume(victim);
        let reads = reading.await.expect("it does not panic");
        let (_, slowest, _) = load.oracle.latency();
        let whole = cluster.until_whole().await;
        say(&format!(
            "cycle {cycle}: {} paused for 10 s; writable after {worst:?}, slowest operation {slowest:?}, {reads} reads through it answered; whole {whole:?} later; load average {}",
            cluster.name(victim),
            load_average()
        ));
    }
    say(&format!("SIGSTOP: {figures}"));
    let outcomes = load.judge(&grid).await;
    assert_eq!(figures.failed(), 0, "every partition became writable");
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
    let bound = Duration::from_millis(from_environment("ISOGRID_TEST_PAUSED_MS", 4_000).into());
    assert!(figures.p99() <= bound, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_is_passed_over_and_never_answers_stale() {
    pause_cycles(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn a_paused_node_is_passed_over_for_long() {
    pause_cycles(from_environment("ISOGRID_TEST_CYCLES", 10)).await;
}

async fn rolling_restarts(rounds: u32) {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup { on_disk: true, ..Setup::default() }).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, _, _) = load.oracle.latency();
    // A few milliseconds are noise where other programs run as well.
    let bound = (before * 3)
        .max(Duration::from_millis(from_environment("ISOGRID_TEST_P99_MS", 250).into()));
    for round in 0..rounds {
        for node in 0..3 {
            let stopping = cluster.stop(node).await;
            let (p99, slowest, operations) = load.oracle.latency();
            assert!(p99 <= bound, "{p99:?} while {} ends, {before:?} before", cluster.name(node));
            cluster.run(node);
            let whole = cluster.until_whole().await;
            let (after, slowest_after, _) = load.oracle.latency();
            assert!(
                after <= bound,
                "{after:?} when {} is back, {before:?} before",
                cluster.name(node)
            );
            say(&format!(
                "round {round}: {} stopped in {stopping:?}: p99 {p99:?} slowest {slowest:?} of {operations} operations (before {before:?}); back and whole after {whole:?}: p99 {after:?} slowest {slowest_after:?}; load average {}",
                cluster.name(node),
                load_average()
            ));
        }
    }
    let outcomes = load.judge(&grid).await;
    assert_eq!(outcomes.failed, 0, "{:#?}", outcomes.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    rolling_restarts(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn rolling_restarts_fail_no_request_for_long() {
    rolling_restarts(from_environment("ISOGRID_TEST_CYCLES", 5)).await;
}

/// At most a tenth more copies were made than had to be.
fn few_copies(before: &Topology, after: &Topology) -> String {
    let (made, least) = after.copied_since(before);
    assert!(made * 10 <= least * 11, "{made} copies were made where {least} were enough");
    format!("{made} copies made, {least} at least")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_five_three_nodes_fail_no_request() {
    let _one = ONE.lock().await;
    let setup = Setup { spare: 2, on_disk: true, ..Setup::default() };
    let mut cluster = Cluster::start(setup).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let settled = |topology: &Topology, nodes: &BTreeMap<String, u64>| {
        topology.is_whole(nodes) && topology.is_even(nodes)
    };
    let (before, _, _) = load.oracle.latency();
    let three = cluster.topology().await.expect("it is whole");
    cluster.run(3);
    cluster.run(4);
    let grown = cluster.until("even over five nodes", settled).await;
    cluster.until_voters(5).await;
    let (p99, slowest, operations) = load.oracle.latency();
    let five = cluster.topology().await.expect("it is whole");
    let copied = few_copies(&three, &five);
    say(&format!(
        "3 -> 5 in {grown:?}: {copied}; p99 {p99:?} slowest {slowest:?} of {operations} operations (before {before:?}); load average {}",
        load_average()
    ));
    let begun = Instant::now();
    for name in ["n3", "n4"] {
        cluster.leave(name).await;
    }
    let shrunk = cluster.until("even over three nodes", settled).await;
    cluster.until_voters(3).await;
    let (p99, slowest, operations) = load.oracle.latency();
    let copied = few_copies(&five, &cluster.topology().await.expect("it is whole"));
    say(&format!(
        "5 -> 3 in {:?} ({shrunk:?} after the last has ended): {copied}; p99 {p99:?} slowest {slowest:?} of {operations} operations; load average {}",
        begun.elapsed(),
        load_average()
    ));
    let outcomes = load.judge(&grid).await;
    assert_eq!(outcomes.failed, 0, "{:#?}", outcomes.failures);
}
