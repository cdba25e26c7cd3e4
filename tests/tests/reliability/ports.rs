//! Ports for nodes that come and go. The system gives ports of its own range to whoever connects anywhere, and so to somebody
//! else while a node is down. These are from below that range, in blocks of which each belongs to one process of tests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The blocks.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;
const BLOCK: u16 = 400;

/// A port that is free for both protocols, held until it is needed.
pub(crate) struct Held {
    tcp: TcpListener,
    _udp: UdpSocket,
}

/// The block of this process. It listens at the first port of it as long as it lives, so nobody else takes it.
static OWN: LazyLock<(u16, TcpListener)> = LazyLock::new(|| {
    let mut blocks = (FIRST..=LAST).step_by(usize::from(BLOCK));
    let taken = blocks
        .find_map(|block| Some((block, TcpListener::bind((Ipv4Addr::LOCALHOST, block)).ok()?)));
    taken.expect("a block of ports is free")
});

impl Held {
    /// The next free one: none is given out twice before all were.
    pub(crate) fn next() -> Held {
        static TURN: AtomicU16 = AtomicU16::new(0);
        let turns = std::iter::repeat_with(|| TURN.fetch_add(1, Ordering::Relaxed) % (BLOCK - 1));
        let mut ports = turns.take(usize::from(BLOCK)).map(|turn| OWN.0 + 1 + turn);
        let held = ports.find_map(|port| {
            let address = (Ipv4Addr::LOCALHOST, port);
            let tcp = TcpListener::bind(address).ok()?;
            Some(Held { tcp, _udp: UdpSocket::bind(address).ok()? })
        });
        held.expect("one of many ports is free")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().expect("it is bound")
    }
}
