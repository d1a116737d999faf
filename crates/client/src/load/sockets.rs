//! UDP sockets of one kind, in batches: many datagrams a call, out and in.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use turn_udp::{Destination, Epoll, ListenerOptions, Ready, RecvBatch, SendBatch, UdpSocket};

/// Sockets by number.
#[derive(Debug)]
pub(crate) struct Sockets {
    all: Vec<Rc<UdpSocket>>,
    set: Epoll,
    ready: Ready,
    received: RecvBatch,
    sending: SendBatch,
}

/// Datagrams (or trains) taken from a socket with one call.
const SLOTS: usize = 64;

/// Calls to the only socket before the next look at what is due.
const VISITS: usize = 4;

/// Receive buffer of the only socket of its kind, to which everything comes.
const LARGE_BUFFER: usize = 4 << 20;

impl Sockets {
    /// Binds `count` sockets to an address, whose port is best 0; `trains` says whether trains are
    /// taken as one.
    pub(crate) fn bind(address: SocketAddr, count: usize, trains: bool) -> io::Result<Self> {
        let receive_buffer = (count == 1).then_some(LARGE_BUFFER);
        let options = ListenerOptions { gro: trains, receive_buffer, ..ListenerOptions::default() };
        let set = Epoll::new()?;
        let mut all = Vec::with_capacity(count);
        for token in 0..count as u64 {
            let socket = Rc::new(UdpSocket::listener(address, &options)?);
            set.add(&*socket, token)?;
            all.push(socket);
        }
        let (received, sending) = (RecvBatch::new(SLOTS), SendBatch::new());
        Ok(Self { all, set, ready: Ready::new(), received, sending })
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.all.iter().map(|socket| socket.local_addr())
    }

    /// Puts a datagram in line. Neighbours of equal size on one socket to one destination leave as
    /// a train.
    pub(crate) fn send(&mut self, socket: usize, to: Destination, bytes: &[u8]) {
        if let Some(via) = self.all.get(socket) {
            self.sending.push_bytes(via, to, bytes);
        }
    }

    /// Sends what is in line, and says how many datagrams the kernel did not take.
    pub(crate) fn flush(&mut self) -> u64 {
        self.sending.flush(&mut self.received, |_, _, _| {}).dropped
    }

    /// Hands over what has arrived, with the number of its socket.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let Self { all, set, ready, received, .. } = self;
        if let [only] = &**all {
            for _ in 0..VISITS {
                if take(received, only, |bytes| each(0, bytes))? {
                    break;
                }
            }
            return Ok(());
        }
        for token in set.wait(ready, Some(Duration::ZERO))? {
            let number = usize::try_from(*token).unwrap_or(usize::MAX);
            if let Some(socket) = all.get(number) {
                take(received, socket, |bytes| each(number, bytes))?;
            }
        }
        Ok(())
    }
}

/// Takes what one call brings, and says whether the socket had no more.
fn take(received: &mut RecvBatch, socket: &UdpSocket, each: impl FnMut(&[u8])) -> io::Result<bool> {
    let fill = match received.fill(socket, SLOTS) {
        Ok(fill) => fill,
        // An ICMP error about an earlier datagram.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(false),
        Err(error) => return Err(error),
    };
    received.datagrams(fill.slots).map(|datagram| datagram.bytes).for_each(each);
    received.clear();
    Ok(fill.drained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_socket_and_many_hand_over_the_same() {
        for count in [1, 3] {
            let mut to = Sockets::bind("127.0.0.1:0".parse().unwrap(), count, true).unwrap();
            let mut from = Sockets::bind("127.0.0.1:0".parse().unwrap(), 1, false).unwrap();
            let addresses: Vec<_> = to.addresses().collect();
            for address in &addresses {
                for _ in 0..5 {
                    from.send(0, Destination::to(*address), b"hello");
                }
            }
            assert_eq!(from.flush(), 0);
            let mut from_each = vec![0; count];
            for _ in 0..100 {
                to.receive(|socket, bytes| {
                    assert_eq!(bytes, b"hello");
                    from_each.get_mut(socket).map(|count| *count += 1).unwrap();
                })
                .unwrap();
            }
            assert_eq!(from_each, vec![5; count]);
        }
    }
}
