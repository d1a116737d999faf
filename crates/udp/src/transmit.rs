//! What happens to messages between a flush and the kernel: partial sends,
//! errors that others have caused, full queues, trains that a path refuses.
//!
//! Invariants: every datagram is counted once, as sent or as dropped; an
//! error costs no message but its own; no call is repeated without bound.

use std::{io, mem, ops::ControlFlow, ops::Range};

use crate::{
    message::{Messages, Sealed},
    run::{Parts, Run},
    send::{Destination, Flushed},
    socket::UdpSocket,
    verdict::{SendError, is_full, may_be_pending},
};

/// Sends the messages of one flush.
pub(crate) struct Transmitter<'a, F> {
    pub(crate) parts: Parts<'a>,
    /// Reused for the datagrams of a run that could not leave as one.
    pub(crate) singles: &'a mut Messages,
    /// Whether `sendmmsg` is not to be had.
    pub(crate) one_by_one: &'a mut bool,
    pub(crate) flushed: Flushed,
    pub(crate) failed: F,
}

/// How often one message may meet an error that another one has caused. Each
/// is used up by being met, so more than one means that more have arrived
/// meanwhile.
const PENDING_ERRORS: usize = 3;

/// What fits every path: the IPv6 minimum MTU less headers.
const FITS_EVERY_PATH: usize = 1280 - 40 - 8;

