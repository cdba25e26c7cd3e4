//! [`Keeper`]: a task that has one node as a child, does with it what it is told, and says how it is.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::commands::start::RunningNode;
use crate::exit::Exit;

use super::blueprint;
use super::child::{Child, Happened, LogTo};
use super::signal::Signal;

/// How many lines of a node's log are kept for the view.
const LOG_LINES_MAX: usize = 200;

/// How many orders may wait: a person gives them.
const ORDERS_MAX: usize = 16;

/// Makes the arguments of a node.
pub(super) type Arguments = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// What a node is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// End at once, as in a crash.
    Kill,
    /// Stop gracefully if it runs, then start.
    Restart,
    /// Stand still, or go on.
    PauseOrContinue,
    /// Lose everything between it and the other nodes, or nothing any more.
    CutOffOrConnect,
    /// Stop gracefully, for good.
    Stop,
}

/// How a node's process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It starts.
    Starting,
    /// Clients can connect.
    Running(RunningNode),
    /// It was told to stand still.
    Paused(RunningNode),
    /// It was cut off from the other nodes.
    CutOff(RunningNode),
    /// It was told to stop and has not ended yet.
    Stopping,
    /// It has ended.
    Ended {
        /// In words.
        how: String,
        /// What this process would exit with for it.
        exit: Exit,
        /// Whether it was told to.
        was_told: bool,
    },
}

impl Phase {
    /// The node, if it has a process that clients could connect to.
    pub(super) fn node(&self) -> Option<&RunningNode> {
        match self {
            Phase::Running(node) | Phase::Paused(node) | Phase::CutOff(node) => Some(node),
            Phase::Starting | Phase::Stopping | Phase::Ended { .. } => None,
        }
    }

    /// In one word.
    pub(super) fn word(&self) -> &str {
        match self {
            Phase::Starting => "starting",
            Phase::Running(_) => "running",
            Phase::Paused(_) => "paused",
            Phase::CutOff(_) => "cut off",
            Phase::Stopping => "stopping",
            Phase::Ended { how, .. } => how,
        }
    }
}

/// A node's phase became another one. Each is told, however quickly the next one follows.
pub(super) struct Change {
    /// The node's number.
    pub(super) index: u16,
    /// What it became.
    pub(super) phase: Phase,
}

/// A task that has one node as a child. Dropping it kills the node.
pub(super) struct Keeper {
    /// The node's name.
    pub(super) name: String,
    orders: mpsc::Sender<Order>,
    phase: Arc<Mutex<Phase>>,
    log: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The child is killed with the task that has it.
        self.task.abort();
    }
}

impl Keeper {
    /// Starts a node. `arguments` are those of `isogrid start`; they are asked for whenever it is started, since whom it can ask
    /// changes.
    pub(super) fn start(
        index: u16,
        arguments: Arguments,
        log_to: LogTo,
        changes: mpsc::Sender<Change>,
    ) -> io::Result<Keeper> {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let phase = Arc::new(Mutex::new(Phase::Starting));
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let child = Child::spawn(&arguments(), log_to)?;
        let kept = Kept {
            index,
            arguments,
            log_to,
            inbox,
            phase: Arc::clone(&phase),
            changes,
            log: Arc::clone(&log),
        };
        let task = tokio::spawn(kept.run(child));
        Ok(Keeper { name: blueprint::name(index), orders, phase, log, task })
    }

    /// Tells the node something. A keeper that has ended, or has too much to do, does not hear it.
    pub(super) fn order(&self, order: Order) {
        // It is a person who asks, and sees what comes of it.
        let _ = self.orders.try_send(order);
    }

    /// How the node is now.
    pub(super) fn phase(&self) -> Phase {
        self.phase.lock().clone()
    }

    /// The last lines of its log, if they are kept.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().iter().cloned().collect()
    }

    /// Waits until its last child has ended, after [`Order::Stop`].
    pub(super) async fn ended(&mut self) {
        // A task that panicked has dropped its child, which killed it.
        let _ = (&mut self.task).await;
    }
}

/// What the task has.
struct Kept {
    index: u16,
    arguments: Arguments,
    log_to: LogTo,
    inbox: mpsc::Receiver<Order>,
    phase: Arc<Mutex<Phase>>,
    changes: mpsc::Sender<Change>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// What comes after a child.
enum After {
    /// Another one, once that is asked for.
    Wait,
    /// Another one.
    Restart,
    /// Nothing.
    End,
}

impl Kept {
    /// One child after the other, until it is told to stop.
    async fn run(mut self, first: Child) {
        let mut child = Some(first);
        loop {
            let after = match child.take() {
                Some(running) => self.live(running).await,
                None => match self.inbox.recv().await {
                    None | Some(Order::Stop) => After::End,
                    Some(Order::Restart) => After::Restart,
                    Some(Order::Kill | Order::PauseOrContinue | Order::CutOffOrConnect) => {
                        After::Wait
                    }
                },
            };
            match after {
                After::End => return,
                After::Restart => child = self.again(),
                After::Wait => {}
            }
        }
    }

