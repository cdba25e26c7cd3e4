//! Binds addresses.

use std::net::{SocketAddr, ToSocketAddrs};

use isogrid_core::{Error, ErrorCode, Result};
use socket2::{Domain, Socket, Type};

use crate::config::NodeConfig;
use crate::node::internal;

/// How many connections may wait to be accepted: a burst of clients that all come back at once.
const WAITING_CONNECTIONS_MAX: i32 = 4_096;

/// What a node listens at.
pub(crate) struct Listeners {
    pub(crate) grpc: std::net::TcpListener,
    pub(crate) http: std::net::TcpListener,
    /// For PostgreSQL's clients, if it is open to them.
    pub(crate) pg: Option<std::net::TcpListener>,
}

/// Where that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) pg: Option<SocketAddr>,
}

impl Listeners {
    /// Binds all of them.
    pub(crate) fn bind(config: &NodeConfig) -> Result<Self> {
        if config.pg_addr.is_some() && !cfg!(feature = "sql") {
            let detail = "node.pg_addr is set, and this program was built without SQL";
            return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        }
        Ok(Listeners {
            grpc: bind(&config.grpc_addr, "node.grpc_addr")?,
            http: bind(&config.http_addr, "node.http_addr")?,
            pg: config.pg_addr.as_ref().map(|address| bind(address, "node.pg_addr")).transpose()?,
        })
    }

    /// Where they are.
    pub(crate) fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses {
            grpc: local_addr(&self.grpc)?,
            http: local_addr(&self.http)?,
            pg: self.pg.as_ref().map(local_addr).transpose()?,
        })
    }
}

/// Binds an address for a runtime to take over.
fn bind(address: &str, key: &str) -> Result<std::net::TcpListener> {
    let unavailable =
        |why: &str| Error::new(ErrorCode::AddressUnavailable, format!("{key} = {address}: {why}"));
    let addresses = address.to_socket_addrs().map_err(|e| unavailable(&e.to_string()))?;
    let mut last = unavailable("no such address");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = unavailable(&error.to_string()),
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING_CONNECTIONS_MAX)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

pub(crate) fn local_addr(listener: &std::net::TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|e| internal(&e))
}
