//! A client that can reach one node only: it reads and writes everything through it, and rides out what happens to the others.

use std::time::{Duration, Instant};

use isogrid_client::Grid;

use crate::cluster::{Cluster, Setup};
use crate::load::{self, Load};
use crate::{ONE, load_average, probe, say};

/// The node that the client reaches.
const ENTRY: usize = 0;

/// How long everything may take to be writable again: the cluster's part, and one more look at the table on the way.
const WRITABLE_MAX: Duration = Duration::from_secs(5);

async fn through(cluster: &Cluster) -> Grid {
    let built = Grid::builder()
        .seeds([cluster.endpoint(ENTRY)])
        .gateway(true)
        .request_timeout(load::PATIENCE)
        .build();
    built.await.expect("the node runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_one_node_reaches_everything_whatever_happens_to_the_others() {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup::default()).await;
    let grid = through(&cluster).await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    load.under_way().await;
    let mut figures = probe::Figures::default();
    let (p99, ..) = load.oracle.latency();

    cluster.pause(1);
    let paused = figures.add(probe::writable(&grid, cluster.partitions(), Instant::now()).await);
    cluster.resume(1);
    cluster.until_whole().await;
    cluster.kill(2);
    let killed = figures.add(probe::writable(&grid, cluster.partitions(), Instant::now()).await);
    cluster.run(2);
    cluster.until_whole().await;

    let outcomes = load.judge(&grid).await;
    say(&format!(
        "through {}: p99 {p99:?} before; writable {paused:?} after a pause of another node, {killed:?} after its death; load average {}",
        cluster.name(ENTRY),
        load_average()
    ));
    assert!(outcomes.unique > 0 && outcomes.increments > 0);
    assert_eq!(figures.failed(), 0, "every partition became writable");
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
    assert!(paused.max(killed) <= WRITABLE_MAX, "{figures}");
}
