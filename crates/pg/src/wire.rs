//! [`Wire`]: bytes in and out of a connection, bounded in size and in time.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::fault::{Fault, broken};
use crate::limits::{MESSAGE_BYTES_MAX, PIECE_BYTES, READ_AHEAD_BYTES, WRITE_MAX};

/// How much room there is to read into: little, because most connections wait.
const ROOM_BYTES: usize = 4 << 10;

/// A connection's bytes.
pub(crate) struct Wire<S> {
    io: S,
    inbox: BytesMut,
    /// What is to be sent.
    pub(crate) outbox: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(io: S) -> Self {
        Wire { io, inbox: BytesMut::new(), outbox: BytesMut::new() }
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
        let _ = self.send().await;
        let _ = tokio::time::timeout(WRITE_MAX, self.io.shutdown()).await;
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
