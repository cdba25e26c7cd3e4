//! Somebody between the nodes: one of their seeds, who passes on what they say and keeps it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The most datagrams that are kept.
const KEPT_MAX: usize = 2_000;
const DATAGRAM_MAX: usize = 65_536;

type Record = Arc<Mutex<Vec<Vec<u8>>>>;

/// A seed that passes what each node says to the next one, and the answers back.
pub(crate) struct Middleman {
    front: Arc<UdpSocket>,
    record: Record,
    tasks: JoinSet<()>,
}

impl Middleman {
    pub(crate) async fn new() -> Middleman {
        let front = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        Middleman { front: Arc::new(front), record: Arc::default(), tasks: JoinSet::new() }
    }

    /// The seed that the nodes are given.
    pub(crate) fn address(&self) -> SocketAddr {
        self.front.local_addr().expect("bound")
    }

    /// Listens until that many datagrams are kept, or for as long as it is given.
    pub(crate) async fn listen(
        &mut self,
        nodes: &[SocketAddr],
        wanted: usize,
        patience: Duration,
    ) -> Vec<Vec<u8>> {
        let mut backs = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
            let next = nodes[(index + 1) % nodes.len()];
            backs.push((*node, Arc::clone(&back), next));
            let (front, record, node) = (Arc::clone(&self.front), Arc::clone(&self.record), *node);
            // What the next node answers to this one.
            self.tasks.spawn(async move {
                let mut buffer = vec![0; DATAGRAM_MAX];
                while let Ok((length, _)) = back.recv_from(&mut buffer).await {
                    keep(&record, &buffer[..length]);
                    let _ = front.send_to(&buffer[..length], node).await;
                }
            });
        }
        let (front, record) = (Arc::clone(&self.front), Arc::clone(&self.record));
        self.tasks.spawn(async move {
            let mut buffer = vec![0; DATAGRAM_MAX];
            while let Ok((length, from)) = front.recv_from(&mut buffer).await {
                keep(&record, &buffer[..length]);
                if let Some((_, back, next)) = backs.iter().find(|(node, _, _)| *node == from) {
                    let _ = back.send_to(&buffer[..length], next).await;
                }
            }
        });
        let enough = async {
            while self.record.lock().len() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Fewer are fine: the caller says how many it needs.
        let _ = tokio::time::timeout(patience, enough).await;
        self.record.lock().clone()
    }
}

fn keep(record: &Record, datagram: &[u8]) {
    let mut record = record.lock();
    if record.len() < KEPT_MAX {
        record.push(datagram.to_vec());
    }
}
