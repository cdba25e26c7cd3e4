//! The ports of a local cluster: node *i* adds *i* to each. Gossip has the number of gRPC, in UDP.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{TcpListener, UdpSocket};

use isogrid_core::{Error, ErrorCode};

use crate::exit::{Failure, wrong_argument};

/// The gRPC port of the first node.
pub(super) const BASE_DEFAULT: u16 = 7_700;

/// How far the HTTP ports lie above the gRPC ports.
const HTTP_OFFSET: u16 = 80;

/// How far the ports for PostgreSQL's clients lie above them.
const PG_OFFSET: u16 = 40;

/// Where free ports are looked for: below those that systems give to outgoing connections, so that a node that is started
/// again finds its own still free.
const FREE_FIRST: u16 = 20_000;
const FREE_COUNT: u16 = 12_000;

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    base: u16,
    grpc: u16,
    http: u16,
    pg: u16,
}

impl Ports {
    /// The ports of a node, from the first node's gRPC port; with 0, free ones, which stay free unless somebody else takes
    /// them before the node does.
    pub(super) fn of_node(base: u16, index: u16) -> Result<Ports, Failure> {
        if base == 0 {
            let random = RandomState::new().hash_one(index);
            return Self::free_from((random % u64::from(FREE_COUNT)) as u16);
        }
        let grpc = base.checked_add(index);
        let http = grpc.and_then(|grpc| grpc.checked_add(HTTP_OFFSET));
        match (grpc, http) {
            // What lies between them is in range too.
            (Some(grpc), Some(http)) => Ok(Ports { base, grpc, http, pg: grpc + PG_OFFSET }),
            _ => Err(wrong_argument(format!("--port-base {base}; ports end at 65535"))),
        }
    }

    /// Three free ports, the first of them in UDP too, looked for from this place on.
    fn free_from(start: u16) -> Result<Ports, Failure> {
        let mut free = (0..FREE_COUNT)
            .map(|step| FREE_FIRST + (start + step) % FREE_COUNT)
            .filter(|port| is_free(*port));
        match (free.next(), free.next(), free.next()) {
            (Some(grpc), Some(http), Some(pg)) => Ok(Ports { base: 0, grpc, http, pg }),
            _ => {
                let last = FREE_FIRST + FREE_COUNT - 1;
                let detail = format!("no free ports from {FREE_FIRST} to {last}");
                Err(Error::new(ErrorCode::AddressUnavailable, detail).into())
            }
        }
    }

    /// Whether another node has one of them.
    pub(super) fn overlaps(self, other: Ports) -> bool {
        [self.grpc, self.http, self.pg].iter().any(|port| other.has(*port))
    }

    fn has(self, port: u16) -> bool {
        [self.grpc, self.http, self.pg].contains(&port)
    }

    pub(super) fn grpc_addr(self) -> String {
        format!("127.0.0.1:{}", self.grpc)
    }

    pub(super) fn http_addr(self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    pub(super) fn pg_addr(self) -> String {
        format!("127.0.0.1:{}", self.pg)
    }

    /// Says which port is taken and how to choose others, before a node is started in vain.
    pub(super) fn check_free(self) -> Result<(), Failure> {
        for address in [self.grpc_addr(), self.http_addr(), self.pg_addr()] {
            let bound = TcpListener::bind(&address).map(|_| ());
            let bound = match address == self.grpc_addr() {
                true => bound.and_then(|()| UdpSocket::bind(&address).map(|_| ())),
                false => bound,
            };
            if let Err(error) = bound {
                // The next decade: far enough for a second cluster of the usual size.
                let other = self.base.checked_add(10).unwrap_or(BASE_DEFAULT);
                let detail = format!(
                    "{address}: {error}; choose other ports with `isogrid dev --port-base {other}`, or any free ones \
                     with `--port-base 0`"
                );
                return Err(Error::new(ErrorCode::AddressUnavailable, detail).into());
            }
        }
        Ok(())
    }
}

fn is_free(port: u16) -> bool {
    let address = ("127.0.0.1", port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_adds_its_number_to_each_port() {
        let ports = Ports::of_node(7_700, 2).expect("in range");
        assert_eq!(ports.grpc_addr(), "127.0.0.1:7702");
        assert_eq!(ports.http_addr(), "127.0.0.1:7782");
        assert_eq!(ports.pg_addr(), "127.0.0.1:7742");
        let free = Ports::of_node(0, 2).expect("free ones");
        assert!(free.check_free().is_ok() && free.grpc >= FREE_FIRST && free.http != free.grpc);
        assert!(Ports::of_node(65_500, 0).is_err());
    }

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let taken = listener.local_addr().expect("bound").port();
        let ports = Ports { base: taken, grpc: taken, http: 0, pg: 0 };
        let text = ports.check_free().expect_err("taken").text().unwrap_or_default();
        assert!(text.contains("IG-0604"), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{taken}")) && text.contains("--port-base"));
    }
}
