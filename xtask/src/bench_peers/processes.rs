//! Processes that this chore starts. A server ends with its owner, whatever happens in between; a client is waited for,
//! a bounded time, and leaves its output and its processor time.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{accounting, os};

/// How long a server may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait between two attempts to connect: an attempt alone takes some 20 µs.
const CONNECT_PAUSE: Duration = Duration::from_micros(100);

/// How often a client is asked whether it has ended.
const WAIT_PAUSE: Duration = Duration::from_millis(5);

/// How much of a failed process's output is shown.
const TAIL_LINES: usize = 20;

/// A running server in a folder, which goes with the last server that was in it.
pub(crate) struct Server {
    child: Child,
    /// Where it accepts connections.
    pub(super) address: SocketAddr,
    /// When it was started.
    pub(super) began: Instant,
    /// How long it took from its start until it did.
    pub(super) start_time: Duration,
    folder: Arc<TempDir>,
}

impl Server {
    /// Starts a server that will listen at this address, and returns as soon as it does.
    pub(super) fn start(command: Command, address: SocketAddr) -> Result<Self> {
        Self::start_in(command, address, new_folder()?)
    }

    /// The same, in a folder in which another may have been before it.
    pub(crate) fn start_in(
        mut command: Command,
        address: SocketAddr,
        folder: Arc<TempDir>,
    ) -> Result<Self> {
        redirect(&mut command, folder.path())?;
        os::end_with_parent(&mut command);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Server { child, address, began, start_time: Duration::ZERO, folder };
        while let Err(refusal) = TcpStream::connect(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended: {status}\n{}", tail(server.folder.path()));
            }
            ensure!(
                began.elapsed() < START_TIMEOUT,
                "{command:?} does not listen at {address}: {refusal}\n{}",
                tail(server.folder.path())
            );
            std::thread::sleep(CONNECT_PAUSE);
        }
        server.start_time = began.elapsed();
        Ok(server)
    }

    /// The processor time it has used so far.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        accounting::processor_time(self.child.id())
    }

    /// The memory it occupies.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        accounting::resident_bytes(self.child.id())
    }
}

/// A folder for a server, which goes with the last that was in it.
pub(crate) fn new_folder() -> Result<Arc<TempDir>> {
    tempfile::tempdir().map(Arc::new).context("cannot make a folder for a server")
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing worth a tidy end. Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client left behind.
pub(crate) struct Finished {
    /// Its standard output.
    pub(crate) output: String,
    /// The processor time of its whole life.
    pub(super) processor_time: Duration,
}

/// Runs a client to its end, which must come within the time and be a success.
pub(crate) fn run_client(mut command: Command, timeout: Duration) -> Result<Finished> {
    let folder = tempfile::tempdir().context("cannot make a folder for a client")?;
    redirect(&mut command, folder.path())?;
    os::end_with_parent(&mut command);
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let (status, processor_time) = loop {
        if let Some(end) = os::ended(child.id())? {
            break end;
        }
        if began.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            bail!("{command:?} did not end within {timeout:?}\n{}", tail(folder.path()));
        }
        std::thread::sleep(WAIT_PAUSE);
    };
    ensure!(status.success(), "{command:?}: {status}\n{}", tail(folder.path()));
    let output = fs::read_to_string(folder.path().join(OUTPUT))?;
    Ok(Finished { output, processor_time })
}

const OUTPUT: &str = "output";
const ERRORS: &str = "errors";

/// Output goes to files, which unlike pipes never fill up. The settings of whoever runs the chore do not reach the child.
fn redirect(command: &mut Command, folder: &Path) -> Result<()> {
    let file = |name: &str| File::create(folder.join(name)).context("cannot write to a new folder");
    command.current_dir(folder).stdin(Stdio::null()).stdout(file(OUTPUT)?).stderr(file(ERRORS)?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ISOGRID_") {
            command.env_remove(name);
        }
    }
    Ok(())
}

/// The last lines a process wrote, for the message that says it failed.
fn tail(folder: &Path) -> String {
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    let bytes = [read(OUTPUT), read(ERRORS)].concat();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// An address of this machine at which nothing listens.
pub(crate) fn free_tcp_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
    Ok(listener.local_addr()?)
}

/// The same for datagrams.
pub(crate) fn free_udp_address() -> Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free UDP port")?;
    Ok(socket.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_client_leaves_its_output() {
        let finished = run_client(shell("echo words"), Duration::from_secs(30)).expect("runs");
        assert_eq!(finished.output, "words\n");
    }

    #[test]
    fn a_failing_client_shows_what_it_said() {
        let failure = run_client(shell("echo why >&2; exit 3"), Duration::from_secs(30)).err();
        assert!(failure.expect("failed").to_string().ends_with("why"));
    }

    #[test]
    fn a_client_that_does_not_end_is_ended() {
        let began = Instant::now();
        let failure = run_client(shell("exec sleep 60"), Duration::from_millis(50)).err();
        assert!(failure.expect("failed").to_string().contains("did not end within 50ms"));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_server_that_ends_at_once_shows_what_it_said() {
        let address = free_tcp_address().expect("a free port");
        let failure = Server::start(shell("echo no such option >&2; exit 2"), address).err();
        assert!(failure.expect("failed").to_string().ends_with("no such option"));
    }
}
