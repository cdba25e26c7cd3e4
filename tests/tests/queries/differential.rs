//! Every statement gives the same in a cluster of three nodes and in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use isogrid_client::Grid;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Setup};
use crate::data::Data;
use crate::sqlite::Sqlite;
use crate::statement::Statement;
use crate::{ONE, asked, from_environment, generated, orders, say, written};

/// How many statements are under way at once.
const AT_ONCE: usize = 8;
/// How many faults are told.
const TOLD_MAX: usize = 10;
/// The least statements that are written by hand.
const WRITTEN_MIN: usize = 60;

/// Both sides, with the same data.
pub(crate) struct Sides {
    pub(crate) cluster: Cluster,
    pub(crate) sqlite: Sqlite,
    pub(crate) data: Data,
}

impl Sides {
    /// Starts the cluster and gives both the data.
    pub(crate) async fn start(setup: Setup) -> Sides {
        let begun = Instant::now();
        let cluster = Cluster::start(setup).await;
        let started = begun.elapsed();
        let data = Data::of_orders(orders());
        let grid = cluster.grid().await;
        asked::load(&grid, &data).await;
        let loaded = begun.elapsed();
        let sqlite = Sqlite::load(&data, cluster.partitions()).expect("it takes the data");
        say(&format!(
            "{} orders of {} customers and {} products: cluster {started:?}, its data {:?}, SQLite {:?}",
            data.orders.len(),
            data.customers.len(),
            data.products.len(),
            loaded - started,
            begun.elapsed() - loaded
        ));
        Sides { cluster, sqlite, data }
    }

    /// A client of one node alone, which answers its statements.
    pub(crate) async fn client_of(&self, node: usize) -> Grid {
        let built = Grid::builder().seeds([self.cluster.endpoint(node)]).gateway(true).build();
        built.await.expect("the node runs")
    }

    async fn clients(&self) -> Vec<Grid> {
        vec![self.client_of(0).await, self.client_of(1).await, self.client_of(2).await]
    }
}

/// What is wrong with a statement's answer, in words that are enough to look at it again; nothing when it is right.
async fn fault(grid: &Grid, sqlite: &Sqlite, statement: &Statement) -> Option<String> {
    let expected = sqlite.ask(statement).await;
    let found = asked::ask(grid, statement).await;
    let why = match (expected, found) {
        (Ok(expected), Ok(found)) => expected.difference(&found, statement.comparison)?,
        (Err(error), _) => error,
        (_, Err(error)) => format!("the cluster: {error}"),
    };
    Some(format!("{}: {}\n  {why}", statement.name, statement.text))
}

/// Asks all of them, some at once, each at one of the nodes; tells what is wrong.
async fn faults(
    sides: &Sides,
    count: u64,
    statement: impl Fn(u64) -> Statement + Send + Sync + 'static,
) -> Vec<String> {
    let (next, statement) = (Arc::new(AtomicU64::new(0)), Arc::new(statement));
    let clients = sides.clients().await;
    let mut askers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, statement) = (Arc::clone(&next), Arc::clone(&statement));
        let (clients, sqlite) = (clients.clone(), sides.sqlite.clone());
        askers.spawn(async move {
            let mut faults = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count || faults.len() >= TOLD_MAX {
                    return faults;
                }
                let grid = &clients[number as usize % clients.len()];
                faults.extend(fault(grid, &sqlite, &statement(number)).await);
            }
        });
    }
    askers.join_all().await.concat()
}

fn none(faults: &[String]) {
    let told = faults.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} statements:\n{told}", faults.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_give_what_they_give_in_sqlite() {
    let _one = ONE.lock().await;
    let sides = Sides::start(Setup::default()).await;
    let begun = Instant::now();
    let written = written::all(&sides.data);
    let count = written.len();
    assert!(count >= WRITTEN_MIN, "{count} statements");
    none(&faults(&sides, count as u64, move |number| written[number as usize].clone()).await);
    say(&format!("{count} statements that were written by hand: {:?}", begun.elapsed()));

    let begun = Instant::now();
    let seed = u64::from(from_environment("ISOGRID_QUERY_SEED", 1));
    let count = u64::from(from_environment("ISOGRID_QUERY_RANDOM", 300));
    none(&faults(&sides, count, move |number| generated::statement(seed + number)).await);
    say(&format!("{count} statements by chance, from seed {seed} on: {:?}", begun.elapsed()));
}