impl<F: FnMut(&UdpSocket, &Destination, SendError)> Transmitter<'_, F> {
    /// Sends messages of one socket; `run_of` says which run a message is.
    pub(crate) fn send<'r>(
        &mut self,
        socket: &UdpSocket,
        sealed: &mut Sealed<'_>,
        messages: Range<usize>,
        run_of: impl Fn(usize) -> Option<&'r Run> + Copy,
    ) -> ControlFlow<()> {
        let mut next = messages.start;
        let mut alike = next;
        let mut retries = 0;
        while let Some(run) = run_of(next).filter(|_| next < messages.end) {
            if alike <= next {
                // DF belongs to the socket, so a call sends only messages
                // that agree on it.
                let on = run.destination.dont_fragment;
                let differs =
                    |m: &usize| run_of(*m).is_none_or(|r| r.destination.dont_fragment != on);
                alike = (next + 1..messages.end).find(differs).unwrap_or(messages.end);
                if let Err(error) = socket.set_dont_fragment(on) {
                    self.give_up(socket, next..alike, run_of, &error);
                    next = alike;
                    continue;
                }
            }
            let error = match self.call(socket, sealed, next..alike) {
                Ok(count) if count > 0 => {
                    (next..next + count).filter_map(run_of).for_each(|run| self.sent(run));
                    next += count;
                    retries = 0;
                    continue;
                }
                Ok(_) => io::Error::from_raw_os_error(libc::EAGAIN),
                Err(error) => error,
            };
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            if errno == libc::EINTR {
                continue;
            }
            // [R10] No room now: waiting would let other sockets starve, and
            // what is late is worth nothing.
            if is_full(errno) {
                self.give_up(socket, next..messages.end, run_of, &error);
                return ControlFlow::Break(());
            }
            // [R11] The error of another message is no reason to lose this one.
            if (may_be_pending(errno) || is_told_to_connected(socket, errno))
                && retries < PENDING_ERRORS
            {
                retries += 1;
                continue;
            }
            if errno == libc::EDESTADDRREQ && socket.peer().is_some() {
                socket.forget_peer();
                sealed.name(next..messages.end);
                continue;
            }
            retries = 0;
            next += 1;
            if run.count > 1 && matches!(errno, libc::EIO | libc::EINVAL | libc::EMSGSIZE) {
                if self.send_singles(socket, run, errno).is_break() {
                    let error = io::Error::from_raw_os_error(libc::EAGAIN);
                    self.give_up(socket, next..messages.end, run_of, &error);
                    return ControlFlow::Break(());
                }
            } else {
                self.give_up(socket, next - 1..next, run_of, &error);
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends the datagrams of a run one by one, after it was refused as one.
    fn send_singles(&mut self, socket: &UdpSocket, run: &Run, errno: i32) -> ControlFlow<()> {
        let before = self.flushed.datagrams;
        let mut messages = mem::take(self.singles);
        let mut staged = messages.stage();
        let singles: Vec<Run> = run.singles().collect();
        for single in &singles {
            staged.add_run(socket, single, &self.parts);
        }
        let mut sealed = staged.seal();
        let outcome =
            self.send(socket, &mut sealed, 0..singles.len(), |message| singles.get(message));
        *self.singles = messages;
        // Only if the destination takes datagrams was the train at fault. And
        // only if they fit every path was it not their size, which a stranger
        // chooses: EINVAL is also what older kernels say of too large ones.
        let is_refused = match errno {
            libc::EIO => true,
            libc::EINVAL => run.segment <= FITS_EVERY_PATH,
            _ => false,
        };
        if is_refused && self.flushed.datagrams > before {
            socket.stop_gso();
        }
        outcome
    }

    /// Makes one system call for the messages of `range`, or two to find out
    /// that one of them is not to be had.
    fn call(
        &mut self,
        socket: &UdpSocket,
        sealed: &mut Sealed<'_>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        self.flushed.syscalls += 1;
        if *self.one_by_one || range.len() == 1 {
            return sealed.send_one(socket, range.start).map(|()| 1);
        }
        let first = range.start;
        let error = match sealed.sendmmsg(socket, range) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => error,
            outcome => return outcome,
        };
        // [R26] A sandbox may forbid the call. EPERM may also be the word of
        // a firewall about this message, so the ordinary call decides.
        self.flushed.syscalls += 1;
        let outcome = sealed.sendmsg(socket, first).map(|()| 1);
        let is_eperm = |error: &io::Error| error.raw_os_error() == Some(libc::EPERM);
        *self.one_by_one = !is_eperm(&error) || !outcome.as_ref().is_err_and(is_eperm);
        outcome
    }

    fn sent(&mut self, run: &Run) {
        let count = run.count as u64;
        self.flushed.datagrams += count;
        self.flushed.bytes += run.bytes as u64;
        if run.count > 1 {
            self.flushed.segmented += count;
        }
    }

    /// Counts messages as dropped and reports them as one failure.
    fn give_up<'r>(
        &mut self,
        socket: &UdpSocket,
        messages: Range<usize>,
        run_of: impl Fn(usize) -> Option<&'r Run>,
        error: &io::Error,
    ) {
        let Some(first) = run_of(messages.start).filter(|_| !messages.is_empty()) else {
            return;
        };
        let dropped: usize = messages.filter_map(run_of).map(|run| run.count).sum();
        self.flushed.dropped += dropped as u64;
        let error = SendError {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            datagrams: u32::try_from(dropped).unwrap_or(u32::MAX),
        };
        (self.failed)(socket, &first.destination, error);
    }
}

