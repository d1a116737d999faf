//! Datagrams from one shard to another: a bounded byte ring of one writer and
//! one reader, filled in batches, dropped when full.
//!
//! ```text
//!   | relay, 8 | port, 2 | family, 1 | address, 16 | length, 4 | payload | ...
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rtrb::{Consumer, Producer, RingBuffer};
use turn_engine::RelayId;

/// Bytes of a ring: 5 ms of a gigabit.
const CAPACITY: usize = 1 << 20;

const HEADER: usize = 8 + 2 + 1 + 16 + 4;

/// The writing end.
#[derive(Debug)]
pub(crate) struct RingWriter(Producer<u8>);

/// The reading end.
#[derive(Debug)]
pub(crate) struct RingReader {
    ring: Consumer<u8>,
    payload: Vec<u8>,
}

pub(crate) fn ring() -> (RingWriter, RingReader) {
    let (writer, reader) = RingBuffer::new(CAPACITY);
    (RingWriter(writer), RingReader { ring: reader, payload: Vec::new() })
}

impl RingWriter {
    /// Puts a datagram in whole, or not at all; says whether it did.
    pub(crate) fn push(&mut self, relay: RelayId, from: SocketAddr, payload: &[u8]) -> bool {
        let Ok(len) = u32::try_from(payload.len()) else { return false };
        if self.0.slots() < HEADER + payload.len() {
            return false;
        }
        let mut header = [0; HEADER];
        let (family, address) = match from.ip() {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        let fields: [&[u8]; 5] = [
            &relay.to_bits().to_be_bytes(),
            &from.port().to_be_bytes(),
            &[family],
            &address,
            &len.to_be_bytes(),
        ];
        header.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        // The reader looks for a whole datagram, so two writes are safe.
        self.0.push_entire_slice(&header).is_ok() && self.0.push_entire_slice(payload).is_ok()
    }
}

impl RingReader {
    /// The next whole datagram.
    pub(crate) fn pop(&mut self) -> Option<(RelayId, SocketAddr, &[u8])> {
        let (relay, from, len) = self.peek()?;
        if self.ring.slots() < HEADER + len {
            return None;
        }
        self.ring.read_chunk(HEADER).ok()?.commit_all();
        self.payload.resize(len, 0);
        self.ring.pop_entire_slice(&mut self.payload).ok()?;
        Some((relay, from, &self.payload))
    }

    fn peek(&mut self) -> Option<(RelayId, SocketAddr, usize)> {
        let chunk = self.ring.read_chunk(HEADER).ok()?;
        let (first, second) = chunk.as_slices();
        let mut header = [0; HEADER];
        header.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        let (relay, rest) = header.split_first_chunk::<8>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let ([family], rest) = rest.split_first_chunk::<1>()?;
        let (address, rest) = rest.split_first_chunk::<16>()?;
        let len = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        let v6 = Ipv6Addr::from(*address);
        let ip = match family {
            4 => IpAddr::V4(v6.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED)),
            _ => IpAddr::V6(v6),
        };
        let relay = RelayId::from_bits(u64::from_be_bytes(*relay));
        Some((relay, SocketAddr::new(ip, u16::from_be_bytes(*port)), usize::try_from(len).ok()?))
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in() {
        let (mut writer, mut reader) = ring();
        let relay = RelayId::from_bits(7 << 32 | 9);
        for (from, payload) in
            [("192.0.2.1:4000", &b"hello"[..]), ("[2001:db8::1]:1", b""), ("[::1]:9", b"x")]
        {
            let from: SocketAddr = from.parse().expect("an address");
            assert!(writer.push(relay, from, payload));
            assert_eq!(reader.pop(), Some((relay, from, payload)));
        }
        assert_eq!(reader.pop(), None);
    }

    #[test]
    fn full_ring_takes_nothing_and_loses_nothing_it_has() {
        let (mut writer, mut reader) = ring();
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        let relay = RelayId::from_bits(1);
        let mut pushed = 0;
        while writer.push(relay, from, &[7; 60_000]) {
            pushed += 1;
        }
        assert_eq!(pushed, CAPACITY / (HEADER + 60_000));
        for _ in 0..pushed {
            assert_eq!(reader.pop().map(|(_, _, payload)| payload.len()), Some(60_000));
        }
        assert_eq!(reader.pop(), None);
        assert!(writer.push(relay, from, b"again"));
        assert_eq!(reader.pop(), Some((relay, from, &b"again"[..])));
    }
}
