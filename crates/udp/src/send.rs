//! Sending: datagrams are collected as references, then leave in runs.
//!
//! A *run* is up to 64 datagrams of one size (the last may be shorter) from
//! one socket to one destination; it leaves as one message with `UDP_SEGMENT`
//! and is cut apart as late as possible. All runs of a socket leave with one
//! `sendmmsg`.
//!
//! ```text
//! groups (sockets)   A ------------> B
//! runs               A1 --> A2       B1          in the order of their pushes
//! segments           | | |  |        | |         prefix, range of a RecvBatch
//! ```
//!
//! Order is kept for each socket. A failure costs the message it belongs to
//! and no other.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use crate::{
    datagram::Payload,
    message::Messages,
    probe::capabilities,
    recv::RecvBatch,
    run::{Parts, Run, Segment},
    socket::UdpSocket,
    transmit::Transmitter,
    verdict::SendError,
};

/// Datagrams on their way out; reused from flush to flush.
///
/// A shard has one; several at once on the same sockets work, but a socket
/// then no longer keeps the order within each.
#[derive(Debug)]
pub struct SendBatch {
    /// Prefixes and copied datagrams.
    arena: Vec<u8>,
    segments: Vec<Segment>,
    runs: Vec<Run>,
    groups: Vec<Group>,
    /// The group of the last run.
    current: usize,
    /// The runs in the order in which they leave.
    order: Vec<usize>,
    messages: Messages,
    /// For the segments of a run that could not leave as one.
    singles: Messages,
    /// Whether `sendmmsg` is not to be had.
    one_by_one: bool,
}

/// Where a datagram goes and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address of the receiver.
    pub to: SocketAddr,
    /// The local address to send from, for a socket bound to a wildcard.
    pub source: Option<IpAddr>,
    /// Whether routers must not fragment it.
    pub dont_fragment: bool,
}

/// What became of the datagrams of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Datagrams that it did not take.
    pub dropped: u64,
    /// System calls made for sending.
    pub syscalls: u64,
    /// Datagrams that left in runs of two or more.
    pub segmented: u64,
}

/// The runs of one socket.
#[derive(Debug)]
struct Group {
    via: Rc<UdpSocket>,
    first: usize,
    last: usize,
    count: usize,
}

impl Destination {
    /// To an address, from the address the socket is bound to, fragmented if
    /// need be.
    pub fn to(to: SocketAddr) -> Self {
        Self { to, source: None, dont_fragment: false }
    }
}

