//! Routing: while nothing moves no operation goes to the wrong node, and what has moved is found with one redirect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use isogrid_client::{Grid, Map};
use isogrid_core::{NodeId, PartitionCount, PartitionId, Table, TableDelta};
use isogrid_proto::pb;
use pb::grid_client::GridClient;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cluster::{Cluster, Setup};
use crate::{ONE, probe, say};

const CLIENTS: usize = 4;
/// Callers of each client at once while nothing moves.
const CALLERS: usize = 24;
/// Operations of each caller: together more than the 100,000 that are promised.
const OPERATIONS: usize = 1_100;
/// How long the watcher of the table may take to hear what the clients have heard.
const NEWS_MAX: Duration = Duration::from_secs(5);

/// Follows the table and knows every primary that each partition had, in order.
struct Moves {
    known: watch::Receiver<Known>,
    follower: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Known {
    version: u64,
    primaries: BTreeMap<PartitionId, Vec<NodeId>>,
}

impl Known {
    fn of(&mut self, table: &Table) {
        self.version = table.version().0;
        for (partition, entry) in table.iter() {
            let Some(primary) = &entry.primary else { continue };
            let before = self.primaries.entry(partition).or_default();
            if before.last() != Some(primary) {
                before.push(primary.clone());
            }
        }
    }

    /// How often a primary moved to another node.
    fn moves(&self) -> usize {
        self.primaries.values().map(|primaries| primaries.len() - 1).sum()
    }

    fn moves_of_one_max(&self) -> usize {
        self.primaries.values().map(|primaries| primaries.len() - 1).max().unwrap_or(0)
    }
}

impl Moves {
    async fn follow(endpoint: &str) -> Moves {
        let client = GridClient::connect(format!("http://{endpoint}")).await;
        let mut client = client.expect("it runs");
        let updates = client.topology(pb::TopologyRequest::default()).await;
        let mut updates = updates.expect("it tells").into_inner();
        let (sender, mut known) = watch::channel(Known::default());
        let follower = tokio::spawn(async move {
            let mut table: Option<Table> = None;
            while let Ok(Some(update)) = updates.message().await {
                if update.table.is_empty() {
                    continue;
                }
                let delta: TableDelta = rmp_serde::from_slice(&update.table).expect("a delta");
                let base = table.take().unwrap_or_else(|| {
                    Table::unassigned(PartitionCount::new(delta.partitions).expect("a power of 2"))
                });
                let next = base.apply(&delta).expect("the stream leaves nothing out");
                sender.send_modify(|known| known.of(&next));
                table = Some(next);
            }
        });
        known.wait_for(|known| known.version > 0).await.expect("it tells");
        Moves { known, follower }
    }

    fn now(&self) -> Known {
        self.known.borrow().clone()
    }

    async fn until_version(&mut self, version: u64) -> Known {
        let heard = self.known.wait_for(|known| known.version >= version);
        let heard = tokio::time::timeout(NEWS_MAX, heard).await.expect("news arrive");
        heard.expect("it tells").clone()
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

fn misses(grids: &[Grid]) -> u64 {
    grids.iter().map(|grid| grid.stats().routing_misses).sum()
}

/// Reads and writes keys of all partitions through all clients; tells how many operations there were.
async fn steady(grids: &[Grid], keys: &Arc<Vec<String>>) -> usize {
    let mut callers = JoinSet::new();
    for caller in 0..grids.len() * CALLERS {
        let map: Map<String, u64> = grids[caller % grids.len()].map("hops");
        let keys = Arc::clone(keys);
        callers.spawn(async move {
            for number in 0..OPERATIONS {
                let key = keys[(caller * 31 + number) % keys.len()].as_str();
                if number % 4 == 0 {
                    map.put(key, &(number as u64)).await.map(|_| ()).expect("a put");
                } else {
                    map.get(key).await.map(|_| ()).expect("a read");
                }
            }
            OPERATIONS
        });
    }
    callers.join_all().await.into_iter().sum()
}

/// What one client with one operation at a time went through.
#[derive(Debug, Default)]
struct Walk {
    operations: u64,
    misses: u64,
    /// The most redirects of one operation.
    worst: u64,
    slowest: Duration,
}

/// One operation at a time, over all partitions again and again, until told to stop.
async fn walk(grid: Grid, keys: Arc<Vec<String>>, stop: Arc<AtomicBool>) -> Walk {
    let map: Map<String, u64> = grid.map("hops");
    let mut walk = Walk::default();
    let first = grid.stats().routing_misses;
    while !stop.load(Ordering::SeqCst) {
        for key in keys.iter() {
            let (before, begun) = (grid.stats().routing_misses, Instant::now());
            map.put(key.as_str(), &walk.operations).await.map(|_| ()).expect("a put");
            walk.operations += 1;
            walk.slowest = walk.slowest.max(begun.elapsed());
            walk.worst = walk.worst.max(grid.stats().routing_misses - before);
        }
    }
    walk.misses = grid.stats().routing_misses - first;
    walk
}

/// A client that stands still while partitions move: its whole runtime is one thread, and that one waits.
///
/// What it sends when it goes on was routed by the old table, before it could hear anything.
struct Sleeper {
    wake: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<[u64; 2]>,
}

impl Sleeper {
    /// Connects, calls every partition once, and sleeps.
    async fn start(endpoints: Vec<String>, keys: Arc<Vec<String>>) -> Sleeper {
        let (wake, woken) = mpsc::channel();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let grid = Grid::builder().seeds(endpoints).build().await.expect("it runs");
                round(&grid, &keys).await;
                let first = grid.stats().routing_misses;
                ready.send(()).expect("the test waits");
                woken.recv().expect("the test wakes it");
                let misses = [round(&grid, &keys).await, round(&grid, &keys).await];
                assert_eq!(first, 0, "nothing had moved");
                misses
            })
        });
        is_ready.await.expect("it connects");
        Sleeper { wake, thread }
    }

    /// The misses of one operation on each partition at once, and of another one after that.
    async fn wake(self) -> [u64; 2] {
        self.wake.send(()).expect("it waits");
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        joined.await.expect("it runs").expect("it does not panic")
    }
}

