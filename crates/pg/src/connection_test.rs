//! A whole connection, from what its client says to what it hears.

use async_trait::async_trait;
use isogrid_query::arrow::datatypes::DataType;
use isogrid_query::pg::{PgDefinition, Prepared};
use isogrid_query::{Answer, ScalarValue, Statement};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::limits::{HELD_BYTES_MAX, STATEMENT_BYTES_MAX};

/// Runs nothing.
struct Nothing;

#[async_trait]
impl Runner for Nothing {
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn prepare(
        &self,
        _: &Statement,
        _: Vec<Option<DataType>>,
        _: &PgSession,
    ) -> Result<Prepared, Refused> {
        Err(refused("XX000", "nothing is planned here"))
    }

    async fn define(&self, _: &PgDefinition) -> Result<Answer, Refused> {
        Err(refused("XX000", "nothing is defined here"))
    }

    async fn run(
        &self,
        _: &Arc<Prepared>,
        _: Vec<ScalarValue>,
        _: &PgSession,
    ) -> Result<Answer, Refused> {
        Err(refused("XX000", "nothing is run here"))
    }
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    [&[letter], &(4 + body.len() as u32).to_be_bytes()[..], body].concat()
}

fn hello(minor: u32) -> Vec<u8> {
    let body = b"user\0ann\0\0";
    let version = (3 << 16 | minor).to_be_bytes();
    [&(8 + body.len() as u32).to_be_bytes()[..], &version, body].concat()
}

fn opened(room: usize) -> (DuplexStream, impl Future<Output = ()>) {
    let (client, server) = tokio::io::duplex(room);
    let stopping = CancellationToken::new();
    let door = Door { runner: Arc::new(Nothing), cancels: Arc::default(), stopping };
    (client, serve(server, door, false))
}

/// The messages that follow these.
async fn answered(said: &[Vec<u8>]) -> Vec<(u8, Vec<u8>)> {
    let (mut client, serving) = opened(64 << 20);
    let end = message(b'X', b"");
    client.write_all(&[said.concat(), end].concat()).await.expect("it is written");
    serving.await;
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.expect("it is read");
    let mut rest = bytes.as_slice();
    let mut messages = Vec::new();
    while let [letter, a, b, c, d, behind @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
        messages.push((*letter, behind[..length].to_vec()));
        rest = &behind[length..];
    }
    messages
}

fn states(messages: &[(u8, Vec<u8>)]) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let state = |body: &[u8]| {
        text(body).split('\0').find_map(|field| field.strip_prefix('C').map(str::to_owned))
    };
    messages.iter().filter(|(letter, _)| *letter == b'E').filter_map(|(_, b)| state(b)).collect()
}

#[tokio::test]
async fn a_call_of_a_function_is_refused_and_the_client_goes_on() {
    let said = [hello(0), message(b'F', &[0; 10]), message(b'Q', b"SHOW DateStyle\0")];
    let messages = answered(&said).await;
    assert_eq!(states(&messages), ["0A000"]);
    assert_eq!(messages.iter().filter(|(letter, _)| *letter == b'Z').count(), 3);
}

#[tokio::test]
async fn the_version_that_is_spoken_is_told() {
    let messages = answered(&[hello(2)]).await;
    let (_, told) = messages.iter().find(|(letter, _)| *letter == b'v').expect("it is told");
    assert_eq!(told.as_slice(), [0, 3, 0, 0, 0, 0, 0, 0]);
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

#[tokio::test]
async fn what_is_prepared_and_bound_has_a_bound() {
    let long = |bytes: usize| format!("SHOW x /* {} */", "x".repeat(bytes));
    let sync = || message(b'S', b"");
    let messages = answered(&[hello(0), parse("s", &long(STATEMENT_BYTES_MAX)), sync()]).await;
    assert_eq!(states(&messages), ["54000"]);
    let several = (0..6).map(|place| parse(&format!("s{place}"), &long(200 << 10)));
    let said: Vec<Vec<u8>> = [hello(0)].into_iter().chain(several).chain([sync()]).collect();
    assert_eq!(states(&answered(&said).await), ["53400"]);

    // A statement whose portal lives is held although its name is another's.
    let bind = |portal: &str, bytes: usize| {
        let head = format!("{portal}\0s\0\0\0\0\0");
        let formats = (bytes as u16).to_be_bytes();
        message(b'B', &[head.as_bytes(), &formats, &vec![0; 2 * bytes]].concat())
    };
    let begin = message(b'Q', b"BEGIN\0");
    let mut said = vec![hello(0), begin];
    for place in 0..6 {
        said.extend([message(b'C', b"Ss\0"), parse("s", &long(200 << 10))]);
        said.push(bind(&format!("p{place}"), 1));
    }
    said.push(sync());
    assert_eq!(states(&answered(&said).await), ["53400"]);

    // So are values.
    let mut said = vec![hello(0), message(b'Q', b"BEGIN\0"), parse("s", "SHOW DateStyle")];
    let portals = HELD_BYTES_MAX / 120_000 + 1;
    said.extend((0..portals).map(|place| bind(&format!("p{place}"), 60_000)));
    said.push(sync());
    assert_eq!(states(&answered(&said).await), ["53400"]);
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let (client, server) = tokio::io::duplex(16);
    let mut wire = Wire::new(server);
    wire.outbox.extend_from_slice(&[0; 64 << 10]);
    let (running, stopped) = (CancellationToken::new(), CancellationToken::new());
    let until = Some(Instant::now() + Duration::from_millis(20));
    let ends = (&running, &stopped);
    let ended = Connection::send_piece(&mut wire, ends, until).await;
    assert!(matches!(ended, Err(Fault::Refused(Refused { state: "57014", .. }))));
    running.cancel();
    let ended = Connection::send_piece(&mut wire, ends, None).await;
    assert!(matches!(ended, Err(Fault::Refused(Refused { state: "57014", .. }))));
    let (running, stopped) = (CancellationToken::new(), CancellationToken::new());
    stopped.cancel();
    let ended = Connection::send_piece(&mut wire, (&running, &stopped), None).await;
    assert!(matches!(ended, Err(Fault::Fatal(Refused { state: "57P01", .. }))));
    drop(client);
}
