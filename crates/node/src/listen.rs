//! Binds addresses.

use std::net::{SocketAddr, ToSocketAddrs};

use isogrid_core::{Error, ErrorCode, Result};
use socket2::{Domain, Socket, Type};

use crate::node::internal;

/// How many connections may wait to be accepted: a burst of clients that all come back at once.
const WAITING_CONNECTIONS_MAX: i32 = 4_096;

/// Binds an address for a runtime to take over.
pub(crate) fn bind(address: &str, key: &str) -> Result<std::net::TcpListener> {
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