    /// Another child, if it can be had.
    fn again(&self) -> Option<Child> {
        match Child::spawn(&(self.arguments)(), self.log_to) {
            Ok(child) => {
                self.becomes(Phase::Starting);
                Some(child)
            }
            Err(error) => {
                self.ended(error.to_string(), Exit::Failed, false);
                None
            }
        }
    }

    fn becomes(&self, phase: Phase) {
        phase.clone_into(&mut self.phase.lock());
        // Nobody listens any more when the command ends, and who lets that many gather sees how it is all the same.
        let _ = self.changes.try_send(Change { index: self.index, phase });
    }

    fn ended(&self, how: String, exit: Exit, was_told: bool) {
        self.becomes(Phase::Ended { how, exit, was_told });
    }

    /// The life of one child.
    async fn live(&mut self, mut child: Child) -> After {
        if let Some(lines) = child.log.take() {
            tokio::spawn(keep_log(lines, Arc::clone(&self.log)));
        }
        let mut was_told = false;
        loop {
            let is_starting = matches!(*self.phase.lock(), Phase::Starting);
            let order = tokio::select! {
                happened = child.next(is_starting) => match happened {
                    Happened::Ready(node) => {
                        self.becomes(Phase::Running(node));
                        continue;
                    }
                    Happened::Ended(status) => {
                        let (how, exit) = in_words(status);
                        self.ended(how, exit, was_told);
                        return After::Wait;
                    }
                },
                order = self.inbox.recv() => order,
            };
            match order {
                Some(Order::Kill) => {
                    was_told = true;
                    // It may have ended this very moment.
                    let _ = child.kill();
                }
                Some(Order::PauseOrContinue) => self.pause_or_continue(&child),
                Some(Order::CutOffOrConnect) => self.cut_off_or_connect(&mut child).await,
                Some(Order::Restart) => {
                    self.stop(&mut child).await;
                    return After::Restart;
                }
                None | Some(Order::Stop) => {
                    self.stop(&mut child).await;
                    return After::End;
                }
            }
        }
    }

    fn pause_or_continue(&self, child: &Child) {
        let next = match &*self.phase.lock() {
            Phase::Running(node) => Some((Signal::Pause, Phase::Paused(node.clone()))),
            Phase::Paused(node) => Some((Signal::Continue, Phase::Running(node.clone()))),
            _ => None,
        };
        if let Some((signal, phase)) = next
            && child.signal(signal).is_ok()
        {
            self.becomes(phase);
        }
    }

    async fn cut_off_or_connect(&self, child: &mut Child) {
        let (is_cut, next) = match &*self.phase.lock() {
            Phase::Running(node) => (true, Phase::CutOff(node.clone())),
            Phase::CutOff(node) => (false, Phase::Running(node.clone())),
            _ => return,
        };
        if child.cut_off(is_cut).await.is_ok() {
            self.becomes(next);
        }
    }

    async fn stop(&self, child: &mut Child) {
        if matches!(*self.phase.lock(), Phase::CutOff(_)) {
            // It hands over to the others, if it can reach them.
            let _ = child.cut_off(false).await;
        }
        if matches!(*self.phase.lock(), Phase::Paused(_)) {
            // Otherwise it would not see that it is to stop. If it has ended, that is what was wanted.
            let _ = child.signal(Signal::Continue);
        }
        self.becomes(Phase::Stopping);
        let (how, exit) = in_words(child.stop().await);
        self.ended(how, exit, true);
    }
}

/// How a process ended, and what this process would exit with for it.
fn in_words(status: io::Result<ExitStatus>) -> (String, Exit) {
    let status = match status {
        Ok(status) => status,
        Err(error) => return (error.to_string(), Exit::Failed),
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => ("stopped".into(), Exit::Failed),
        (Some(code), _) if code == Exit::Usage as i32 => (format!("exit {code}"), Exit::Usage),
        (Some(code), _) => (format!("exit {code}"), Exit::Failed),
        (None, Some(libc::SIGKILL)) => ("killed".into(), Exit::Failed),
        (None, signal) => (format!("signal {}", signal.unwrap_or(0)), Exit::Failed),
    }
}

async fn keep_log(
    mut lines: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStderr>>,
    log: Arc<Mutex<VecDeque<String>>>,
) {
    // A log that cannot be read any more is one that has ended.
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock();
        if log.len() == LOG_LINES_MAX {
            log.pop_front();
        }
        log.push_back(line);
    }
}
