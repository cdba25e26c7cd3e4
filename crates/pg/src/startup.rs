//! What is said before the first statement: who asks, in which version of the protocol, or that a statement of another
//! connection is to be cancelled.

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::fault::{Fault, broken, refused};
use crate::limits::STARTUP_BYTES_MAX;
use crate::reply;
use crate::wire::Wire;

/// What stands where a version would.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// The version that is spoken: 3.0.
const MAJOR: u32 = 3;

/// How a connection begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Startup {
    /// Somebody wants to ask.
    Session(Wishes),
    /// A statement of the connection with this number and secret is to be cancelled.
    Cancel(i32, i32),
}

/// Who asks, and what it wants set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) user: String,
    pub(crate) settings: Vec<(String, String)>,
}

/// Reads until it is said how the connection begins. `None`: the client went.
pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Option<Startup>, Fault> {
    // Encryption is asked for once in each way.
    for _ in 0..3 {
        let Some(mut body) = wire.untyped(STARTUP_BYTES_MAX).await? else { return Ok(None) };
        if body.len() < 4 {
            return Err(broken("a first message without a version"));
        }
        match body.get_u32() {
            TLS | GSS => {
                // There is none: the client goes on without, or goes.
                wire.outbox.extend_from_slice(b"N");
                wire.send().await?;
            }
            CANCEL if body.len() >= 8 => {
                return Ok(Some(Startup::Cancel(body.get_i32(), body.get_i32())));
            }
            version if version >> 16 == MAJOR => {
                return session(wire, version & 0xffff, &body).map(Some);
            }
            version => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let detail = format!("version {major}.{minor} of the protocol; it is 3.0 here");
                return Err(Fault::Fatal(refused("0A000", detail)));
            }
        }
    }
    Err(broken("encryption is asked for again and again"))
}

fn session<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    minor: u32,
    body: &Bytes,
) -> Result<Startup, Fault> {
    let texts: Vec<String> = body
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let pairs = texts.chunks_exact(2).take_while(|pair| !pair[0].is_empty());
    let mut wishes = Wishes::default();
    let mut unknown = Vec::new();
    for pair in pairs {
        let (name, value) = (pair[0].as_str(), pair[1].as_str());
        match name {
            "user" => wishes.user = value.to_owned(),
            // There is one, and it is called what it is called.
            "database" | "replication" => {}
            "options" => wishes.settings.extend(options(value)),
            _ if name.starts_with("_pq_.") => unknown.push(name),
            _ => wishes.settings.push((name.to_owned(), value.to_owned())),
        }
    }
    if minor > 0 || !unknown.is_empty() {
        reply::negotiated(&mut wire.outbox, &unknown);
    }
    Ok(Startup::Session(wishes))
}

/// `-c name=value --name=value`
fn options(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().filter(|word| *word != "-c");
    let pair = |word: &str| {
        let word = word.trim_start_matches("-c").trim_start_matches("--");
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    words.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begun(bytes: &[u8]) -> Result<Option<Startup>, Fault> {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        tokio::io::AsyncWriteExt::write_all(&mut client, bytes).await.expect("it is written");
        tokio::io::AsyncWriteExt::shutdown(&mut client).await.expect("it ends");
        read(&mut Wire::new(server)).await
    }

    fn message(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = 8 + rest.len() as u32;
        [&length.to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
    }

    #[tokio::test]
    async fn a_connection_begins_with_who_asks_or_what_is_cancelled() {
        let hello = b"user\0ann\0database\0any\0options\0-c a=1 --b=2\0c\x003\0\0";
        let bytes = [message(TLS, b""), message(GSS, b""), message(3 << 16, hello)].concat();
        let Ok(Some(Startup::Session(wishes))) = begun(&bytes).await else { panic!("no session") };
        assert_eq!(wishes.user, "ann");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(wishes.settings, [pair("a", "1"), pair("b", "2"), pair("c", "3")]);
        let cancel = begun(&message(CANCEL, &[0, 0, 0, 7, 0, 0, 0, 9])).await;
        assert_eq!(cancel.expect("it is read"), Some(Startup::Cancel(7, 9)));
    }

    #[tokio::test]
    async fn what_is_not_the_protocol_ends_the_connection() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 252],
            &[0, 0, 0, 2, 0, 0],
            &message(2 << 16, b""),
            &message(CANCEL, b"abc"),
            &message(TLS, b"").repeat(4),
        ] {
            assert!(matches!(begun(bytes).await, Err(Fault::Fatal(_))), "{bytes:?}");
        }
        assert!(matches!(begun(&[0, 0]).await, Ok(None)));
    }
}
