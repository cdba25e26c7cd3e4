//! [`Wire`]: bytes in and out of a connection, bounded in size and in time.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::fault::{Fault, broken};
use crate::limits::{
    CLOSE_MAX, MESSAGE_BYTES_MAX, MESSAGE_MAX, PIECE_BYTES, READ_AHEAD_BYTES, WRITE_MAX,
};

/// How much room there is to read into: little, because most connections wait.
const ROOM_BYTES: usize = 4 << 10;

/// A connection's bytes.
pub(crate) struct Wire<S> {
    io: S,
    inbox: BytesMut,
    /// Until when the message that has begun must be here. Kept, because reading is begun again and again.
    until: Option<Instant>,
    /// What is to be sent.
    pub(crate) outbox: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(io: S) -> Self {
        Wire { io, inbox: BytesMut::new(), until: None, outbox: BytesMut::new() }
    }

    /// The length and body of a message without a type, as those before the first statement are. `None`: the client went.
    pub(crate) async fn untyped(&mut self, bytes_max: usize) -> Result<Option<Bytes>, Fault> {
        if !self.fill(4).await? {
            return Ok(None);
        }
        let length = length(&self.inbox[..4], bytes_max)?;
        if !self.fill(length).await? {
            return Ok(None);
        }
        self.inbox.advance(4);
        Ok(Some(self.inbox.split_to(length - 4).freeze()))
    }

    /// The type and body of a message. `None`: the client went.
    pub(crate) async fn typed(&mut self) -> Result<Option<(u8, Bytes)>, Fault> {
        if !self.fill(1).await? {
            return Ok(None);
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + MESSAGE_MAX);
        let rest = tokio::time::timeout_at(until, self.begun()).await;
        let message = rest.map_err(|_| {
            let seconds = MESSAGE_MAX.as_secs();
            broken(format!("a message was not finished within {seconds} s"))
        })??;
        self.until = None;
        Ok(message)
    }

    /// A message whose first byte is there.
    async fn begun(&mut self) -> Result<Option<(u8, Bytes)>, Fault> {
        let letter = self.inbox[0];
        if !b"QPBDECHSXFdcfp".contains(&letter) {
            return Err(broken(format!("a message of type {letter:#04x}")));
        }
        if !self.fill(5).await? {
            return Ok(None);
        }
        let length = length(&self.inbox[1..5], MESSAGE_BYTES_MAX)?;
        if !self.fill(length + 1).await? {
            return Ok(None);
        }
        self.inbox.advance(5);
        let body = self.inbox.split_to(length - 4).freeze();
        if self.inbox.is_empty() {
            // What was read into goes with the message.
            self.inbox = BytesMut::new();
        }
        Ok(Some((letter, body)))
    }

    /// Reads until there are so many bytes; false if the client goes before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, Fault> {
        while self.inbox.len() < bytes {
            self.inbox.reserve(ROOM_BYTES);
            if self.io.read_buf(&mut self.inbox).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends when the client goes. What it says meanwhile is kept for later, as much as there is room for.
    pub(crate) async fn gone(&mut self) {
        while self.inbox.len() < READ_AHEAD_BYTES {
            self.inbox.reserve(ROOM_BYTES);
            match self.io.read_buf(&mut self.inbox).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }

    /// Sends what there is, if it is enough for a piece.
    pub(crate) async fn send_piece(&mut self) -> Result<(), Fault> {
        if self.outbox.len() < PIECE_BYTES {
            return Ok(());
        }
        self.send().await
    }

    /// Sends what there is.
    pub(crate) async fn send(&mut self) -> Result<(), Fault> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let sending = async {
            self.io.write_all_buf(&mut self.outbox).await?;
            self.io.flush().await
        };
        tokio::time::timeout(WRITE_MAX, sending).await.map_err(|_| Fault::Gone)??;
        if self.outbox.capacity() > 4 * PIECE_BYTES {
            self.outbox = BytesMut::new();
        }
        Ok(())
    }

    /// Says good-bye.
    pub(crate) async fn close(&mut self) {
        let closing = async {
            let _ = self.send().await;
            let _ = self.io.shutdown().await;
        };
        let _ = tokio::time::timeout(CLOSE_MAX, closing).await;
    }
}

fn length(bytes: &[u8], bytes_max: usize) -> Result<usize, Fault> {
    let length = bytes.iter().fold(0u32, |length, byte| length << 8 | u32::from(*byte)) as usize;
    if length < 4 {
        return Err(broken(format!("a message of {length} bytes")));
    }
    if length > bytes_max {
        return Err(broken(format!("a message of {length} bytes, at most {bytes_max}")));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_that_has_begun_is_finished_in_time() {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let mut wire = Wire::new(server);
        let patient = tokio::time::timeout(10 * MESSAGE_MAX, wire.typed()).await;
        assert!(patient.is_err(), "nothing has begun");
        client.write_all(b"Q\0").await.expect("it is written");
        // Reading is given up and begun again, and the time goes on.
        let early = tokio::time::timeout(MESSAGE_MAX / 2, wire.typed()).await;
        assert!(early.is_err());
        let late = tokio::time::timeout(MESSAGE_MAX, wire.typed()).await;
        assert!(matches!(late, Ok(Err(Fault::Fatal(_)))), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_words_are_short() {
        let (_client, server) = tokio::io::duplex(16);
        let mut wire = Wire::new(server);
        wire.outbox.extend_from_slice(&[0; 1 << 10]);
        let began = Instant::now();
        wire.close().await;
        assert!(began.elapsed() <= CLOSE_MAX * 2, "{:?}", began.elapsed());
    }
}
