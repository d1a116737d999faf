//! The `mmsghdr` arrays of `sendmmsg`, built so that no pointer can outlive
//! what it points to.
//!
//! [`Messages`] owns the arrays; [`Staged`] collects messages whose bytes live
//! for `'a`; [`Sealed`] has the pointers in place and only lets them be sent.

use std::{io, marker::PhantomData, mem, ops::Range, os::fd::AsRawFd, ptr};

use crate::{
    address::SocketName,
    control::ControlSpace,
    faults::{self, Call},
    run::{Parts, Run},
    socket::UdpSocket,
};

/// Arrays for messages; reused from flush to flush.
#[derive(Default)]
pub(crate) struct Messages {
    headers: Vec<libc::mmsghdr>,
    names: Vec<SocketName>,
    controls: Vec<ControlSpace>,
    iovecs: Vec<libc::iovec>,
}

/// Messages that are being collected.
pub(crate) struct Staged<'a> {
    messages: &'a mut Messages,
    bytes: PhantomData<&'a [u8]>,
}

/// Messages that are ready to be sent.
///
/// Invariant: every header points to a name (or has none), a control space and iovecs of
/// `messages`, which does not change any more, and every iovec to bytes that
/// live for `'a`.
pub(crate) struct Sealed<'a> {
    messages: &'a mut Messages,
    bytes: PhantomData<&'a [u8]>,
}

impl Messages {
    /// Starts an empty collection.
    pub(crate) fn stage(&mut self) -> Staged<'_> {
        self.headers.clear();
        self.names.clear();
        self.controls.clear();
        self.iovecs.clear();
        Staged { messages: self, bytes: PhantomData }
    }
}

impl<'a> Staged<'a> {
    /// Adds a message with all segments of a run, to be sent from `via`.
    pub(crate) fn add_run(&mut self, via: &UdpSocket, run: &Run, parts: &Parts<'a>) {
        let before = self.messages.iovecs.len();
        for pieces in parts.of(run) {
            for piece in pieces {
                self.add_piece(piece);
            }
        }
        self.add_message(via, run, before);
    }

    /// Puts all pointers in place.
    pub(crate) fn seal(self) -> Sealed<'a> {
        let Messages { headers, names, controls, iovecs } = &mut *self.messages;
        let (names, controls) = (names.as_mut_ptr(), controls.as_mut_ptr());
        let mut iovec = iovecs.as_mut_ptr();
        for (index, header) in headers.iter_mut().enumerate() {
            let message = &mut header.msg_hdr;
            if message.msg_namelen > 0 {
                message.msg_name = names.wrapping_add(index).cast();
            }
            message.msg_iov = iovec;
            iovec = iovec.wrapping_add(message.msg_iovlen as _);
            if message.msg_controllen > 0 {
                message.msg_control = controls.wrapping_add(index).cast();
            }
        }
        Sealed { messages: self.messages, bytes: PhantomData }
    }

    fn add_piece(&mut self, piece: &'a [u8]) {
        if piece.is_empty() {
            return;
        }
        self.messages.iovecs.push(libc::iovec {
            // The kernel only reads what is sent.
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        });
    }

    /// Adds the header for the pieces from `first_piece` on.
    fn add_message(&mut self, via: &UdpSocket, run: &Run, first_piece: usize) {
        let Messages { headers, names, controls, iovecs } = &mut *self.messages;
        let destination = &run.destination;
        let name = SocketName::new(destination.to);
        // A name would make the kernel look for the way to its peer again.
        let needs_name = !via.is_connected_to(&destination.to);
        let scope = match destination.to {
            std::net::SocketAddr::V4(_) => 0,
            std::net::SocketAddr::V6(to) => to.scope_id(),
        };
        // A size that says that there is one segment is an error on some
        // kernels.
        let segment = u16::try_from(run.segment).ok().filter(|_| run.count > 1);
        let mut control = ControlSpace::EMPTY;
        let control_length = control.write(segment, destination.source, scope);
        // SAFETY: an mmsghdr is integers and pointers (and padding on some
        // targets), for which all zeroes is a value.
        let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
        header.msg_hdr.msg_namelen = if needs_name { name.len() } else { 0 };
        header.msg_hdr.msg_iovlen = (iovecs.len() - first_piece) as _;
        header.msg_hdr.msg_controllen = control_length as _;
        headers.push(header);
        names.push(name);
        controls.push(control);
    }
}

impl Sealed<'_> {
    /// Gives the messages of this range their names, which a socket that is not connected any more
    /// needs.
    pub(crate) fn name(&mut self, range: Range<usize>) {
        let Messages { headers, names, .. } = &mut *self.messages;
        let names = names.get_mut(range.clone()).unwrap_or_default();
        for (header, name) in headers.get_mut(range).unwrap_or_default().iter_mut().zip(names) {
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
        }
    }

    /// Sends messages of this range and says how many were taken; more than
    /// 1,024 at once are taken in part.
    pub(crate) fn sendmmsg(
        &mut self,
        socket: &UdpSocket,
        range: Range<usize>,
    ) -> io::Result<usize> {
        faults::check(Call::Sendmmsg)?;
        let headers = self.messages.headers.get_mut(range).unwrap_or_default();
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `count` headers are writable, and by the invariant of
        // `Sealed` all that they point to is there.
        let count =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Sends one message with the cheapest call that can.
    ///
    /// Most messages through a relay socket are alone in their flush, of one piece and without a
    /// control message; `sendto` then spares the kernel the fetching of a header and a vector.
    pub(crate) fn send_one(&mut self, socket: &UdpSocket, index: usize) -> io::Result<()> {
        let Some(header) = self.messages.headers.get(index).map(|header| header.msg_hdr) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        if header.msg_iovlen != 1 || header.msg_controllen != 0 {
            return self.sendmsg(socket, index);
        }
        faults::check(Call::Sendto)?;
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: by the invariant of `Sealed` the header points to a name of its length (or to
        // none), and to one vector, which points to bytes of its length.
        let sent = unsafe {
            let piece = *header.msg_iov;
            libc::sendto(
                socket.as_raw_fd(),
                piece.iov_base,
                piece.iov_len,
                flags,
                header.msg_name.cast(),
                header.msg_namelen,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends one message.
    pub(crate) fn sendmsg(&mut self, socket: &UdpSocket, index: usize) -> io::Result<()> {
        faults::check(Call::Sendmsg)?;
        let Some(header) = self.messages.headers.get(index) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: by the invariant of `Sealed` all that the header points to
        // is there.
        match unsafe { libc::sendmsg(socket.as_raw_fd(), ptr::from_ref(&header.msg_hdr), flags) } {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("len", &self.headers.len()).finish_non_exhaustive()
    }
}
