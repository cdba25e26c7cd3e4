//! A node as a child process. It stops when its standard input ends, so it never outlives this process.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{self, ChildStdin, ChildStdout, Command};

use crate::commands::start::RunningNode;
use crate::exit::{Exit, Failure};
use crate::output::tell;

/// How long a node may take to stop by itself.
const STOP_WAIT_MAX: Duration = Duration::from_secs(15);

/// A node as a child process.
pub(super) struct Child {
    process: process::Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a node with these arguments of `isogrid start`.
    pub(super) fn spawn(arguments: &[String]) -> io::Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["start", "--output", "json", "--stop-with-stdin"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("the pipes of a node are gone");
        let stdin = process.stdin.take().ok_or_else(gone)?;
        let stdout = process.stdout.take().ok_or_else(gone)?;
        Ok(Child { process, stdin, stdout: BufReader::new(stdout) })
    }

    /// Waits until clients can connect. The inner error is the exit of a node that could not start.
    pub(super) async fn ready(&mut self) -> Result<Result<RunningNode, Exit>, Failure> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).await? > 0 {
            return Ok(Ok(serde_json::from_str(&line)?));
        }
        let status = self.process.wait().await?;
        Ok(Err(if status.code() == Some(Exit::Usage as i32) { Exit::Usage } else { Exit::Failed }))
    }

    /// Waits until the node ends by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Lets the node stop gracefully, and kills it if that takes too long.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        drop(self.stdin);
        match tokio::time::timeout(STOP_WAIT_MAX, self.process.wait()).await {
            Ok(ended) => ended.map(|_| ()),
            Err(_) => {
                tell("a node does not stop by itself and is killed");
                self.process.kill().await
            }
        }
    }
}