/// Whether a router can have left this on a socket because it is connected: that something before did
/// not fit its way with DF.
fn is_told_to_connected(socket: &UdpSocket, errno: i32) -> bool {
    errno == libc::EMSGSIZE && socket.peer().is_some()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::{net::SocketAddr, rc::Rc};

    use super::*;
    use crate::{
        faults::{self, Call, inject},
        options::RelayOptions,
        recv::RecvBatch,
        send::SendBatch,
    };

    #[test]
    fn r10_a_full_queue_drops_the_rest_of_the_socket_and_nothing_of_others() {
        for errno in [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM] {
            let mut world = World::new();
            inject(Call::Sendmmsg, [Some(errno)]);
            let other = socket();
            world.push([1, 2, 3]);
            world.batch.push_bytes(&other, world.peer(), &[9; 9]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.syscalls), (1, 3, 2));
            assert_eq!(world.errors, [SendError { errno, datagrams: 3 }]);
            assert_eq!(world.arrived(), [9]);
            // The socket is as good as before.
            world.push([4]);
            world.flush();
            assert_eq!(world.arrived(), [4]);
        }
    }

    #[test]
    fn r11_an_error_of_another_message_costs_nothing() {
        for errno in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EPROTO] {
            let mut world = World::new();
            inject(Call::Sendmmsg, [Some(errno)]);
            world.push([1, 2]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.syscalls), (2, 0, 2));
            assert_eq!(world.arrived(), [1, 2]);
        }
    }

    #[test]
    fn r11_an_error_that_stays_costs_its_message_only() {
        for errno in [libc::EHOSTUNREACH, libc::EACCES, libc::EADDRNOTAVAIL, libc::EFAULT] {
            let mut world = World::new();
            let calls = if may_be_pending(errno) { 1 + PENDING_ERRORS } else { 1 };
            inject(Call::Sendmmsg, vec![Some(errno); calls]);
            world.push([1, 2, 3]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped), (2, 1));
            assert_eq!(world.errors, [SendError { errno, datagrams: 1 }]);
            assert_eq!(world.arrived(), [2, 3]);
        }
    }

    #[test]
    fn r26_without_sendmmsg_the_same_datagrams_leave() {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let mut world = World::new();
            inject(Call::Sendmmsg, [Some(errno)]);
            world.push([1, 2, 2, 3]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.syscalls), (4, 0, 4));
            assert_eq!(world.arrived(), [1, 2, 2, 3]);
            // Remembered: a fault that waits for sendmmsg is never met.
            inject(Call::Sendmmsg, [Some(libc::EFAULT)]);
            world.push([4]);
            assert_eq!(world.flush().datagrams, 1);
            assert!(faults::check(Call::Sendmmsg).is_err());
        }
    }

    #[test]
    fn r10_r11_a_lone_datagram_meets_the_same_errors() {
        for (errno, tries, is_sent) in [
            (libc::EAGAIN, 1, false),
            (libc::ENOBUFS, 1, false),
            (libc::ECONNREFUSED, 1, true),
            (libc::EHOSTUNREACH, 1 + PENDING_ERRORS, false),
            (libc::EPERM, 1, false),
            (libc::EINTR, 3, true),
        ] {
            let mut world = World::new();
            inject(Call::Sendto, vec![Some(errno); tries]);
            world.push([7]);
            let flushed = world.flush();
            let expected = if is_sent { (1, 0) } else { (0, 1) };
            assert_eq!((flushed.datagrams, flushed.dropped), expected, "{errno}");
            let lost = SendError { errno, datagrams: 1 };
            assert_eq!(world.errors, if is_sent { vec![] } else { vec![lost] });
            world.push([8]);
            assert_eq!(world.flush().datagrams, 1);
            assert_eq!(world.arrived(), if is_sent { vec![7, 8] } else { vec![8] });
        }
    }

    #[test]
    fn r11_a_firewalls_eperm_is_about_one_message() {
        let mut world = World::new();
        inject(Call::Sendmmsg, [Some(libc::EPERM)]);
        inject(Call::Sendmsg, [Some(libc::EPERM)]);
        world.push([1, 2, 3]);
        let flushed = world.flush();
        assert_eq!((flushed.datagrams, flushed.dropped), (2, 1));
        // Two calls for the first message, one for the two others.
        assert_eq!(flushed.syscalls, 3);
        assert_eq!(world.arrived(), [2, 3]);
    }

    #[test]
    fn r26_a_refused_train_leaves_one_by_one_and_is_the_last_of_its_socket() {
        for errno in [libc::EIO, libc::EINVAL] {
            let mut world = World::new();
            inject(Call::Sendmmsg, [Some(errno)]);
            world.push([5, 5, 4, 7]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.segmented), (4, 0, 0));
            assert_eq!(world.arrived(), [5, 5, 4, 7]);
            assert!(!world.via.gso());
        }
    }

    #[test]
    fn a_train_too_large_for_the_path_does_not_end_trains() {
        for (errno, size) in [(libc::EMSGSIZE, 5), (libc::EINVAL, 1300)] {
            let mut world = World::new();
            inject(Call::Sendmmsg, [Some(errno)]);
            world.push([size, size]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped), (2, 0));
            assert!(world.via.gso());
        }
    }

    #[test]
    fn a_destination_that_takes_nothing_does_not_end_trains() {
        let mut world = World::new();
        // Port 0 gives EINVAL, and is what a stranger can make us answer to.
        let nowhere = Destination::to(([127, 0, 0, 1], 0).into());
        for _ in 0..3 {
            world.batch.push_bytes(&world.via, nowhere, &[1; 5]);
        }
        world.push([6]);
        let flushed = world.flush();
        assert_eq!((flushed.datagrams, flushed.dropped), (1, 3));
        assert!(world.via.gso());
        assert_eq!(world.arrived(), [6]);
    }

    #[test]
    fn r10_a_queue_that_fills_within_a_refused_train_ends_the_flush_of_its_socket() {
        let mut world = World::new();
        inject(Call::Sendmmsg, [Some(libc::EIO), Some(libc::EAGAIN)]);
        world.push([5, 5, 9]);
        let flushed = world.flush();
        assert_eq!((flushed.datagrams, flushed.dropped, flushed.syscalls), (0, 3, 2));
        let full = |datagrams| SendError { errno: libc::EAGAIN, datagrams };
        assert_eq!(world.errors, [full(2), full(1)]);
        assert!(world.via.gso(), "nothing says that the train was at fault");
    }

    #[test]
    fn df_parts_the_calls_of_a_socket_and_keeps_their_order() {
        let mut world = World::new();
        let rigid = Destination { dont_fragment: true, ..world.peer() };
        world.push([1]);
        world.batch.push_bytes(&world.via, rigid, &[0; 2]);
        world.push([3]);
        let flushed = world.flush();
        assert_eq!((flushed.datagrams, flushed.dropped, flushed.syscalls), (3, 0, 3));
        assert_eq!(world.arrived(), [1, 2, 3]);
    }

    #[test]
    fn r11_only_a_connected_socket_takes_a_size_for_the_error_of_another_message() {
        for (is_connected, expected) in [(false, (0, 1)), (true, (1, 0))] {
            let mut world = World::new();
            if is_connected {
                world.via.connect(world.receiver.local_addr()).unwrap();
            }
            inject(Call::Sendto, [Some(libc::EMSGSIZE)]);
            world.push([7]);
            let flushed = world.flush();
            assert_eq!((flushed.datagrams, flushed.dropped), expected);
        }
    }

    /// A sending socket, its receiver and all that is between.
    struct World {
        via: Rc<UdpSocket>,
        receiver: Rc<UdpSocket>,
        batch: SendBatch,
        errors: Vec<SendError>,
    }

    impl World {
        fn new() -> Self {
            let (via, receiver) = (socket(), socket());
            Self { via, receiver, batch: SendBatch::new(), errors: Vec::new() }
        }

        fn peer(&self) -> Destination {
            Destination::to(self.receiver.local_addr())
        }

        /// Pushes datagrams of these sizes.
        fn push(&mut self, sizes: impl IntoIterator<Item = usize>) {
            for size in sizes {
                self.batch.push_bytes(&self.via, self.peer(), &vec![0; size]);
            }
        }

        fn flush(&mut self) -> Flushed {
            let errors = &mut self.errors;
            self.batch.flush(&mut RecvBatch::new(1), |_, _, error| errors.push(error))
        }

        /// The sizes of what has arrived.
        fn arrived(&self) -> Vec<usize> {
            let mut received = RecvBatch::new(32);
            let fill = received.fill(&self.receiver, 32).unwrap();
            received.datagrams(fill.slots).map(|datagram| datagram.bytes.len()).collect()
        }
    }

    fn socket() -> Rc<UdpSocket> {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap())
    }
}
