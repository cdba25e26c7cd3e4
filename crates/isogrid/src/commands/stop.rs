//! When to stop: SIGTERM, SIGINT, or the end of standard input. Until that ends, its lines are orders to the node.

use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// The line on standard input that cuts a node off from the others, and the one that connects it again.
pub(crate) const CUT_OFF: &str = "cut-off";
pub(crate) const CONNECT: &str = "connect";

/// How many orders may wait.
const ORDERS_MAX: usize = 16;

/// What tells a process to stop.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    stdin: Option<Stdin>,
}

/// Standard input, read by a thread of its own: the runtime's would have to be waited for at the end.
struct Stdin {
    end: oneshot::Receiver<()>,
    /// Whether the node is to be cut off; taken by who carries that out.
    orders: Option<mpsc::Receiver<bool>>,
}

impl StopSignals {
    /// Listens from now on. Must be called inside a runtime.
    pub(crate) fn listen(with_stdin: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin: with_stdin.then(read_stdin).transpose()?,
        })
    }

    /// What comes over standard input: whether the node is to be cut off.
    pub(crate) fn take_orders(&mut self) -> Option<mpsc::Receiver<bool>> {
        self.stdin.as_mut()?.orders.take()
    }

    /// Waits for whatever comes first, and says what it was.
    pub(crate) async fn next(&mut self) -> &'static str {
        let Some(stdin) = self.stdin.as_mut() else { return self.next_signal().await };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = &mut stdin.end => "end of standard input",
        }
    }

    /// Waits for a signal only.
    pub(crate) async fn next_signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn read_stdin() -> io::Result<Stdin> {
    let (ended, end) = oneshot::channel();
    let (order, orders) = mpsc::channel(ORDERS_MAX);
    thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            // Nobody carries it out when the process is stopping already.
            let _ = match line.trim() {
                CUT_OFF => order.blocking_send(true),
                CONNECT => order.blocking_send(false),
                _ => Ok(()),
            };
        }
        // The process may be stopping for another reason already.
        let _ = ended.send(());
    })?;
    Ok(Stdin { end, orders: Some(orders) })
}
