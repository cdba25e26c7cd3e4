//! Gives redis exactly so many keys: the ones both benchmarks draw from, `key:000000000000` and on. redis-benchmark itself
//! can only write random ones, which leaves some out.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::load::VALUE_BYTES;

/// How many commands are sent before their replies are read: enough to be fast, and small enough that neither side's
/// buffers count in its memory.
const COMMANDS_PER_BATCH: u32 = 1_000;

/// How long redis may take over a batch.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

const OK: &[u8] = b"+OK\r\n";

/// Writes the keys with values of 100 bytes, and checks that redis has them all.
pub(super) fn fill(address: SocketAddr, keys: u32) -> Result<()> {
    let mut stream = TcpStream::connect(address).context("connect to redis")?;
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut commands = String::new();
    let mut received = Vec::new();
    for first in (0..keys).step_by(COMMANDS_PER_BATCH as usize) {
        let end = keys.min(first.saturating_add(COMMANDS_PER_BATCH));
        commands.clear();
        (first..end).for_each(|number| push_set(&mut commands, number));
        stream.write_all(commands.as_bytes()).context("write to redis")?;
        received.resize((end - first) as usize * OK.len(), 0);
        replies.read_exact(&mut received).context("read from redis")?;
        ensure!(
            received.chunks(OK.len()).all(|reply| reply == OK),
            "redis says: {}",
            String::from_utf8_lossy(&received[..received.len().min(200)])
        );
    }
    stream.write_all(b"*1\r\n$6\r\nDBSIZE\r\n")?;
    let mut size = String::new();
    replies.read_line(&mut size)?;
    ensure!(size == format!(":{keys}\r\n"), "redis has {} keys, not {keys}", size.trim());
    Ok(())
}

/// `SET key:000000000042 xxx…` in the protocol of redis.
fn push_set(commands: &mut String, number: u32) {
    // Writing to a string cannot fail.
    let _ = write!(
        commands,
        "*3\r\n$3\r\nSET\r\n$16\r\nkey:{number:012}\r\n${VALUE_BYTES}\r\n{:x<1$}\r\n",
        "", VALUE_BYTES as usize
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_well_formed() {
        let mut commands = String::new();
        push_set(&mut commands, 42);
        let value = "x".repeat(100);
        let expected = format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$100\r\n{value}\r\n");
        assert_eq!(commands, expected);
    }
}
