//! Peers: one that counts what reaches it and stays silent, and one that sends it back.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A socket that nothing should reach.
#[derive(Debug)]
pub struct Canary {
    socket: UdpSocket,
}

/// A socket that answers when told to, so that a test says what comes when.
#[derive(Debug)]
pub struct Echo {
    socket: UdpSocket,
}

/// The longest datagram that UDP can carry.
const MAX_DATAGRAM: usize = 65_535;

/// How long a datagram on this machine may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Canary {
    /// Listens on an address of this machine; IPv6 only where it is one.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn on(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address);
        let socket = socket.unwrap_or_else(|error| panic!("no canary on {address}: {error}"));
        socket.set_nonblocking(true).expect("a socket can be made non-blocking");
        Self { socket }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// How many datagrams have reached it since it was asked last.
    ///
    /// # Panics
    /// When the socket fails.
    pub fn count(&self) -> usize {
        let mut buffer = [0; 64];
        let mut count = 0;
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok(_) => count += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
                Err(error) => panic!("the canary on {} fails: {error}", self.address()),
            }
        }
    }
}

impl Echo {
    /// Listens on an address of this machine.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn on(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address);
        let socket = socket.unwrap_or_else(|error| panic!("no peer on {address}: {error}"));
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { socket }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// The next datagram, or nothing where none comes in five seconds.
    pub fn receive(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        buffer.truncate(length);
        Some((buffer, from))
    }

    /// Whether nothing has come that has not been received.
    ///
    /// # Panics
    /// When the socket fails.
    pub fn is_idle(&self) -> bool {
        self.socket.set_nonblocking(true).expect("a socket can be made non-blocking");
        let received = self.socket.recv(&mut [0; 64]);
        self.socket.set_nonblocking(false).expect("a socket can be made blocking");
        received.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits for a datagram and sends it back to where it came from.
    ///
    /// # Panics
    /// When none comes.
    pub fn echo(&self) -> Vec<u8> {
        let (data, from) = self.receive().expect("a datagram reaches the peer");
        self.send(from, &data);
        data
    }

    /// Sends a datagram.
    ///
    /// # Panics
    /// When the system refuses it.
    pub fn send(&self, to: SocketAddr, data: &[u8]) {
        let sent = self.socket.send_to(data, to);
        sent.unwrap_or_else(|error| panic!("{} bytes to {to}: {error}", data.len()));
    }
}