impl SendBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            arena: Vec::new(),
            segments: Vec::new(),
            runs: Vec::new(),
            groups: Vec::new(),
            current: 0,
            order: Vec::new(),
            messages: Messages::default(),
            singles: Messages::default(),
            one_by_one: !capabilities().sendmmsg,
        }
    }

    /// Adds a datagram: `prefix`, which is copied, and a range of a received
    /// one, which is not. The [`RecvBatch`] must not be cleared before the
    /// flush, which may write the prefix over what lies before the range.
    #[inline]
    pub fn push(
        &mut self,
        via: &Rc<UdpSocket>,
        destination: Destination,
        prefix: &[u8],
        payload: Payload,
    ) {
        self.append(via, destination, prefix, payload);
    }

    /// Adds a datagram, which is copied.
    pub fn push_bytes(&mut self, via: &Rc<UdpSocket>, destination: Destination, bytes: &[u8]) {
        self.append(via, destination, bytes, Payload { slot: 0, padding: 0, start: 0, len: 0 });
    }

    /// Sends everything and forgets it.
    ///
    /// `failed` hears of each message that could not be sent, once; the
    /// datagrams of a socket whose buffer is full are dropped with the first
    /// one's error ([`SendError::datagrams`] counts them all).
    pub fn flush(
        &mut self,
        received: &mut RecvBatch,
        failed: impl FnMut(&UdpSocket, &Destination, SendError),
    ) -> Flushed {
        let flushed = Flushed::default();
        if self.segments.is_empty() {
            return flushed;
        }
        let Self { arena, segments, runs, groups, order, messages, singles, one_by_one, .. } = self;
        for segment in &mut *segments {
            segment.join(arena, received);
        }
        let received = &*received;
        let parts = Parts { arena, segments, received };
        order.clear();
        let mut staged = messages.stage();
        for group in &*groups {
            let mut next = Some(group.first);
            while let Some((index, run)) = next.and_then(|i| Some((i, runs.get(i)?))) {
                staged.add_run(&group.via, run, &parts);
                order.push(index);
                next = run.next;
            }
        }
        let mut sealed = staged.seal();
        let mut transmitter = Transmitter { parts, singles, one_by_one, flushed, failed };
        let mut start = 0;
        for group in &*groups {
            let range = start..start + group.count;
            start = range.end;
            let run_of = |message: usize| order.get(message).and_then(|run| runs.get(*run));
            // A full socket ends its own group only.
            let _ = transmitter.send(&group.via, &mut sealed, range, run_of);
        }
        let flushed = transmitter.flushed;
        self.clear();
        flushed
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many datagrams wait for the flush.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    #[inline]
    fn append(
        &mut self,
        via: &Rc<UdpSocket>,
        destination: Destination,
        copied: &[u8],
        payload: Payload,
    ) {
        let size = copied.len() + payload.len as usize + usize::from(payload.padding);
        let segment = Segment {
            start: self.arena.len(),
            // A copied datagram larger than this cannot be sent anyway, and
            // is refused by the kernel for its size.
            len: u32::try_from(copied.len()).unwrap_or(u32::MAX),
            payload,
        };
        self.arena.extend_from_slice(copied);
        match self.runs.last_mut() {
            Some(run)
                if run.takes(&destination, size)
                    && self.groups.get(self.current).is_some_and(|g| Rc::ptr_eq(&g.via, via)) =>
            {
                run.count += 1;
                run.bytes += size;
                run.open = size == run.segment;
            }
            _ => self.start_run(via, destination, size),
        }
        self.segments.push(segment);
    }

    fn start_run(&mut self, via: &Rc<UdpSocket>, destination: Destination, size: usize) {
        let index = self.runs.len();
        self.runs.push(Run {
            destination,
            first: self.segments.len(),
            count: 1,
            segment: size,
            bytes: size,
            open: via.gso(),
            next: None,
        });
        let hint = via.group();
        match self.groups.get_mut(hint) {
            Some(group) if Rc::ptr_eq(&group.via, via) => {
                if let Some(last) = self.runs.get_mut(group.last) {
                    last.next = Some(index);
                }
                group.last = index;
                group.count += 1;
                self.current = hint;
            }
            _ => {
                self.current = self.groups.len();
                via.set_group(self.current);
                self.groups.push(Group {
                    via: Rc::clone(via),
                    first: index,
                    last: index,
                    count: 1,
                });
            }
        }
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.segments.clear();
        self.runs.clear();
        self.groups.clear();
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use super::*;
    use crate::{options::RelayOptions, run::MAX_RUN_BYTES};

    #[test]
    fn equal_datagrams_to_one_destination_are_one_run() {
        let (via, to) = (socket(), destination(1));
        assert_eq!(runs(&[(&via, to, 100), (&via, to, 100), (&via, to, 100)]), [3]);
    }

    #[test]
    fn a_shorter_datagram_ends_a_run_and_a_longer_one_starts_another() {
        let (via, to) = (socket(), destination(1));
        let sizes = [100, 100, 60, 60, 61].map(|size| (&via, to, size));
        assert_eq!(runs(&sizes), [3, 1, 1]);
    }

    #[test]
    fn destination_source_and_df_all_part_runs() {
        let (via, to) = (socket(), destination(1));
        let source = Destination { source: Some("127.0.0.1".parse().unwrap()), ..to };
        let rigid = Destination { dont_fragment: true, ..to };
        let all = [destination(2), to, source, rigid, rigid].map(|to| (&via, to, 100));
        assert_eq!(runs(&all), [1, 1, 1, 2]);
    }

    #[test]
    fn another_socket_parts_runs() {
        let (a, b, to) = (socket(), socket(), destination(1));
        assert_eq!(runs(&[(&a, to, 9), (&b, to, 9), (&b, to, 9), (&a, to, 9)]), [1, 2, 1]);
    }

    #[test]
    fn empty_datagrams_are_alone() {
        let (via, to) = (socket(), destination(1));
        let sizes = [0, 0, 9, 0, 9].map(|size| (&via, to, size));
        assert_eq!(runs(&sizes), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn runs_keep_to_64_segments_and_to_one_datagrams_bytes() {
        let (via, to) = (socket(), destination(1));
        assert_eq!(runs(&[(&via, to, 10); 130]), [64, 64, 2]);
        assert_eq!(runs(&[(&via, to, 1400); 50]), [MAX_RUN_BYTES / 1400, 50 - 46]);
    }

    #[test]
    fn a_socket_without_gso_sends_no_runs() {
        let (via, to) = (socket(), destination(1));
        via.stop_gso();
        assert_eq!(runs(&[(&via, to, 100), (&via, to, 100)]), [1, 1]);
    }

    #[test]
    fn runs_of_a_socket_are_one_group_wherever_they_were_pushed() {
        let (a, b, mut batch) = (socket(), socket(), SendBatch::new());
        for (via, port) in [(&a, 1), (&b, 1), (&a, 2), (&b, 2), (&a, 1)] {
            batch.push_bytes(via, destination(port), b"x");
        }
        let counts: Vec<_> = batch.groups.iter().map(|group| group.count).collect();
        assert_eq!((counts, batch.len()), (vec![3, 2], 5));
        // A stale hint is harmless.
        batch.clear();
        assert!(batch.is_empty());
        batch.push_bytes(&b, destination(1), b"x");
        batch.push_bytes(&a, destination(1), b"x");
        batch.push_bytes(&b, destination(1), b"x");
        let counts: Vec<_> = batch.groups.iter().map(|group| group.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn an_empty_flush_makes_no_call() {
        let flushed = SendBatch::new().flush(&mut RecvBatch::new(1), |_, _, _| {});
        assert_eq!(flushed, Flushed::default());
    }

    fn runs(pushes: &[(&Rc<UdpSocket>, Destination, usize)]) -> Vec<usize> {
        let mut batch = SendBatch::new();
        for (via, destination, size) in pushes {
            batch.push_bytes(via, *destination, &vec![0; *size]);
        }
        batch.runs.iter().map(|run| run.count).collect()
    }

    fn destination(port: u16) -> Destination {
        Destination::to(([127, 0, 0, 1], port).into())
    }

    fn socket() -> Rc<UdpSocket> {
        let local = "127.0.0.1:0".parse().unwrap();
        Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap())
    }
}
