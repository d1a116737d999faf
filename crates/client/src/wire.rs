//! A connected UDP socket with deadlines.
//!
//! The socket is connected, so that only what comes from the address that was asked is read.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Whole datagrams to and from one server.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
}

/// The longest datagram that UDP can carry.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

impl Wire {
    /// Binds a local address and connects it to the server.
    ///
    /// # Errors
    ///
    /// What the system answers: an address that is not here or is taken, no route.
    pub fn connect(local: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.connect(server)?;
        Ok(Self { socket })
    }

    /// Sends one datagram.
    ///
    /// # Errors
    ///
    /// What the system answers, save an ICMP error about an earlier datagram.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send(bytes) {
                Ok(_) => return Ok(()),
                Err(error) if is_about_another_packet(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for one datagram; `None` when the time is over.
    ///
    /// # Errors
    ///
    /// What the system answers, save an ICMP error about an earlier datagram.
    pub fn receive(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let received = self.receive_into(&mut buffer, deadline(timeout))?;
        Ok(received.map(<[u8]>::to_vec))
    }

    /// Returns the address that this side is bound to.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Returns the server's address.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn server_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    pub(crate) fn receive_into<'b>(
        &self,
        buffer: &'b mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<&'b [u8]>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of zero would wait for ever; what has arrived is read all the same.
            self.socket.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            match self.socket.recv(buffer) {
                Ok(len) => return Ok(buffer.get(..len)),
                Err(error) if is_timeout(&error) => {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(error) if is_about_another_packet(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The moment when a timeout that starts now is over; one of more than a day is a day.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(86_400))
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut
}

/// An ICMP error of an earlier datagram, or a signal. A server that is just starting refuses
/// the first ones; whether it answers at all is for the schedule of the transaction to say.
fn is_about_another_packet(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused || error.kind() == ErrorKind::Interrupted
}
