//! A client of HTTP that does exactly what it is told: to see what a node makes of good requests, and of bad ones.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::PATIENCE;

/// What a node answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The headers, their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.text()))
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} in {self:?}"))
    }

    /// The code of an error, which has all that errors have.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let error = self.json();
        for part in ["message", "outcome", "next"] {
            assert!(error[part].is_string(), "{part} in {error}");
        }
        error["code"].as_str().expect("a code").to_owned()
    }
}

/// Connects to a node.
pub(crate) fn connect(http: &str) -> TcpStream {
    let socket = TcpStream::connect(http).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket
}

/// Asks over a connection of its own.
pub(crate) fn ask(
    http: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut socket = connect(http);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {http}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
    socket.write_all(head.as_bytes()).expect("it reads");
    // It may have answered, and gone, before it has read all.
    let _ = socket.write_all(body);
    reply(&mut BufReader::new(socket))
}

/// Reads.
pub(crate) fn get(http: &str, path: &str) -> Reply {
    ask(http, "GET", path, &[], b"")
}

/// Writes JSON.
pub(crate) fn put_json(http: &str, path: &str, body: &str) -> Reply {
    let reply = ask(http, "PUT", path, &[("Content-Type", "application/json")], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// Reads a reply.
pub(crate) fn reply(from: &mut impl BufRead) -> Reply {
    let (status, headers) = head(from);
    let length = headers.get("content-length").map(|length| length.parse().expect("a number"));
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            from.read_exact(&mut body).expect("the whole body");
        }
        None => {
            from.read_to_end(&mut body).expect("the whole body");
        }
    }
    Reply { status, headers, body }
}

fn head(from: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    from.read_line(&mut line).expect("a status");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut headers = BTreeMap::new();
    let status = status.unwrap_or_else(|| panic!("a status: {line:?}"));
    loop {
        line.clear();
        from.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    (status, headers)
}

/// A stream of Server-Sent Events.
pub(crate) struct Events {
    from: BufReader<TcpStream>,
    /// What a browser would tell when it comes again.
    pub(crate) last_id: String,
    /// What there is of a piece that has come.
    chunk: Vec<u8>,
}

impl Events {
    /// Begins to watch.
    pub(crate) fn begin(http: &str, path: &str, last_id: &str) -> Events {
        let mut socket = connect(http);
        let resume = match last_id {
            "" => String::new(),
            id => format!("Last-Event-ID: {id}\r\n"),
        };
        let head = format!("GET {path} HTTP/1.1\r\nHost: node\r\n{resume}\r\n");
        socket.write_all(head.as_bytes()).expect("it reads");
        let mut from = BufReader::new(socket);
        let (status, headers) = self::head(&mut from);
        assert_eq!(status, 200, "{headers:?}");
        assert_eq!(headers["content-type"], "text/event-stream");
        Events { from, last_id: last_id.to_owned(), chunk: Vec::new() }
    }

    /// The next line; `None` when the stream ends or breaks.
    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.chunk.drain(..=end).collect();
                return Some(String::from_utf8(line).expect("text").trim_end().to_owned());
            }
            let mut length = String::new();
            self.from.read_line(&mut length).ok()?;
            let length = usize::from_str_radix(length.trim(), 16).ok().filter(|n| *n > 0)?;
            let mut chunk = vec![0; length + 2];
            self.from.read_exact(&mut chunk).ok()?;
            self.chunk.extend(&chunk[..length]);
        }
    }

    /// The next event: its name and its data. `None` when the stream ends or breaks.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data.push_str(text),
                Some(("id", text)) => self.last_id = text.to_owned(),
                _ if line.is_empty() && !data.is_empty() => {
                    return Some((name, serde_json::from_str(&data).expect("JSON")));
                }
                _ => {}
            }
        }
    }

    /// Reads until the stream says where all partitions stand that begin now.
    pub(crate) fn until_begun(&mut self) {
        while self.last_id.is_empty() {
            let line = self.line().expect("it goes on");
            if let Some(("id", id)) = line.split_once(": ") {
                id.clone_into(&mut self.last_id);
            }
        }
    }
}
