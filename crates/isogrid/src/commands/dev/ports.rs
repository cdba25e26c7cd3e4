//! The ports of a local cluster: node *i* adds *i* to each.

use std::net::TcpListener;

use isogrid_core::{Error, ErrorCode};

use crate::exit::{Failure, wrong_argument};

/// The gRPC port of the first node.
pub(super) const BASE_DEFAULT: u16 = 7_700;

/// How far the HTTP ports lie above the gRPC ports.
const HTTP_OFFSET: u16 = 80;

/// The ports of one node; zeros for free ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    base: u16,
    grpc: u16,
    http: u16,
}

impl Ports {
    /// The ports of a node, from the first node's gRPC port.
    pub(super) fn of_node(base: u16, index: u16) -> Result<Ports, Failure> {
        if base == 0 {
            return Ok(Ports { base, grpc: 0, http: 0 });
        }
        let grpc = base.checked_add(index);
        let http = grpc.and_then(|grpc| grpc.checked_add(HTTP_OFFSET));
        match (grpc, http) {
            (Some(grpc), Some(http)) => Ok(Ports { base, grpc, http }),
            _ => Err(wrong_argument(format!("--port-base {base}; ports end at 65535"))),
        }
    }

    pub(super) fn grpc_addr(self) -> String {
        format!("127.0.0.1:{}", self.grpc)
    }

    pub(super) fn http_addr(self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    /// Says which port is taken and how to choose others, before a node is started in vain.
    pub(super) fn check_free(self) -> Result<(), Failure> {
        for address in [self.grpc_addr(), self.http_addr()] {
            if let Err(error) = TcpListener::bind(&address) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_adds_its_number_to_each_port() {
        let ports = Ports::of_node(7_700, 2).expect("in range");
        assert_eq!(ports.grpc_addr(), "127.0.0.1:7702");
        assert_eq!(ports.http_addr(), "127.0.0.1:7782");
        assert_eq!(Ports::of_node(0, 2).expect("free ones").grpc_addr(), "127.0.0.1:0");
        assert!(Ports::of_node(65_500, 0).is_err());
    }

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let taken = listener.local_addr().expect("bound").port();
        let ports = Ports { base: taken, grpc: taken, http: 0 };
        let text = ports.check_free().expect_err("taken").text().unwrap_or_default();
        assert!(text.contains("IG-0604"), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{taken}")) && text.contains("--port-base"));
    }
}
