//! Every statement gives the same in a cluster of three nodes and in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use isogrid_client::{ErrorCode, Grid};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Setup};
use crate::data::Data;
use crate::sqlite::Sqlite;
use crate::statement::Statement;
use crate::{BY_CHANCE, ONE, ORDERS, asked, from_environment, generated, orders, say, written};

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

/// What a statement came to.
enum Verdict {
    Right,
    /// In words that are enough to look at it again.
    Wrong(String),
    /// It met a limit of time or memory, and has no answer.
    Refused(String),
}

async fn judge(grid: &Grid, sqlite: &Sqlite, statement: &Statement) -> Verdict {
    let expected = sqlite.ask(statement).await;
    let found = asked::ask(grid, statement).await;
    let told = |why: String| format!("{}: {}\n  {why}", statement.name, statement.text);
    match (expected, found) {
        (Ok(expected), Ok(found)) => match expected.difference(&found, statement.comparison) {
            None => Verdict::Right,
            Some(why) => Verdict::Wrong(told(why)),
        },
        (Err(error), _) => Verdict::Wrong(told(error)),
        (_, Err(error)) => match error.code() {
            ErrorCode::QueryTooLong | ErrorCode::QueryTooLarge => {
                Verdict::Refused(told(error.to_string()))
            }
            _ => Verdict::Wrong(told(format!("the cluster: {error}"))),
        },
    }
}

/// What came of all statements.
#[derive(Default)]
struct Verdicts {
    wrong: Vec<String>,
    /// Those that have no answer, and why.
    refused: Vec<(u64, String)>,
}

/// Asks all of them, some at once, each at one of the nodes; then those that met a limit again, each alone.
async fn ask_all(
    sides: &Sides,
    count: u64,
    statement: impl Fn(u64) -> Statement + Send + Sync + 'static,
) -> Verdicts {
    let (next, statement) = (Arc::new(AtomicU64::new(0)), Arc::new(statement));
    let clients = sides.clients().await;
    let mut askers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, statement) = (Arc::clone(&next), Arc::clone(&statement));
        let (clients, sqlite) = (clients.clone(), sides.sqlite.clone());
        askers.spawn(async move {
            let mut verdicts = Verdicts::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count || verdicts.wrong.len() >= TOLD_MAX {
                    return verdicts;
                }
                let grid = &clients[number as usize % clients.len()];
                match judge(grid, &sqlite, &statement(number)).await {
                    Verdict::Right => {}
                    Verdict::Wrong(why) => verdicts.wrong.push(why),
                    Verdict::Refused(why) => verdicts.refused.push((number, why)),
                }
            }
        });
    }
    let mut all = Verdicts::default();
    for verdicts in askers.join_all().await {
        all.wrong.extend(verdicts.wrong);
        for (number, _) in verdicts.refused {
            match judge(&clients[0], &sides.sqlite, &statement(number)).await {
                Verdict::Right => {}
                Verdict::Wrong(why) => all.wrong.push(why),
                Verdict::Refused(why) => all.refused.push((number, why)),
            }
        }
    }
    all
}

/// Every answer is right, and every statement has one if there are no more orders than usual.
fn assert_right(count: u64, verdicts: Verdicts) {
    let Verdicts { mut wrong, refused } = verdicts;
    let refused: Vec<String> = refused.into_iter().map(|(_, why)| why).collect();
    say(&format!(
        "{} of {count} right, {} refused",
        count as usize - wrong.len() - refused.len(),
        refused.len()
    ));
    refused.iter().for_each(|why| say(&format!("refused: {why}")));
    if orders() <= ORDERS {
        wrong.extend(refused);
    }
    let told = wrong.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} statements:\n{told}", wrong.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_give_what_they_give_in_sqlite() {
    let _one = ONE.lock().await;
    let sides = Sides::start(Setup::default()).await;
    let begun = Instant::now();
    let written = written::all(&sides.data);
    let count = written.len();
    assert!(count >= WRITTEN_MIN, "{count} statements");
    let verdicts =
        ask_all(&sides, count as u64, move |number| written[number as usize].clone()).await;
    assert_right(count as u64, verdicts);
    say(&format!("{count} statements that were written by hand: {:?}", begun.elapsed()));

    let begun = Instant::now();
    let seed = u64::from(from_environment("ISOGRID_QUERY_SEED", 1));
    let count = u64::from(from_environment("ISOGRID_QUERY_RANDOM", BY_CHANCE));
    let verdicts = ask_all(&sides, count, move |number| generated::statement(seed + number)).await;
    assert_right(count, verdicts);
    say(&format!("{count} statements by chance, from seed {seed} on: {:?}", begun.elapsed()));
}
