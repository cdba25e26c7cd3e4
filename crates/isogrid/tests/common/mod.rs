//! The real binary, run as a user runs it: no variable of the caller's environment decides a test, every node has free
//! ports, and whatever was started ends with its handle.
#![allow(dead_code, reason = "every test file uses another part")]

pub(crate) mod data;
pub(crate) mod local;
pub(crate) mod web;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a command has printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) stdout: Vec<u8>,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Its standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is text")
    }

    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {:?} {}", self.text(), self.stderr))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What a node answers over HTTP, head and all: nothing before it listens.
pub(crate) fn http_get(http: &str, path: &str) -> Option<String> {
    let mut socket = TcpStream::connect(http).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let asked = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    socket.write_all(asked.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// The binary, with none of the caller's settings.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isogrid"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ISOGRID") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the binary to its end.
pub(crate) fn isogrid(arguments: &[&str]) -> Ran {
    command(arguments).output().expect("the binary runs").into()
}

/// Runs the binary with environment variables.
pub(crate) fn isogrid_with(variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    command(arguments).envs(variables.iter().copied()).output().expect("the binary runs").into()
}

/// Runs the binary with this on its standard input.
pub(crate) fn isogrid_fed(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("piped").write_all(input).expect("it reads its input");
    child.wait_with_output().expect("it ends").into()
}

/// A process that is killed when its handle is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts the binary and reads the first line of its standard output.
    pub(crate) fn start(arguments: &[&str]) -> (Running, String) {
        let mut binary = command(arguments);
        binary.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running(binary.spawn().expect("the binary runs"));
        let stdout = running.0.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("its output is text");
        (running, line)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    /// What it has written to its standard error, once it has ended.
    pub(crate) fn stderr(&mut self) -> String {
        let stderr = self.0.stderr.take().expect("piped");
        std::io::read_to_string(stderr).expect("its log is text")
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.expect("there is a shell").success(), "kill -{name} {pid}");
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process is there.
pub(crate) fn is_alive(pid: u32) -> bool {
    // One that has ended and that nobody has waited for is none.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

/// A node on free ports.
pub(crate) struct Node {
    /// Its process.
    pub(crate) process: Running,
    /// Where clients connect.
    pub(crate) endpoint: String,
    /// Where it serves HTTP.
    pub(crate) http: String,
    /// Where PostgreSQL's clients connect, if it was told to let them.
    pub(crate) pg: Option<String>,
}

impl Node {
    /// Starts a node with further arguments.
    pub(crate) fn start(arguments: &[&str]) -> Node {
        let mut all = vec!["start", "-o", "json"];
        for flag in ["--grpc-addr", "--gossip-addr", "--http-addr"] {
            all.extend([flag, "127.0.0.1:0"]);
        }
        all.extend(["--set", "node.cores=1"]);
        all.extend(arguments);
        let (mut process, line) = Running::start(&all);
        let Ok(node) = serde_json::from_str::<Value>(&line) else {
            process.wait();
            panic!("the node does not start: {}", process.stderr());
        };
        let address = |name: &str| node[name].as_str().expect("an address").to_owned();
        let pg = node["pg"].as_str().map(str::to_owned);
        Node { endpoint: address("grpc"), http: address("http"), pg, process }
    }

    /// Runs a command against this node.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        isogrid(&self.with_endpoint(arguments))
    }

    /// The arguments of a command against this node.
    pub(crate) fn with_endpoint<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--endpoint", &self.endpoint]].concat()
    }
}
