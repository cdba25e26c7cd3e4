//! Real processes, real faults, and an oracle: what was acknowledged is there, once, whatever happens.
//!
//! docs/reliability.md says how to run the long versions and what was measured.

mod cluster;
mod load;
mod probe;

use std::io::Write;
use std::time::{Duration, Instant};

use cluster::{Cluster, Setup};
use load::Load;
use probe::Figures;

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
        cluster.kill(victim);
        let since = Instant::now();
        let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (_, slowest, _) = load.oracle.latency();
        cluster.run(victim);
        let whole = cluster.until_whole().await;
        say(&format!(
            "cycle {cycle}: {}{} killed; writable after {worst:?}, slowest operation {slowest:?}, whole {whole:?} after its start; p99 before {before:?}, load average {}",
            cluster.name(victim),
            if was_leader { " (leader)" } else { "" },
            load_average()
        ));
    }
    say(&format!("kill -9: {figures}"));
    let outcomes = load.judge(&grid).await;
    assert_eq!(figures.failed(), 0, "every partition became writable");
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
    let bound = Duration::from_millis(from_environment("ISOGRID_TEST_WRITABLE_MS", 5_000).into());
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
