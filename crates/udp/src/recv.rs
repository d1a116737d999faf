//! Receiving: many datagrams a call, into buffers that stay where they are.
//!
//! ```text
//!  slot 0                 slot 1                 slot 2 ...
//! lead[datagram........|gap] [seg|seg|seg|se....|gap] [free.............|gap]
//!                             a train (GRO), taken apart by its stride
//! ```
//!
//! In front of each slot is free room, its lead: what leaves as a prefix and a
//! payload is one piece for the kernel when the prefix is written there.
//!
//! Slots fill from the left until [`RecvBatch::clear`]; a [`Payload`] names a
//! range of a slot and is good until then. Each slot holds the largest UDP
//! datagram there is. One that did not fit all the same is counted and never
//! seen (row P8).

use std::{io, mem, net::IpAddr, ops::Range, os::fd::AsRawFd, ptr};

use crate::{
    address::SocketName,
    control::{ControlSpace, Received},
    datagram::{Datagrams, Payload, Train},
    faults::{self, Call},
    probe::capabilities,
    socket::UdpSocket,
};

/// A set of receive buffers; one a shard serves all its sockets.
pub struct RecvBatch {
    /// All buffers, `pitch` bytes apart. The four vectors below and this one
    /// never change their size, so the pointers in `headers` stay good.
    buffers: Vec<u8>,
    pitch: usize,
    names: Vec<SocketName>,
    controls: Vec<ControlSpace>,
    /// Points into `names`, `controls` and, by `iovecs`, into `buffers`;
    /// ready for the kernel from `slots.len()` on.
    headers: Vec<libc::mmsghdr>,
    /// Kept because `headers` points into it.
    iovecs: Vec<libc::iovec>,
    /// One for each slot in use.
    slots: Vec<Slot>,
    /// Whether `recvmmsg` is not to be had.
    one_by_one: bool,
}

/// What one call has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// The slots that it filled; see [`RecvBatch::datagrams`].
    pub slots: Range<usize>,
    /// Whether the socket had no more to give.
    pub drained: bool,
    /// Datagrams that were larger than a buffer, and dropped.
    pub truncated: u64,
}

/// What is known of a slot in use.
#[derive(Clone, Copy, Debug)]
struct Slot {
    len: u32,
    /// The size of all segments but the last; `len` if it is no train.
    stride: u32,
    to: Option<IpAddr>,
    whole: bool,
    /// Something was written in front of its first datagram.
    has_prefix: bool,
}

/// The largest datagram, rounded up to a power of two.
const SLOT_SIZE: usize = 64 * 1024;

/// Between two slots: an odd number of cache lines, so that their first bytes
/// do not compete for the same cache sets; 21, so that neighbours do not for
/// packets of up to 1,344 bytes.
const GAP: usize = 21 * 64;

/// The free bytes in front of each slot: the first one's own, the last bytes of a gap for all others.
const LEAD: u32 = 64;

impl RecvBatch {
    /// Makes `slots` buffers of 64 KiB (at least 1, at most 65,535). What was
    /// never written to takes no memory.
    pub fn new(slots: usize) -> Self {
        Self::with_slot_size(slots, SLOT_SIZE)
    }

    /// Smaller slots, to see what happens to datagrams that do not fit.
    pub(crate) fn with_slot_size(slots: usize, size: usize) -> Self {
        let slots = slots.clamp(1, usize::from(u16::MAX));
        let pitch = size + GAP;
        let mut batch = Self {
            buffers: vec![0; LEAD as usize + slots * pitch],
            pitch,
            names: vec![SocketName::EMPTY; slots],
            controls: vec![ControlSpace::EMPTY; slots],
            headers: Vec::with_capacity(slots),
            iovecs: Vec::with_capacity(slots),
            slots: Vec::with_capacity(slots),
            one_by_one: !capabilities().recvmmsg,
        };
        let buffers = batch.buffers.as_mut_ptr();
        batch.iovecs.extend((0..slots).map(|slot| libc::iovec {
            iov_base: buffers.wrapping_add(LEAD as usize + slot * pitch).cast(),
            iov_len: size,
        }));
        let (names, controls) = (batch.names.as_mut_ptr(), batch.controls.as_mut_ptr());
        let iovecs = batch.iovecs.as_mut_ptr();
        batch.headers.extend((0..slots).map(|slot| {
            // SAFETY: an mmsghdr is integers and pointers (and padding on
            // some targets), for which all zeroes is a value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = names.wrapping_add(slot).cast();
            header.msg_hdr.msg_iov = iovecs.wrapping_add(slot);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = controls.wrapping_add(slot).cast();
            make_ready(&mut header);
            header
        }));
        batch
    }

