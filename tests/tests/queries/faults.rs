//! The statements that were written by hand, again and again, while a node is killed and comes back and partitions move to another
//! one and from it: each answer is right, or the statement may be asked again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isogrid_client::{Error, ErrorCode, Grid};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::cluster::Setup;
use crate::differential::Sides;
use crate::statement::Statement;
use crate::topology::Topology;
use crate::{ONE, asked, say, written};

/// How many right answers there must be while something is under way.
const ANSWERS_MIN: u64 = 30;
/// How long that may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// How long a statement may fail when all is well again.
const WELL_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The node that is killed, and the one that comes and goes.
const KILLED: usize = 2;
const SPARE: usize = 3;

/// What happens, one after the other.
const PHASES: [&str; 5] = ["nothing", "a node dies", "it comes back", "one joins", "one leaves"];

/// What came of the statements of a phase.
#[derive(Debug, Default)]
struct Outcomes {
    answered: u64,
    /// How many failed, by what they failed with.
    failed: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

/// What the askers share.
struct Asked {
    /// The statements, and what SQLite answers.
    statements: Vec<(Statement, Answer)>,
    phase: AtomicUsize,
    stopping: AtomicBool,
    outcomes: [Mutex<Outcomes>; PHASES.len()],
}

/// Whether a statement may be asked again as it is. One whose connection breaks may always, as it changes nothing, and one that took
/// too long too, as it waited for partitions that nobody led.
fn may_be_asked_again(error: &Error) -> bool {
    error.is_retryable()
        || matches!(error.code(), ErrorCode::ConnectionLost | ErrorCode::QueryTooLong)
}

impl Asked {
    fn answered(&self, phase: usize) -> u64 {
        self.outcomes[phase].lock().answered
    }

    /// Begins the next phase.
    fn next_phase(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many statements were answered in this phase.
    async fn some_answers(&self) {
        let (begun, phase) = (Instant::now(), self.phase.load(Ordering::SeqCst));
        while self.answered(phase) < ANSWERS_MIN {
            let outcomes = &self.outcomes[phase];
            let is_late = begun.elapsed() > ANSWERS_WITHIN;
            assert!(!is_late, "while {}: {:?}", PHASES[phase], outcomes.lock());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks until it is told to stop, beginning with one of the statements.
    async fn ask(self: Arc<Self>, grid: Grid, first: usize) {
        for (statement, expected) in self.statements.iter().cycle().skip(first) {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let phase = self.phase.load(Ordering::SeqCst);
            let found = asked::ask(&grid, statement).await;
            let is_refused = found.is_err();
            self.judge(phase, statement, expected, found);
            if is_refused {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    fn judge(
        &self,
        phase: usize,
        statement: &Statement,
        expected: &Answer,
        found: Result<Answer, Error>,
    ) {
        let mut outcomes = self.outcomes[phase].lock();
        match found {
            Ok(found) => match expected.difference(&found, statement.comparison) {
                None => outcomes.answered += 1,
                Some(why) => outcomes.wrong.push(format!("{}: {why}", statement.name)),
            },
            Err(error) if may_be_asked_again(&error) => {
                *outcomes.failed.entry(error.code().to_string()).or_default() += 1;
            }
            Err(error) => outcomes.wrong.push(format!("{}: {error:?}", statement.name)),
        }
    }
}

/// Every statement is answered, and rightly, each by one of the clients.
async fn all_is_well(asked: &Asked, grids: &[Grid]) {
    for ((statement, expected), grid) in asked.statements.iter().zip(grids.iter().cycle()) {
        let begun = Instant::now();
        let found = loop {
            match asked::ask(grid, statement).await {
                Ok(found) => break found,
                Err(error) => {
                    let is_late = begun.elapsed() > WELL_WITHIN;
                    assert!(!is_late, "{}: {error:?}", statement.name);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        };
        let difference = expected.difference(&found, statement.comparison);
        assert_eq!(difference, None, "{}: {}", statement.name, statement.text);
    }
}

async fn start(sides: &Sides) -> Arc<Asked> {
    let mut statements = Vec::new();
    for statement in written::all(&sides.data) {
        let expected = sides.sqlite.ask(&statement).await.expect("SQLite answers");
        statements.push((statement, expected));
    }
    Arc::new(Asked {
        statements,
        phase: AtomicUsize::new(0),
        stopping: AtomicBool::new(false),
        outcomes: Default::default(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_right_while_nodes_die_and_partitions_move() {
    let _one = ONE.lock().await;
    let mut sides = Sides::start(Setup { spare: 1, ..Setup::default() }).await;
    let asked = start(&sides).await;
    let mut askers = JoinSet::new();
    // Two nodes that live on answer, and whichever a client finds that knows of all.
    let grids = [sides.client_of(0).await, sides.client_of(1).await, sides.cluster.grid().await];
    for (number, grid) in grids.iter().enumerate() {
        let first = number * asked.statements.len() / grids.len();
        askers.spawn(Arc::clone(&asked).ask(grid.clone(), first));
    }
    let settled = |topology: &Topology, nodes: &BTreeMap<String, u64>| {
        topology.is_whole(nodes) && topology.is_even(nodes)
    };
    asked.some_answers().await;

    asked.next_phase();
    let cluster = &mut sides.cluster;
    cluster.kill(KILLED);
    asked.some_answers().await;

    asked.next_phase();
    cluster.run(KILLED);
    cluster.until("even again", settled).await;
    asked.some_answers().await;

    asked.next_phase();
    cluster.run(SPARE);
    cluster.until("even over four nodes", settled).await;
    asked.some_answers().await;

    asked.next_phase();
    let name = cluster.name(SPARE).to_owned();
    cluster.leave(&name).await;
    cluster.until("even over three nodes", settled).await;
    asked.some_answers().await;

    asked.stopping.store(true, Ordering::SeqCst);
    while let Some(ended) = askers.join_next().await {
        ended.expect("an asker does not panic");
    }
    assert_eq!(cluster.losses().await, 0, "every partition had a backup");
    let mut wrong = Vec::new();
    for (phase, outcomes) in PHASES.iter().zip(&asked.outcomes) {
        let outcomes = outcomes.lock();
        say(&format!("{phase}: {} right, failed: {:?}", outcomes.answered, outcomes.failed));
        wrong.extend(outcomes.wrong.iter().map(|why| format!("{phase}: {why}")));
    }
    assert!(wrong.is_empty(), "{} answers: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    all_is_well(&asked, &grids).await;
}
