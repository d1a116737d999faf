//! A byte stream to the server, TCP or TLS over TCP, with deadlines.
//!
//! Implements RFC 8489 sections 6.2.2 and 6.2.3 below the messages. One thread can read while
//! another one writes.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::deadline::{deadline, until};
use crate::tls_layer::{TlsLayer, send_all};
use crate::tls_options::{TlsDetails, TlsOptions};

/// A connected stream.
#[derive(Debug)]
pub(crate) struct ByteStream {
    socket: TcpStream,
    tls: Option<Box<TlsLayer>>,
}

/// How long a connect, a handshake, and a write to a server that does not read are given.
const PATIENCE: Duration = Duration::from_secs(10);

impl ByteStream {
    /// Takes over a connected socket, and makes a TLS handshake where options are given.
    pub(crate) fn over(socket: TcpStream, tls: Option<&TlsOptions>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let handshake = |options| TlsLayer::connect(&socket, options, deadline(PATIENCE));
        let tls = tls.map(handshake).transpose()?.map(Box::new);
        Ok(Self { socket, tls })
    }

    /// Opens another one of the same kind to the same server, from the same address.
    pub(crate) fn another(&self) -> io::Result<Self> {
        let local = SocketAddr::new(self.socket.local_addr()?.ip(), 0);
        let socket = connect(local, self.socket.peer_addr()?)?;
        Self::over(socket, self.tls.as_ref().map(|tls| tls.options()))
    }

    /// Reads what there is: `None` when the time is over, 0 at the end.
    pub(crate) fn read(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<Option<usize>> {
        match &self.tls {
            Some(tls) => tls.read(&self.socket, buffer, deadline),
            None => until(deadline, |left| {
                self.socket.set_read_timeout(Some(left))?;
                (&self.socket).read(buffer)
            }),
        }
    }

    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.tls {
            Some(tls) => tls.write_all(&self.socket, bytes),
            None => send_all(&self.socket, bytes),
        }
    }

    /// Ends one direction or both; with close_notify, where TLS has it.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match (&self.tls, how) {
            (Some(tls), Shutdown::Write | Shutdown::Both) => tls.close_notify(&self.socket)?,
            (Some(_), Shutdown::Read) | (None, _) => {}
        }
        self.socket.shutdown(how)
    }

    pub(crate) const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn tls(&self) -> Option<TlsDetails> {
        self.tls.as_ref()?.details()
    }
}

/// Connects from a local address.
pub(crate) fn connect(local: SocketAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&local.into())?;
    socket.connect_timeout(&server.into(), PATIENCE)?;
    Ok(socket.into())
}