    /// Reads up to `at_most` messages into the free slots with one call and
    /// says which; finding none is no error. Without a free slot it makes no
    /// call.
    ///
    /// # Errors
    /// What the call says, and nothing was read; see [`crate::verdict`].
    /// There may be more to read behind the error. An interrupted call is made
    /// again.
    pub fn fill(&mut self, socket: &UdpSocket, at_most: usize) -> io::Result<Fill> {
        let first = self.slots.len();
        let wanted = at_most.min(self.free_slots());
        if wanted == 0 {
            return Ok(Fill { slots: first..first, drained: false, truncated: 0 });
        }
        let count = match self.receive(socket, first..first + wanted) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let mut truncated = 0;
        let filled = self.headers.iter_mut().zip(&self.controls).skip(first).take(count);
        for (header, control) in filled {
            let slot = Slot::read(header, control);
            truncated += u64::from(!slot.whole);
            self.slots.push(slot);
            make_ready(header);
        }
        Ok(Fill { slots: first..self.slots.len(), drained: count < wanted, truncated })
    }

    /// Makes all slots free. What refers to payloads in them must have been
    /// sent before.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// The datagrams in the slots of a [`Fill`], in the order of arrival.
    pub fn datagrams(&self, slots: Range<usize>) -> Datagrams<'_> {
        Datagrams::new(self, slots)
    }

    /// How many more slots can be filled.
    pub fn free_slots(&self) -> usize {
        self.headers.len() - self.slots.len()
    }

    /// The bytes of a payload; empty where it is not from this batch.
    #[inline]
    pub(crate) fn bytes(&self, payload: Payload) -> &[u8] {
        let start = usize::from(payload.slot) * self.pitch + payload.start as usize;
        self.buffers.get(start..start + payload.len as usize).unwrap_or_default()
    }

    /// Writes `prefix` in front of a payload, over what lies there, and gives the range of both;
    /// `None` where another datagram lies there, or something was written before.
    #[inline]
    pub(crate) fn prepend(&mut self, prefix: &[u8], payload: Payload) -> Option<Payload> {
        let slot = self.slots.get_mut(usize::from(payload.slot))?;
        let is_of_first = payload.start < LEAD + slot.stride;
        if slot.has_prefix || !is_of_first {
            return None;
        }
        let len = u32::try_from(prefix.len()).ok()?;
        let start = payload.start.checked_sub(len)?;
        let first = usize::from(payload.slot) * self.pitch + start as usize;
        self.buffers.get_mut(first..first + prefix.len())?.copy_from_slice(prefix);
        slot.has_prefix = true;
        Some(Payload { start, len: payload.len + len, ..payload })
    }

    /// All of a slot; `None` if it is not in use or did not fit.
    #[inline]
    pub(crate) fn train(&self, index: usize) -> Option<Train<'_>> {
        let slot = self.slots.get(index).filter(|slot| slot.whole)?;
        let number = u16::try_from(index).ok()?;
        let all = Payload { slot: number, padding: 0, start: LEAD, len: slot.len };
        Some(Train {
            from: self.names.get(index)?.address()?,
            to: slot.to,
            slot: number,
            start: all.start,
            stride: slot.stride,
            rest: self.bytes(all),
        })
    }

    /// Receives into free slots and says how many are filled.
    fn receive(&mut self, socket: &UdpSocket, slots: Range<usize>) -> io::Result<usize> {
        if self.one_by_one {
            return self.receive_one_by_one(socket, slots);
        }
        loop {
            match self.recvmmsg(socket, slots.clone()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // [R26] A sandbox may forbid the call. EPERM may also be the
                // word of a firewall, so the ordinary call decides.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    let outcome = self.receive_one_by_one(socket, slots);
                    let refused = |e: &io::Error| e.raw_os_error() == Some(libc::EPERM);
                    self.one_by_one = !outcome.as_ref().is_err_and(refused);
                    return outcome;
                }
                outcome => return outcome,
            }
        }
    }

    fn receive_one_by_one(&mut self, socket: &UdpSocket, slots: Range<usize>) -> io::Result<usize> {
        let mut count = 0;
        for slot in slots {
            match self.recvmsg(socket, slot) {
                Ok(()) => count += 1,
                // What came before counts; a lasting error comes again.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn recvmmsg(&mut self, socket: &UdpSocket, slots: Range<usize>) -> io::Result<usize> {
        faults::check(Call::Recvmmsg)?;
        let headers = self.headers.get_mut(slots).unwrap_or_default();
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: `count` headers are writable, and they point to a name, a
        // control space, an iovec and a buffer each that this batch owns,
        // that nothing borrows while `self` is borrowed mutably, and that
        // have the sizes written there (`with_slot_size`, `make_ready`).
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    fn recvmsg(&mut self, socket: &UdpSocket, slot: usize) -> io::Result<()> {
        let Some(header) = self.headers.get_mut(slot) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        loop {
            faults::check(Call::Recvmsg)?;
            let message = &raw mut header.msg_hdr;
            // SAFETY: as in `recvmmsg`, for one header.
            let len = unsafe { libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_DONTWAIT) };
            if let Ok(len) = libc::c_uint::try_from(len) {
                header.msg_len = len;
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch")
            .field("slots", &self.slots)
            .field("free_slots", &self.free_slots())
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// Reads what the kernel has written beside a datagram.
    fn read(header: &libc::mmsghdr, control: &ControlSpace) -> Self {
        let message = &header.msg_hdr;
        let said = match message.msg_controllen {
            0 => Received::default(),
            length => control.read(length as _),
        };
        let len = header.msg_len;
        let stride = match said.segment {
            Some(size) if size > 0 => u32::from(size).min(len),
            Some(_) | None => len,
        };
        // [P8]
        let whole = message.msg_flags & libc::MSG_TRUNC == 0;
        Self { len, stride, to: said.to, whole, has_prefix: false }
    }
}

/// Sets what the kernel reads and then overwrites.
fn make_ready(header: &mut libc::mmsghdr) {
    header.msg_hdr.msg_namelen = SocketName::CAPACITY;
    header.msg_hdr.msg_controllen = ControlSpace::SIZE as _;
    header.msg_hdr.msg_flags = 0;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::{net::UdpSocket as Plain, rc::Rc};

    use super::*;
    use crate::{
        faults::inject,
        options::{ListenerOptions, RelayOptions},
        send::{Destination, SendBatch},
    };

    #[test]
    fn p8_a_datagram_larger_than_a_slot_is_counted_and_never_delivered() {
        let (socket, sender) = pair(false);
        let mut batch = RecvBatch::with_slot_size(4, 100);
        for size in [100, 101, 7] {
            sender.send(&vec![7; size]).unwrap();
        }
        let fill = batch.fill(&socket, 4).unwrap();
        assert_eq!((fill.slots.clone(), fill.drained, fill.truncated), (0..3, true, 1));
        assert_eq!(sizes(&batch, fill.slots), [100, 7]);
    }

    #[test]
    fn a_prefix_is_written_in_front_of_the_first_datagram_of_a_slot_once() {
        let (socket, sender) = pair(false);
        for bytes in [b"head one", b"head two"] {
            sender.send(bytes).unwrap();
        }
        let mut batch = RecvBatch::new(4);
        let fill = batch.fill(&socket, 4).unwrap();
        let places: Vec<_> = batch.datagrams(fill.slots).map(|datagram| datagram.at).collect();
        let prefix = [7; LEAD as usize + 5];
        for (place, tail) in places.iter().zip([b"one", b"two"]) {
            let payload = place.range(5..8);
            let joined = batch.prepend(&prefix, payload).unwrap();
            assert_eq!(batch.bytes(joined), [&prefix[..], tail].concat());
            assert_eq!(batch.prepend(&prefix, payload), None);
        }
        // What was written before the second slot is none of the first one's.
        assert_eq!(batch.bytes(places.first().unwrap().range(5..8)), b"one");
        batch.clear();
        sender.send(b"again").unwrap();
        let fill = batch.fill(&socket, 4).unwrap();
        let place = batch.datagrams(fill.slots).next().unwrap().at;
        assert_eq!(batch.prepend(&[7; LEAD as usize + 1], place.range(0..5)), None);
        assert!(batch.prepend(&[7; LEAD as usize], place.range(0..5)).is_some());
    }

    #[test]
    fn no_prefix_is_written_over_another_datagram_of_a_train() {
        let (socket, _) = pair(true);
        let to = Destination::to(socket.local_addr());
        let local = "127.0.0.1:0".parse().unwrap();
        let via = Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap());
        let mut train = SendBatch::new();
        for bytes in [b"one", b"two"] {
            train.push_bytes(&via, to, bytes);
        }
        let mut batch = RecvBatch::new(4);
        assert_eq!(train.flush(&mut batch, |_, _, _| {}).segmented, 2);
        let fill = batch.fill(&socket, 4).unwrap();
        let places: Vec<_> = batch.datagrams(fill.slots).map(|datagram| datagram.at).collect();
        let [first, second] = places.as_slice() else { panic!("{places:?}") };
        assert_eq!(batch.prepend(b"x", second.range(0..3)), None);
        assert!(batch.prepend(b"x", first.range(0..3)).is_some());
        assert_eq!(batch.bytes(second.range(0..3)), b"two");
    }

    #[test]
    fn p8_the_largest_datagram_there_is_fits() {
        let (socket, sender) = pair(true);
        sender.send(&vec![7; 65_507]).unwrap();
        let mut batch = RecvBatch::new(2);
        let fill = batch.fill(&socket, 2).unwrap();
        assert_eq!(fill.truncated, 0);
        assert_eq!(sizes(&batch, fill.slots), [65_507]);
    }

    #[test]
    fn a_batch_fills_up_without_disturbing_what_it_holds() {
        let (socket, sender) = pair(false);
        let mut batch = RecvBatch::new(3);
        for byte in 0..5_u8 {
            sender.send(&[byte; 4]).unwrap();
        }
        let first = batch.fill(&socket, 2).unwrap();
        assert_eq!((first.slots.clone(), first.drained), (0..2, false));
        let second = batch.fill(&socket, 2).unwrap();
        assert_eq!((second.slots, second.drained, batch.free_slots()), (2..3, false, 0));
        let none = batch.fill(&socket, 2).unwrap();
        assert_eq!((none.slots, none.drained), (3..3, false));
        let bytes: Vec<u8> = batch.datagrams(0..3).flat_map(|d| d.bytes).copied().collect();
        assert_eq!(bytes, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        batch.clear();
        assert_eq!(batch.datagrams(0..3).count(), 0);
        let rest = batch.fill(&socket, 3).unwrap();
        assert_eq!((rest.slots.clone(), rest.drained), (0..2, true));
        assert_eq!(sizes(&batch, rest.slots), [4, 4]);
    }

    #[test]
    fn an_empty_queue_is_no_error() {
        let (socket, _) = pair(false);
        let expected = Fill { slots: 0..0, drained: true, truncated: 0 };
        assert_eq!(RecvBatch::new(3).fill(&socket, 3).unwrap(), expected);
    }

    #[test]
    fn r26_without_recvmmsg_the_same_datagrams_arrive() {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let (socket, sender) = pair(false);
            let mut batch = RecvBatch::new(8);
            inject(Call::Recvmmsg, [Some(errno)]);
            for size in [3, 0, 5] {
                sender.send(&vec![7; size]).unwrap();
            }
            let fill = batch.fill(&socket, 8).unwrap();
            assert!(fill.drained);
            assert_eq!(sizes(&batch, fill.slots), [3, 0, 5]);
            // Remembered: a fault that waits for recvmmsg is never met.
            inject(Call::Recvmmsg, [Some(libc::EFAULT)]);
            sender.send(b"more").unwrap();
            let fill = batch.fill(&socket, 8).unwrap();
            assert_eq!(sizes(&batch, fill.slots), [4]);
            assert!(faults::check(Call::Recvmmsg).is_err());
        }
    }

    #[test]
    fn r26_eperm_of_both_calls_is_about_the_socket() {
        let (socket, sender) = pair(false);
        let mut batch = RecvBatch::new(8);
        inject(Call::Recvmmsg, [Some(libc::EPERM)]);
        inject(Call::Recvmsg, [Some(libc::EPERM)]);
        let error = batch.fill(&socket, 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        sender.send(b"x").unwrap();
        inject(Call::Recvmsg, [Some(libc::EFAULT)]);
        assert_eq!(batch.fill(&socket, 8).unwrap().slots, 0..1);
        assert!(faults::check(Call::Recvmsg).is_err());
    }

    #[test]
    fn an_interrupted_call_is_made_again() {
        let (socket, sender) = pair(false);
        sender.send(b"x").unwrap();
        inject(Call::Recvmmsg, [Some(libc::EINTR), Some(libc::EINTR)]);
        assert_eq!(RecvBatch::new(1).fill(&socket, 1).unwrap().slots, 0..1);
    }

    #[test]
    fn r12_an_error_leaves_the_batch_as_it_was() {
        let (socket, sender) = pair(false);
        let mut batch = RecvBatch::new(4);
        sender.send(b"x").unwrap();
        inject(Call::Recvmmsg, [Some(libc::ENETDOWN)]);
        assert_eq!(batch.fill(&socket, 4).unwrap_err().raw_os_error(), Some(libc::ENETDOWN));
        assert_eq!(batch.fill(&socket, 4).unwrap().slots, 0..1);
    }

    fn pair(gro: bool) -> (UdpSocket, Plain) {
        let options = ListenerOptions { gro, ..ListenerOptions::default() };
        let socket = UdpSocket::listener("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let sender = Plain::bind("127.0.0.1:0").unwrap();
        sender.connect(socket.local_addr()).unwrap();
        (socket, sender)
    }

    fn sizes(batch: &RecvBatch, slots: Range<usize>) -> Vec<usize> {
        batch.datagrams(slots).map(|datagram| datagram.bytes.len()).collect()
    }
}
