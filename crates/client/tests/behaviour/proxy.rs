//! A TCP proxy before a node, to hold up or cut what passes through.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to connections.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Open,
    /// Nothing passes, nothing breaks.
    Held,
    /// Everything is cut; new connections are let through again.
    Cut(u32),
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mood: watch::Sender<Mood>,
    cuts: u32,
}

impl Proxy {
    pub(crate) async fn before(node: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (mood, watching) = watch::channel(Mood::Open);
        let node = node.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (node, watching) = (node.clone(), watching.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(&node).await else { return };
                    pass(client, server, watching).await;
                });
            }
        });
        Proxy { address, mood, cuts: 0 }
    }

    /// From now on nothing passes.
    pub(crate) fn hold(&self) {
        self.mood.send_replace(Mood::Held);
    }

    /// What was held passes.
    pub(crate) fn release(&self) {
        self.mood.send_replace(Mood::Open);
    }

    /// Cuts all connections; new ones work.
    pub(crate) fn cut(&mut self) {
        self.cuts += 1;
        self.mood.send_replace(Mood::Cut(self.cuts));
    }
}

async fn pass(client: TcpStream, server: TcpStream, watching: watch::Receiver<Mood>) {
    let begun = *watching.borrow();
    let mut cut = watching.clone();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = copy(client_in, server_out, begun, watching.clone()) => {}
        () = copy(server_in, client_out, begun, watching) => {}
        _ = cut.wait_for(|mood| matches!(mood, Mood::Cut(_)) && *mood != begun) => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    begun: Mood,
    mut watching: watch::Receiver<Mood>,
) {
    // What was held when a cut came must not slip through.
    let may_pass = |mood: &Mood| *mood == Mood::Open || (*mood == begun && begun != Mood::Held);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || watching.wait_for(may_pass).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
