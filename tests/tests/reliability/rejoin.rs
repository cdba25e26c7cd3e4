//! A node that comes back takes from the others what it missed, and no more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use isogrid_client::{Grid, MemberStatus};
use isogrid_core::PartitionCount;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Setup};
use crate::load::PATIENCE;
use crate::{ONE, from_environment, load_average, probe, say, victim};

/// For how long a node is away.
const AWAY: Duration = Duration::from_secs(5);

/// Who writes meanwhile, and how long each rests after a write.
const WRITERS: usize = 16;
const REST: Duration = Duration::from_millis(10);

/// So long is a value: what an entry has beside its key and value is little against it.
const VALUE_BYTES: usize = 1_000;

/// How much more than what was written a node may take, in percent.
const MORE_PERCENT_MAX: u64 = 20;

/// Writers of keys that nobody wrote before.
struct Writers {
    stopping: Arc<AtomicBool>,
    tasks: JoinSet<Vec<String>>,
}

impl Writers {
    fn start(grid: &Grid, cycle: u32) -> Writers {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let map = grid.map::<String, String>("rejoin");
            let stopping = Arc::clone(&stopping);
            tasks.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stopping.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{cycle}-{writer}-{number}");
                    let value = value_of(&key);
                    let put = map.put(&key, &value).timeout(PATIENCE);
                    put.await.map(|_| ()).unwrap_or_else(|error| panic!("{key}: {error:?}"));
                    acknowledged.push(key);
                    tokio::time::sleep(REST).await;
                }
                acknowledged
            });
        }
        Writers { stopping, tasks }
    }

    /// Ends them; tells what was acknowledged.
    async fn end(self) -> Vec<String> {
        self.stopping.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.concat()
    }
}

fn value_of(key: &str) -> String {
    format!("{key:x<VALUE_BYTES$}")
}

async fn member(grid: &Grid, name: &str) -> MemberStatus {
    let status = grid.status().await.expect("a node answers");
    let found = status.members.into_iter().find(|member| member.node_id == name);
    found.filter(|member| member.has_answered).expect("it has answered")
}

async fn rejoin_cycles(cycles: u32) {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup { on_disk: true, ..Setup::default() }).await;
    let count = PartitionCount::new(cluster.partitions()).expect("a power of two");
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let mut all = Vec::new();
    for cycle in 0..cycles {
        cluster.until_whole().await;
        let node = victim(&cluster, cycle).await;
        let name = cluster.name(node).to_owned();
        let copies = cluster.topology().await.expect("a node answers").copies;
        let held = |partition: u16| copies.contains(&(partition, name.clone()));
        let held: BTreeSet<u16> = (0..cluster.partitions()).filter(|one| held(*one)).collect();
        cluster.kill(node);
        let writers = Writers::start(&grid, cycle);
        tokio::time::sleep(AWAY).await;
        let acknowledged = writers.end().await;
        let missed = acknowledged
            .iter()
            .filter(|key| held.contains(&count.partition_of_key(key.as_bytes()).0))
            .map(|key| (key.len() + value_of(key).len()) as u64)
            .sum::<u64>();
        cluster.run(node);
        let whole = cluster.until_whole().await;
        let member = member(&grid, &name).await;
        let (log, in_copies) = (member.log_bytes_received, member.copy_bytes_received);
        say(&format!(
            "cycle {cycle}: {name} was away for {AWAY:?} and missed {missed} B in {} of {} partitions; whole {whole:?} after its start with {log} B of logs ({} %) and {in_copies} B of copies; load average {}",
            held.len(),
            cluster.partitions(),
            log * 100 / missed.max(1),
            load_average()
        ));
        all.extend(acknowledged);
        assert!(missed > 0, "something was written meanwhile");
        assert!(log >= missed, "it has all that it missed: {log} B of {missed} B");
        let most = missed * (100 + MORE_PERCENT_MAX) / 100;
        assert!(log + in_copies <= most, "{log} B and {in_copies} B for {missed} B");
        assert_eq!(cluster.losses().await, 0, "everything is on disk");
    }
    let map = grid.map::<String, String>("rejoin");
    for key in &all {
        let found = map.get(key).await.expect("the nodes are up");
        assert_eq!(found.as_deref(), Some(value_of(key).as_str()), "{key} was acknowledged");
    }
    say(&format!("{cycles} times away: all {} acknowledged values are there", all.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_returning_node_takes_what_it_missed() {
    rejoin_cycles(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn a_returning_node_takes_what_it_missed_for_long() {
    rejoin_cycles(from_environment("ISOGRID_TEST_CYCLES", 30)).await;
}
