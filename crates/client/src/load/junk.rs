//! Garbage from a stranger, beside what is useful: half of it to the listener, half to relayed
//! addresses.
//!
//! None of it deserves an answer: bytes that are no STUN, STUN whose length is wrong, a cut STUN
//! message, ChannelData of nobody; and at relayed addresses, data of a peer without a permission.

use std::net::SocketAddr;

use turn_codec::{ChannelData, ChannelNumber};
use turn_udp::Destination;

use super::sockets::Sockets;
use super::{Ends, LoadError};

/// The stranger.
#[derive(Debug)]
pub(crate) struct Junk {
    socket: Sockets,
    server: Destination,
    relayed: Vec<Destination>,
    garbage: Vec<Vec<u8>>,
    percent: u64,
    useful: u64,
    sent: u64,
}

impl Junk {
    /// Makes it for a share of all packets, in percent.
    pub(crate) fn new(
        ends: &Ends,
        relayed: &[Destination],
        percent: u32,
        size: u16,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            socket: Sockets::bind(SocketAddr::new(ends.stranger, 0), 1, false)?,
            server: Destination::to(ends.server),
            relayed: relayed.to_vec(),
            garbage: garbage(size)?,
            percent: u64::from(percent.min(99)),
            useful: 0,
            sent: 0,
        })
    }

    /// Sends what belongs to so many more useful packets, and says how many.
    pub(crate) fn beside(&mut self, useful: u64) -> u64 {
        self.useful += useful;
        let before = self.sent;
        while self.sent < self.useful * self.percent / (100 - self.percent) {
            let turn = usize::try_from(self.sent / 2).unwrap_or(0);
            let garbage = of_turn(&self.garbage, turn).map_or(&b""[..], Vec::as_slice);
            let to = match of_turn(&self.relayed, turn) {
                Some(relayed) if self.sent % 2 == 1 => *relayed,
                Some(_) | None => self.server,
            };
            self.socket.send(0, to, garbage);
            self.sent += 1;
        }
        self.socket.flush();
        self.sent - before
    }
}

fn of_turn<T>(all: &[T], turn: usize) -> Option<&T> {
    all.get(turn.checked_rem(all.len())?)
}

/// One of each kind, of a useful packet's size.
fn garbage(size: u16) -> Result<Vec<Vec<u8>>, LoadError> {
    let mut noise = vec![0; usize::from(size)];
    getrandom::fill(&mut noise).map_err(std::io::Error::other)?;
    let with_head = |head: &[u8]| {
        let rest = noise.get(head.len()..).unwrap_or_default();
        [head, rest].concat()
    };
    let cookie = [0x21, 0x12, 0xA4, 0x42];
    // A Binding request that claims 8 bytes more, or some of another world, than there are.
    let wrong_length = [&[0, 1, 0, 8][..], &cookie].concat();
    let cut = [&[0, 3, 0xFF, 0xFC][..], &cookie].concat();
    Ok(vec![
        with_head(&[0xFF]),
        with_head(&wrong_length),
        with_head(&cut),
        with_head(&ChannelData::header(ChannelNumber::MIN, size.saturating_sub(4))),
    ])
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use turn_codec::Message;

    use super::*;

    #[test]
    fn share_of_junk_is_exact_and_both_places_get_half() {
        let (listener, relay) = (receiver(), receiver());
        let server = listener.local_addr().unwrap();
        let ends = Ends::on_loopback(server);
        let relayed = [Destination::to(relay.local_addr().unwrap())];
        let mut junk = Junk::new(&ends, &relayed, 20, 160).unwrap();
        let sent: u64 = (0..40).map(|_| junk.beside(1)).sum();
        // 10 of 50 are 20 %.
        assert_eq!(sent, 10);
        assert_eq!((count(&listener), count(&relay)), (5, 5));
    }

    #[test]
    fn junk_is_no_message() {
        let kinds = garbage(160).unwrap();
        assert!(kinds.iter().all(|bytes| bytes.len() == 160 && Message::parse(bytes).is_err()));
    }

    fn receiver() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn count(socket: &UdpSocket) -> usize {
        std::iter::from_fn(|| socket.recv(&mut [0; 2_048]).ok()).count()
    }
}
