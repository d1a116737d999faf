//! Runs: datagrams of one size from one socket to one destination, which can
//! leave as one message (`UDP_SEGMENT`).
//!
//! Invariants: all segments of a run have the same size but the last, which
//! may be shorter; a run of two or more has no empty segment; it keeps to
//! [`MAX_SEGMENTS`] and [`MAX_RUN_BYTES`].

use crate::{datagram::Payload, recv::RecvBatch, send::Destination};

/// The most datagrams of a run: what every kernel with GSO takes.
pub const MAX_SEGMENTS: usize = 64;

/// The most bytes of a run: the largest IPv4 datagram.
pub const MAX_RUN_BYTES: usize = 65_507;

/// Datagrams that leave as one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) destination: Destination,
    /// The first of `count` segments.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// The size of all segments but the last.
    pub(crate) segment: usize,
    /// The bytes of all segments.
    pub(crate) bytes: usize,
    /// Whether another segment of `segment` bytes or less may join.
    pub(crate) open: bool,
    /// The next run of the same socket.
    pub(crate) next: Option<usize>,
}

/// One datagram: a piece of the arena, then a range of a `RecvBatch`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) len: u32,
    pub(crate) payload: Payload,
}

impl Segment {
    /// Puts the copied piece in front of the other one, where there is room: the kernel takes one
    /// piece faster than two.
    #[inline]
    pub(crate) fn join(&mut self, arena: &[u8], received: &mut RecvBatch) {
        if self.len == 0 || self.payload.len == 0 {
            return;
        }
        let copied = arena.get(self.start..self.start + self.len as usize).unwrap_or_default();
        if let Some(joined) = received.prepend(copied, self.payload) {
            *self = Self { len: 0, payload: joined, ..*self };
        }
    }
}

impl Run {
    /// Whether a datagram of this size to this destination can join.
    #[inline]
    pub(crate) fn takes(&self, destination: &Destination, size: usize) -> bool {
        self.open
            && size <= self.segment
            // An empty datagram cannot be told apart in a train.
            && size > 0
            && self.count < MAX_SEGMENTS
            && self.bytes + size <= MAX_RUN_BYTES
            && self.destination == *destination
    }

    /// The segments of this run as runs of their own.
    pub(crate) fn singles(&self) -> impl Iterator<Item = Self> + use<> {
        let run = *self;
        (0..run.count).map(move |index| {
            let bytes = run.segment.min(run.bytes - index * run.segment);
            Self {
                first: run.first + index,
                count: 1,
                segment: bytes,
                bytes,
                open: false,
                next: None,
                ..run
            }
        })
    }
}

/// Where the bytes of segments are.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) arena: &'a [u8],
    pub(crate) segments: &'a [Segment],
    pub(crate) received: &'a RecvBatch,
}

impl<'a> Parts<'a> {
    /// The pieces of each segment of `run`, in order.
    pub(crate) fn of(&self, run: &Run) -> impl Iterator<Item = [&'a [u8]; 3]> + use<'a> {
        let Self { arena, segments, received } = *self;
        let segments = segments.get(run.first..run.first + run.count).unwrap_or_default();
        segments.iter().map(move |segment| {
            let copied = arena.get(segment.start..segment.start + segment.len as usize);
            [
                copied.unwrap_or_default(),
                received.bytes(segment.payload),
                segment.payload.padding_bytes(),
            ]
        })
    }
}
