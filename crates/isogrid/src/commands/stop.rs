//! When to stop: SIGTERM, SIGINT, or the end of standard input.

use std::io::{self, Read};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// What tells a process to stop.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    stdin_end: Option<oneshot::Receiver<()>>,
}

impl StopSignals {
    /// Listens from now on. Must be called inside a runtime.
    pub(crate) fn listen(with_stdin: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin_end: with_stdin.then(stdin_end).transpose()?,
        })
    }

    /// Waits for whatever comes first, and says what it was.
    pub(crate) async fn next(&mut self) -> &'static str {
        let Some(stdin_end) = self.stdin_end.as_mut() else { return self.next_signal().await };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = stdin_end => "end of standard input",
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

/// Resolves when standard input ends. A thread of its own reads it: the runtime's would have to be waited for at the end.
fn stdin_end() -> io::Result<oneshot::Receiver<()>> {
    let (ended, when_ended) = oneshot::channel();
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut ignored = [0; 256];
        while io::stdin().read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
        // The process may be stopping for another reason already.
        let _ = ended.send(());
    })?;
    Ok(when_ended)
}
