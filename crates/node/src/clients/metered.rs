//! [`Metered`]: a socket that counts its client's bytes, and gives up on one that takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::Client;

/// A socket of a client.
pub(crate) struct Metered {
    socket: TcpStream,
    client: Arc<Client>,
    /// How long the client may leave unread what is sent, if that is bounded here.
    stall_max: Option<Duration>,
    /// Since nothing more could be sent.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    /// Wraps a socket.
    pub(crate) fn new(socket: TcpStream, client: Arc<Client>, stall_max: Option<Duration>) -> Self {
        Metered { socket, client, stall_max, stalled: None }
    }

    /// What a try to send brought: nothing for too long is an error.
    fn sent(
        &mut self,
        context: &mut Context<'_>,
        tried: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if tried.is_pending() {
            let Some(stall_max) = self.stall_max else { return Poll::Pending };
            let stalled =
                self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
            ready!(stalled.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.stalled = None;
        if let Poll::Ready(Ok(bytes)) = &tried {
            self.client.sent(*bytes);
        }
        tried
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.client.received(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.sent(context, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.sent(context, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clients, Door};
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn bytes_are_counted_and_who_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut other = TcpStream::connect(address).await.expect("it listens");
        let (socket, peer) = listener.accept().await.expect("connected");
        let client = Clients::default().open(Door::Http, peer);
        let mut metered =
            Metered::new(socket, Arc::clone(&client), Some(Duration::from_millis(50)));
        other.write_all(b"hello").await.expect("sent");
        metered.read_exact(&mut [0; 5]).await.expect("received");
        let many = vec![0; 64 << 20];
        let error = metered.write_all(&many).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let told = client.report("n");
        assert_eq!(told.bytes_in, 5);
        assert!(told.bytes_out > 0 && told.bytes_out < many.len() as u64, "{}", told.bytes_out);
    }
}
