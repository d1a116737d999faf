//! The way to one server: a connected UDP socket, or a TCP or TLS stream, with deadlines.
//!
//! A UDP socket is connected, so that only what comes from the address that was asked is read.
//! Over a stream, messages are told apart by their lengths (RFC 8489 section 6.2.2).

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::byte_stream::{self, ByteStream};
use crate::data_connection::DataConnection;
use crate::deadline::{deadline, until};
use crate::framed_stream::FramedStream;
use crate::tls_options::{TlsDetails, TlsOptions};

/// Whole messages to and from one server.
#[derive(Debug)]
pub struct Wire {
    kind: Kind,
}

/// The longest message on a stream, which is a little longer than any datagram: a header of 20
/// bytes and 65,532 bytes of attributes.
pub(crate) const MAX_MESSAGE: usize = 65_552;

impl Wire {
    /// Binds a local address and connects it to the server, over UDP.
    ///
    /// # Errors
    ///
    /// What the system answers: an address that is not here or is taken, no route.
    pub fn connect(local: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.connect(server)?;
        Ok(Self { kind: Kind::Datagrams(socket) })
    }

    /// Connects to the server over TCP.
    ///
    /// # Errors
    ///
    /// What the system answers; `TimedOut` after 10 s.
    pub fn connect_tcp(local: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        Self::over_tcp(byte_stream::connect(local, server)?)
    }

    /// Connects to the server over TCP and makes a TLS handshake.
    ///
    /// # Errors
    ///
    /// What the system answers; `TimedOut` where connect or handshake takes 10 s; `InvalidData`
    /// with a `rustls::Error` inside where the handshake fails.
    pub fn connect_tls(
        local: SocketAddr,
        server: SocketAddr,
        options: &TlsOptions,
    ) -> io::Result<Self> {
        Self::over_tls(byte_stream::connect(local, server)?, options)
    }

    /// Takes over a TCP connection, on which something may have been sent already.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn over_tcp(socket: TcpStream) -> io::Result<Self> {
        ByteStream::over(socket, None).map(Self::of_stream)
    }

    /// Takes over a TCP connection, on which something may have been sent already, and makes a
    /// TLS handshake.
    ///
    /// # Errors
    ///
    /// As [`connect_tls`](Self::connect_tls).
    pub fn over_tls(socket: TcpStream, options: &TlsOptions) -> io::Result<Self> {
        ByteStream::over(socket, Some(options)).map(Self::of_stream)
    }

    /// Sends one datagram, or these bytes on a stream.
    ///
    /// # Errors
    ///
    /// What the system answers, save an ICMP error about an earlier datagram; `TimedOut` where
    /// a stream takes nothing for 10 s.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let socket = match &self.kind {
            Kind::Datagrams(socket) => socket,
            Kind::Stream(framed) => return framed.stream().write_all(bytes),
        };
        loop {
            match socket.send(bytes) {
                Ok(_) => return Ok(()),
                Err(error) if is_about_another_packet(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for one datagram, or one whole message of a stream, without its padding; `None`
    /// when the time is over.
    ///
    /// # Errors
    ///
    /// What the system answers, save an ICMP error about an earlier datagram. On a stream
    /// `UnexpectedEof` at its end, and `InvalidData` where no message begins.
    pub fn receive(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let received = self.receive_into(&mut buffer, deadline(timeout))?;
        Ok(received.map(<[u8]>::to_vec))
    }

    /// Waits for one datagram, or any bytes of a stream as they come: padding too, half a
    /// message, many messages. `None` when the time is over; empty at the end of a stream.
    ///
    /// # Errors
    ///
    /// What the system answers; `UnexpectedEof` where TLS ends without close_notify.
    pub fn read_some(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        match &self.kind {
            Kind::Datagrams(_) => self.receive(timeout),
            Kind::Stream(framed) => framed.read_some(deadline(timeout)),
        }
    }

    /// Ends one direction of a stream, or both; TLS says close_notify before it stops sending.
    /// [`tcp`](Self::tcp) can do it without.
    ///
    /// # Errors
    ///
    /// What the system answers; `Unsupported` over UDP.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match &self.kind {
            Kind::Datagrams(_) => Err(ErrorKind::Unsupported.into()),
            Kind::Stream(framed) => framed.stream().shutdown(how),
        }
    }

    /// Returns the TCP connection below, for its options. Whoever reads or writes on it does so
    /// behind the back of TLS and of the framing.
    #[must_use]
    pub const fn tcp(&self) -> Option<&TcpStream> {
        match &self.kind {
            Kind::Datagrams(_) => None,
            Kind::Stream(framed) => Some(framed.stream().socket()),
        }
    }

    /// Returns what the TLS handshake has settled.
    #[must_use]
    pub fn tls(&self) -> Option<TlsDetails> {
        match &self.kind {
            Kind::Datagrams(_) => None,
            Kind::Stream(framed) => framed.stream().tls(),
        }
    }

    /// Returns the address that this side is bound to.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.kind {
            Kind::Datagrams(socket) => socket.local_addr(),
            Kind::Stream(framed) => framed.stream().socket().local_addr(),
        }
    }

    /// Returns the server's address.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn server_addr(&self) -> io::Result<SocketAddr> {
        match &self.kind {
            Kind::Datagrams(socket) => socket.peer_addr(),
            Kind::Stream(framed) => framed.stream().socket().peer_addr(),
        }
    }

    pub(crate) const fn is_stream(&self) -> bool {
        match &self.kind {
            Kind::Datagrams(_) => false,
            Kind::Stream(_) => true,
        }
    }

    /// Opens another way of the same kind to the same server, from the same address.
    pub(crate) fn another(&self) -> io::Result<Self> {
        match &self.kind {
            Kind::Datagrams(socket) => {
                let local = SocketAddr::new(socket.local_addr()?.ip(), 0);
                Self::connect(local, socket.peer_addr()?)
            }
            Kind::Stream(framed) => framed.stream().another().map(Self::of_stream),
        }
    }

    /// Gives up the framing of a stream.
    pub(crate) fn into_data_connection(self) -> io::Result<DataConnection> {
        match self.kind {
            Kind::Datagrams(_) => Err(ErrorKind::Unsupported.into()),
            Kind::Stream(framed) => {
                let (stream, early) = framed.into_parts();
                Ok(DataConnection::new(stream, early))
            }
        }
    }

    pub(crate) fn receive_into<'b>(
        &self,
        buffer: &'b mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<&'b [u8]>> {
        let socket = match &self.kind {
            Kind::Datagrams(socket) => socket,
            Kind::Stream(framed) => return framed.receive_into(buffer, deadline),
        };
        let received = until(deadline, |left| {
            socket.set_read_timeout(Some(left))?;
            loop {
                match socket.recv(buffer) {
                    Err(error) if is_about_another_packet(&error) => {}
                    received => return received,
                }
            }
        });
        Ok(received?.and_then(|len| buffer.get(..len)))
    }

    fn of_stream(stream: ByteStream) -> Self {
        Self { kind: Kind::Stream(FramedStream::new(stream)) }
    }
}

#[derive(Debug)]
enum Kind {
    Datagrams(UdpSocket),
    Stream(FramedStream),
}

/// An ICMP error of an earlier datagram, or a signal. A server that is just starting refuses
/// the first ones; whether it answers at all is for the schedule of the transaction to say.
fn is_about_another_packet(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused || error.kind() == ErrorKind::Interrupted
}