/// One operation on each partition, all at once; tells how many went to the wrong node.
async fn round(grid: &Grid, keys: &[String]) -> u64 {
    let map: Map<String, u64> = grid.map("hops");
    let before = grid.stats().routing_misses;
    let puts = keys.iter().map(|key| async { map.put(key.as_str(), &1).await.map(|_| ()) });
    let mut puts: Vec<_> = puts.map(Box::pin).collect();
    // Each is polled once before any reply can be read: all are on their way.
    let all = std::future::poll_fn(|cx| {
        puts.retain_mut(|put| match put.as_mut().poll(cx) {
            std::task::Poll::Ready(done) => {
                done.expect("a put");
                false
            }
            std::task::Poll::Pending => true,
        });
        if puts.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    all.await;
    grid.stats().routing_misses - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_miss_nothing_while_nothing_moves_and_find_what_moved_in_one_hop() {
    let _one = ONE.lock().await;
    let cluster = Cluster::start(Setup::default()).await;
    let mut moves = Moves::follow(&cluster.endpoint(0)).await;
    let keys = Arc::new(probe::keys(cluster.partitions()));
    let mut grids = Vec::new();
    for _ in 0..CLIENTS {
        grids.push(cluster.grid().await);
    }
    let begun = Instant::now();
    let operations = steady(&grids, &keys).await;
    say(&format!(
        "steady: {operations} operations of {CLIENTS} clients in {:?}, {} misses, {} moves",
        begun.elapsed(),
        misses(&grids),
        moves.now().moves()
    ));
    assert!(operations >= 100_000);
    assert_eq!(moves.now().moves(), 0, "nothing fails here: no partition may move");
    assert_eq!(misses(&grids), 0);

    let sleeper = Sleeper::start(cluster.endpoints(), Arc::clone(&keys)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let walks = grids.iter().map(|g| walk(g.clone(), Arc::clone(&keys), Arc::clone(&stop)));
    let walks: JoinSet<Walk> = walks.collect();
    let begun = Instant::now();
    cluster.drain("n2").await;
    let drained = begun.elapsed();
    // All walk over every partition once more, at least.
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::SeqCst);
    let walks = walks.join_all().await;
    let newest = grids.iter().map(|grid| grid.stats().table_version).max().unwrap_or(0);
    let known = moves.until_version(newest).await;
    let slept = sleeper.wake().await;
    say(&format!(
        "drained in {drained:?}: {} moves, at most {} of one partition; {walks:?}; the sleeper {slept:?}",
        known.moves(),
        known.moves_of_one_max()
    ));
    assert!(known.moves() >= usize::from(cluster.partitions()) / 4, "the node led a third");
    for walk in &walks {
        assert!(walk.misses <= known.moves() as u64, "one operation at a time: {walk:?}");
        assert!(walk.worst <= 1, "a redirect leads to the owner: {walk:?}");
    }
    let moved = known.primaries.values().filter(|primaries| primaries.len() > 1).count() as u64;
    assert!(slept[0] > 0 && slept[0] <= moved, "one redirect each: {slept:?} of {moved}");
    assert_eq!(slept[1], 0, "and the next operation goes the right way");
}
