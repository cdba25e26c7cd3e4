//! Nodes that keep their data on disk: all of them are killed at once and come back, in any order, also without one of them.

use std::time::Instant;

use crate::cluster::{Cluster, Setup};
use crate::load::Load;
use crate::{ONE, from_environment, load_average, probe, say};

async fn kill_all_cycles(cycles: u32) {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup { on_disk: true, ..Setup::default() }).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    load.under_way().await;
    let mut figures = probe::Figures::default();
    for cycle in 0..cycles {
        cluster.until_whole().await;
        let order = [0, 1, 2].map(|node| (node + cycle as usize) % 3);
        for node in order {
            cluster.kill(node);
        }
        // The last one killed is sometimes the first to come back, and in each second cycle one stays away at first.
        let is_one_missing = cycle % 2 == 1;
        let back = if cycle % 3 == 0 { [order[2], order[0], order[1]] } else { order };
        let since = Instant::now();
        for node in &back[..2] {
            cluster.run(*node);
        }
        if !is_one_missing {
            cluster.run(back[2]);
        }
        let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
        if is_one_missing {
            cluster.run(back[2]);
        }
        let whole = cluster.until_whole().await;
        let losses = cluster.losses().await;
        say(&format!(
            "cycle {cycle}: all killed, back as {back:?}{}; writable after {worst:?}, whole {whole:?} later; {losses} declared losses; load average {}",
            if is_one_missing { ", the last one later" } else { "" },
            load_average()
        ));
        assert_eq!(losses, 0, "everything is on disk");
    }
    say(&format!("all killed: {figures}"));
    let outcomes = load.judge(&grid).await;
    assert!(outcomes.unique > 0 && outcomes.increments > 0);
    assert_eq!(figures.failed(), 0, "every partition became writable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_killed_together_lose_nothing() {
    kill_all_cycles(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn nodes_killed_together_lose_nothing_for_long() {
    kill_all_cycles(from_environment("ISOGRID_TEST_CYCLES", 30)).await;
}
