//! A node as a child process. It stops when its standard input ends, so it never outlives this process; and it is alone in
//! its process group, so that Ctrl-C reaches only this one, and the system ends it even if it is paused when this one dies.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{self, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::commands::start::RunningNode;
use crate::commands::stop::{CONNECT, CUT_OFF};
use crate::output::tell;

use super::signal::{self, Signal};

/// How long a node may take to stop by itself.
const STOP_WAIT_MAX: Duration = Duration::from_secs(30);

/// Where a node's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogTo {
    /// To our standard error.
    Here,
    /// To whoever takes [`Child::log`].
    Pipe,
}

/// What happened to a child.
#[derive(Debug)]
pub(super) enum Happened {
    /// Clients can connect.
    Ready(RunningNode),
    /// It has ended.
    Ended(io::Result<ExitStatus>),
}

/// A node as a child process.
pub(super) struct Child {
    process: process::Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Its log, if that goes to a pipe.
    pub(super) log: Option<Lines<BufReader<ChildStderr>>>,
}

impl Child {
    /// Starts a node with these arguments of `isogrid start`.
    pub(super) fn spawn(arguments: &[String], log_to: LogTo) -> io::Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["start", "--output", "json", "--stop-with-stdin"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match log_to {
                LogTo::Here => Stdio::inherit(),
                LogTo::Pipe => Stdio::piped(),
            })
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("the pipes of a node are gone");
        let stdin = Some(process.stdin.take().ok_or_else(gone)?);
        let stdout = BufReader::new(process.stdout.take().ok_or_else(gone)?).lines();
        let log = process.stderr.take().map(|log| BufReader::new(log).lines());
        Ok(Child { process, stdin, stdout, log })
    }

    /// What happens to it next. May be dropped and called again. `is_starting`: it has not said yet that clients can connect.
    pub(super) async fn next(&mut self, is_starting: bool) -> Happened {
        let line = tokio::select! {
            line = self.stdout.next_line(), if is_starting => line,
            status = self.process.wait() => return Happened::Ended(status),
        };
        let node = line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok());
        match node {
            Some(node) => Happened::Ready(node),
            // It ends, or says what no node says.
            None => Happened::Ended(self.stop().await),
        }
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.process.start_kill()
    }

    /// Pauses it or lets it go on.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.process.id() {
            Some(pid) => signal::send(pid, signal),
            None => Err(io::Error::other("it has ended")),
        }
    }

    /// Cuts it off from the other nodes, or connects it again.
    pub(super) async fn cut_off(&mut self, is_cut: bool) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::other("it is stopping"))?;
        let line = if is_cut { CUT_OFF } else { CONNECT };
        stdin.write_all(format!("{line}\n").as_bytes()).await
    }

    /// Lets the node stop gracefully, and kills it if that takes too long. It must not be paused.
    pub(super) async fn stop(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        match tokio::time::timeout(STOP_WAIT_MAX, self.process.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                tell("a node does not stop by itself and is killed");
                self.process.kill().await?;
                self.process.wait().await
            }
        }
    }
}
