//! `isogrid probe`: asks a node over HTTP how it is, for probes that run a command: no other tool has to be in the image.
//! Exits with 0 for yes and with 3 for no, or where nobody answers in time.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use isogrid_core::{Error, ErrorCode};
use serde_json::json;

use crate::duration;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_json, tell};

use super::settings::SettingArgs;

/// The longest answer: it is one line.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What is asked.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// What is asked
    #[arg(value_enum)]
    probe: Probe,

    /// Where the node serves HTTP; as its configuration says unless set
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,

    /// The configuration file of the node (TOML)
    #[arg(long, value_name = "FILE", env = "ISOGRID_CONFIG")]
    config: Option<PathBuf>,

    /// How long the node may take to answer
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5s")]
    timeout: Duration,
}

/// What a node can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Probe {
    /// The process answers; it never depends on other nodes
    Live,
    /// It has joined its cluster and serves what it leads; no more once it stops or leaves
    Ready,
    /// It has been ready once
    Startup,
    /// It may be restarted now: nobody would miss it, and no other node is on its way down
    PreRestart,
    /// It is back, and the cluster is safe again, or as well as it can be
    PostRestart,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Probe::Live => "live",
            Probe::Ready => "ready",
            Probe::Startup => "startup",
            Probe::PreRestart => "pre-restart",
            Probe::PostRestart => "post-restart",
        }
    }
}

pub(crate) fn run(args: &ProbeArgs, format: Format) -> CommandResult {
    let address = match &args.http {
        Some(address) => address.clone(),
        None => local(&SettingArgs::of_file(args.config.clone()).load()?.config.node.http_addr),
    };
    let asked = ask(&address, args.probe, args.timeout)?;
    let (exit, reason) = match asked {
        Ok(answer) => understood(&answer, &address)?,
        Err(error) => (Exit::NotReady, format!("{address} does not answer: {error}")),
    };
    match format {
        Format::Json => print_json(&json!({
            "probe": args.probe.name(),
            "ok": exit == Exit::Ok,
            "reason": reason,
        }))?,
        // Kubernetes shows what a probe printed that failed, wherever it was printed.
        Format::Table => tell(reason),
    }
    Ok(exit)
}

/// The address at which this machine reaches what listens there: on all addresses, so on its own.
fn local(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            let own = match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            SocketAddr::new(own, address.port()).to_string()
        }
        _ => listen.to_owned(),
    }
}

/// What the node answers, head and all. The outer error is one of the command line.
fn ask(address: &str, probe: Probe, timeout: Duration) -> Result<std::io::Result<String>, Failure> {
    let invalid = |why: String| Error::new(ErrorCode::EndpointInvalid, format!("{address}: {why}"));
    if address.parse::<SocketAddr>().is_err() && !is_host_and_port(address) {
        return Err(invalid("not HOST:PORT".to_owned()).into());
    }
    Ok(answer(address, probe, Instant::now() + timeout))
}

fn is_host_and_port(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', ' ', ':']) && port.parse::<u16>().is_ok()
    })
}

fn answer(address: &str, probe: Probe, deadline: Instant) -> std::io::Result<String> {
    let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
    let left = || Some(deadline.saturating_duration_since(Instant::now())).filter(|t| !t.is_zero());
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "no such host");
    for found in address.to_socket_addrs()? {
        let mut socket = match TcpStream::connect_timeout(&found, left().ok_or_else(late)?) {
            Ok(socket) => socket,
            Err(error) => {
                last = error;
                continue;
            }
        };
        socket.set_write_timeout(left())?;
        let path = probe.name();
        let request = format!(
            "GET /health/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: text/plain\r\n\r\n"
        );
        socket.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 4_096];
        loop {
            socket.set_read_timeout(Some(left().ok_or_else(late)?))?;
            let read = match socket.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(late()),
                Err(error) => return Err(error),
            };
            answer.extend_from_slice(&piece[..read]);
            if read == 0 || answer.len() as u64 > ANSWER_BYTES_MAX {
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
    Err(last)
}

/// Yes or no, and why. Whatever else answers there is no node.
fn understood(answer: &str, address: &str) -> Result<(Exit, String), Failure> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let reason = body.trim_end().to_owned();
    match status {
        Some("200") => Ok((Exit::Ok, reason)),
        Some("503") => Ok((Exit::NotReady, reason)),
        _ => {
            let first = head.lines().next().unwrap_or_default();
            let why = format!("{address} answers as no node does: {first:?}");
            Err(Failure::Io(std::io::Error::other(why)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:7780", "127.0.0.1:7780"),
            ("[::]:7780", "[::1]:7780"),
            ("10.0.0.7:1", "10.0.0.7:1"),
            ("node-0.example:7780", "node-0.example:7780"),
        ] {
            assert_eq!(local(listen), asked);
        }
    }

    #[test]
    fn an_answer_is_yes_or_no_or_nobodys() {
        let of = |head: &str, body: &str| {
            understood(&format!("{head}\r\nfoo: bar\r\n\r\n{body}"), "h:1").map_err(|f| f.exit())
        };
        assert_eq!(of("HTTP/1.1 200 OK", "ready\n"), Ok((Exit::Ok, "ready".into())));
        let no = of("HTTP/1.1 503 Service Unavailable", "joining\n");
        assert_eq!(no, Ok((Exit::NotReady, "joining".into())));
        for other in ["HTTP/1.1 404 Not Found", "SSH-2.0", ""] {
            assert_eq!(of(other, ""), Err(Exit::Failed), "{other}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["localhost:7780", "127.0.0.1:1", "node-0.nodes:7780"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in ["", "localhost", ":1", "http://localhost:1", "h:x", "h:70000"] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
