//! Ports for nodes that come and go. The system gives ports of its own range to whoever connects anywhere, and so to somebody
//! else while a node is down: these are from below that range.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports to choose from.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;

/// A port that is free for both protocols, held until it is needed.
pub(crate) struct Held {
    tcp: TcpListener,
    _udp: UdpSocket,
}

impl Held {
    /// The next free one. Each process begins elsewhere, and none is given out twice before all were.
    pub(crate) fn next() -> Held {
        static TURN: AtomicU16 = AtomicU16::new(0);
        let span = LAST - FIRST + 1;
        let begin = (std::process::id() % u32::from(span)) as u16;
        let place = |turn: u16| (u32::from(begin) + u32::from(turn)) % u32::from(span);
        let mut ports = std::iter::repeat_with(|| TURN.fetch_add(1, Ordering::Relaxed))
            .take(usize::from(span))
            .map(|turn| FIRST + place(turn) as u16);
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
