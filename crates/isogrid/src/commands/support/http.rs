//! One question over HTTP, and its answer: enough to take the metrics page of a node along.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a node may take to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The body of what a node answers, or why there is none.
pub(super) async fn get(address: &str, path: &str) -> Result<String, String> {
    match tokio::time::timeout(ANSWER_WAIT_MAX, ask(address, path)).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer in time".into()),
    }
}

async fn ask(address: &str, path: &str) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut socket = TcpStream::connect(address).await.map_err(text)?;
    // Version 1.0: the answer ends with the connection, and comes in one piece.
    let question = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    socket.write_all(question.as_bytes()).await.map_err(text)?;
    let mut answer = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.map_err(text)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP")?;
    let line = head.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(line.to_owned()),
    }
}
