//! A received datagram: what is known of it, and names for ranges of it.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use crate::recv::RecvBatch;

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// The local address it came to, of a socket with
    /// [`packet_info`](crate::ListenerOptions::packet_info).
    pub to: Option<IpAddr>,
    /// Its payload, possibly empty.
    pub bytes: &'a [u8],
    /// Where the payload is, to refer to ranges of it.
    pub at: PayloadAt,
}

/// The place of a datagram in a [`RecvBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadAt {
    slot: u16,
    start: u32,
    len: u32,
}

/// A range of a received datagram, and zero bytes to follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    pub(crate) slot: u16,
    pub(crate) padding: u8,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl PayloadAt {
    /// A range of the datagram, in bytes from its start. What lies beyond its
    /// end is not part of it.
    pub fn range(self, range: Range<usize>) -> Payload {
        debug_assert!(range.end <= self.len as usize, "a range of the datagram");
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX).min(self.len);
        let (start, end) = (clamp(range.start), clamp(range.end));
        Payload {
            slot: self.slot,
            padding: 0,
            start: self.start + start,
            len: end.saturating_sub(start),
        }
    }
}

impl Payload {
    /// The same with so many zero bytes after it (the padding of the last
    /// attribute of a Data indication).
    #[must_use]
    pub fn padded(self, zeroes: u8) -> Self {
        debug_assert!(usize::from(zeroes) <= PADDING.len(), "at most 3 bytes");
        Self { padding: zeroes, ..self }
    }

    /// The bytes to follow the payload.
    pub(crate) fn padding_bytes(self) -> &'static [u8] {
        PADDING.get(..usize::from(self.padding)).unwrap_or(&PADDING)
    }
}

/// STUN attributes are padded to a multiple of 4 bytes.
static PADDING: [u8; 3] = [0; 3];

/// Iterator over received datagrams; see [`RecvBatch::datagrams`].
#[derive(Debug)]
pub struct Datagrams<'a> {
    batch: &'a RecvBatch,
    slots: Range<usize>,
    train: Option<Train<'a>>,
}

/// What is left of a slot.
#[derive(Debug)]
pub(crate) struct Train<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) to: Option<IpAddr>,
    pub(crate) slot: u16,
    pub(crate) start: u32,
    pub(crate) stride: u32,
    pub(crate) rest: &'a [u8],
}

impl<'a> Datagrams<'a> {
    pub(crate) fn new(batch: &'a RecvBatch, slots: Range<usize>) -> Self {
        Self { batch, slots, train: None }
    }
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datagram<'a>> {
        let mut train = match self.train.take() {
            Some(train) => train,
            None => self.slots.by_ref().find_map(|slot| self.batch.train(slot))?,
        };
        let (bytes, rest) =
            train.rest.split_at_checked(train.stride as usize).unwrap_or((train.rest, &[]));
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = PayloadAt { slot: train.slot, start: train.start, len };
        let datagram = Datagram { from: train.from, to: train.to, bytes, at };
        if !rest.is_empty() {
            train.start += len;
            train.rest = rest;
            self.train = Some(train);
        }
        Some(datagram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_inside_its_datagram() {
        let at = PayloadAt { slot: 3, start: 1000, len: 20 };
        let payload = at.range(4..20).padded(2);
        assert_eq!(payload, Payload { slot: 3, padding: 2, start: 1004, len: 16 });
        assert_eq!(payload.padding_bytes(), [0, 0]);
        assert_eq!(at.range(20..20).len, 0);
    }

    #[test]
    #[cfg(not(debug_assertions))]
    fn a_range_beyond_the_end_is_cut() {
        let at = PayloadAt { slot: 3, start: 1000, len: 20 };
        assert_eq!(at.range(4..21).len, 16);
        assert_eq!(at.range(30..31).len, 0);
    }
}
