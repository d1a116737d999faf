//! TCP sockets that listen for clients, as members of a reuse-port group.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait for the accept task; the kernel caps it at
/// net.core.somaxconn.
const BACKLOG: i32 = 1_024;

/// Fails if somebody else listens at the address.
pub(crate) fn probe_stream(address: SocketAddr) -> io::Result<()> {
    let socket = open(address)?;
    socket.bind(&address.into())
}

/// Listens for one shard, beside the sockets of the others.
pub(crate) fn bind_stream(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A TCP socket of one family, not yet bound.
pub(crate) fn open(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One family a socket, so that no address has two spellings.
        socket.set_only_v6(true)?;
    }
    // What a server before us has left in TIME_WAIT is no obstacle.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    #[test]
    fn second_server_is_an_error_and_a_group_is_not() {
        let first = bind_stream("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(probe_stream(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind_stream(address).unwrap().local_addr().unwrap(), address);
    }
}
