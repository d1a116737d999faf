//! UDP sockets of many clients, each connected to the server and used a datagram at a time.
//!
//! Of many clients nearly every packet is the only one on its socket, so there is nothing to batch.
//! What a connected socket spares is the generator's own work: a route for each packet, and the
//! copies of addresses and headers that `sendmmsg` and `recvmmsg` want. The server sees the same
//! packets.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use turn_udp::{Epoll, ListenerOptions, Ready};

/// Sockets by number.
#[derive(Debug)]
pub(crate) struct Connected {
    all: Vec<UdpSocket>,
    set: Epoll,
    ready: Ready,
    buffer: Vec<u8>,
    /// Calls to a socket that has something before it is another one's turn.
    visits: usize,
    refused: u64,
}

/// Datagrams taken before the next look at what is due, about.
const AT_ONCE: usize = 256;

/// The largest datagram there is.
const LARGEST: usize = 65_536;

impl Connected {
    /// Binds `count` sockets to an address, whose port is best 0, and connects them.
    pub(crate) fn bind(address: SocketAddr, server: SocketAddr, count: usize) -> io::Result<Self> {
        let set = Epoll::new()?;
        let mut all = Vec::with_capacity(count);
        for token in 0..count as u64 {
            let socket = turn_udp::UdpSocket::listener(address, &ListenerOptions::default())?;
            let socket = UdpSocket::from(socket.into_owned_fd());
            socket.connect(server)?;
            set.add(&socket, token)?;
            all.push(socket);
        }
        let visits = AT_ONCE.checked_div(count).unwrap_or(1).max(1);
        Ok(Self { all, set, ready: Ready::new(), buffer: vec![0; LARGEST], visits, refused: 0 })
    }

    /// Sends a datagram.
    pub(crate) fn send(&mut self, socket: usize, bytes: &[u8]) {
        let Some(socket) = self.all.get(socket) else { return };
        // An ICMP error about an earlier datagram is used up by being met.
        if socket.send(bytes).or_else(|_| socket.send(bytes)).is_err() {
            self.refused += 1;
        }
    }

    /// How many datagrams the kernel has not taken since the last time.
    pub(crate) const fn refused(&mut self) -> u64 {
        std::mem::replace(&mut self.refused, 0)
    }

    /// Hands over what has arrived, with the number of its socket.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let Self { all, set, ready, buffer, visits, .. } = self;
        for token in set.wait(ready, Some(Duration::ZERO))? {
            let number = usize::try_from(*token).unwrap_or(usize::MAX);
            if let Some(socket) = all.get(number) {
                take(socket, *visits, buffer, |bytes| each(number, bytes))?;
            }
        }
        Ok(())
    }
}

/// Takes at most so many datagrams.
fn take(
    socket: &UdpSocket,
    at_most: usize,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    for _ in 0..at_most {
        match socket.recv(buffer) {
            Ok(len) => each(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // An ICMP error about an earlier datagram.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_hands_over_what_was_sent_to_it() {
        for count in [1, 40, 300] {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let local = "127.0.0.1:0".parse().unwrap();
            let mut clients = Connected::bind(local, server.local_addr().unwrap(), count).unwrap();
            for client in 0..count {
                clients.send(client, b"hello");
                let (_, address) = server.recv_from(&mut [0; 16]).unwrap();
                for _ in 0..5 {
                    server.send_to(&[7; 9], address).unwrap();
                }
            }
            let mut from_each = vec![0; count];
            for _ in 0..20 {
                let each = |client: usize, bytes: &[u8]| {
                    assert_eq!(bytes, [7; 9]);
                    from_each.get_mut(client).map(|count| *count += 1).unwrap();
                };
                clients.receive(each).unwrap();
            }
            assert_eq!((from_each, clients.refused()), (vec![5; count], 0));
        }
    }

    #[test]
    fn a_stranger_is_not_heard() {
        let (server, stranger) = (socket(), socket());
        let server = server.local_addr().unwrap();
        let mut clients = Connected::bind("127.0.0.1:0".parse().unwrap(), server, 1).unwrap();
        let address = clients.all.first().unwrap().local_addr().unwrap();
        stranger.send_to(b"hello", address).unwrap();
        clients.receive(|_, _| panic!("from nobody but the server")).unwrap();
    }

    #[test]
    fn a_server_that_is_away_is_no_error() {
        let nobody = socket().local_addr().unwrap();
        let mut clients = Connected::bind("127.0.0.1:0".parse().unwrap(), nobody, 1).unwrap();
        for _ in 0..3 {
            clients.send(0, b"hello");
            clients.receive(|_, _| panic!("nobody answers")).unwrap();
        }
    }

    fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").unwrap()
    }
}
