//! A set of sockets to wait for, level-triggered.
//!
//! One instance holds all relay sockets of a shard and is itself a descriptor
//! that becomes readable, so that a runtime waits for one thing.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::Duration,
};

/// The most tokens that one wait returns.
const EVENTS: i32 = 256;

/// A level-triggered epoll instance; each socket has a token.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

/// What one wait has found; reused from wait to wait.
#[derive(Debug)]
pub struct Ready {
    events: Vec<libc::epoll_event>,
    tokens: Vec<u64>,
}

impl Epoll {
    /// Makes an empty set.
    ///
    /// # Errors
    /// What `epoll_create1` says.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes one integer and touches no memory.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// Waits for at most `timeout` (`None`: without end; zero: not at all)
    /// and returns the tokens of up to 256 sockets that can be read. A socket
    /// with a waiting error counts as readable.
    ///
    /// # Errors
    /// What `epoll_wait` says; an interrupted wait is an empty one.
    pub fn wait<'r>(
        &self,
        ready: &'r mut Ready,
        timeout: Option<Duration>,
    ) -> io::Result<&'r [u64]> {
        ready.tokens.clear();
        // SAFETY: `events` is writable for CAPACITY elements for the length of
        // the call.
        let count = unsafe {
            let events = ready.events.as_mut_ptr();
            libc::epoll_wait(self.fd.as_raw_fd(), events, EVENTS, milliseconds(timeout))
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                return Ok(&[]);
            }
            return Err(error);
        };
        ready.tokens.extend(ready.events.iter().take(count).map(|event| event.u64));
        Ok(&ready.tokens)
    }

    /// Adds a socket. It leaves the set when it is closed.
    ///
    /// # Errors
    /// What `epoll_ctl` says: `AlreadyExists` if it is in the set.
    pub fn add(&self, socket: &impl AsFd, token: u64) -> io::Result<()> {
        let event = libc::epoll_event { events: libc::EPOLLIN.unsigned_abs(), u64: token };
        self.control(libc::EPOLL_CTL_ADD, socket, event)
    }

    /// Removes a socket, which must be done before its descriptor goes to
    /// someone else.
    ///
    /// # Errors
    /// What `epoll_ctl` says: `NotFound` if it is not in the set.
    pub fn remove(&self, socket: &impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, socket, libc::epoll_event { events: 0, u64: 0 })
    }

    fn control(
        &self,
        what: i32,
        socket: &impl AsFd,
        mut event: libc::epoll_event,
    ) -> io::Result<()> {
        let (set, socket) = (self.fd.as_raw_fd(), socket.as_fd().as_raw_fd());
        // SAFETY: `event` is valid for the length of the call, and both
        // descriptors are borrowed, hence open.
        match unsafe { libc::epoll_ctl(set, what, socket, ptr::from_mut(&mut event)) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Ready {
    /// The most tokens that one wait returns.
    pub const CAPACITY: usize = EVENTS as usize;

    /// Room for the tokens of one wait.
    pub fn new() -> Self {
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; Self::CAPACITY];
        Self { tokens: Vec::with_capacity(events.len()), events }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new()
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Rounds up, so that a short wait is not a busy one.
fn milliseconds(timeout: Option<Duration>) -> i32 {
    timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_is_reported_until_it_is_read() {
        let (set, mut ready, socket) = (Epoll::new().unwrap(), Ready::new(), bound());
        set.add(&socket, 7).unwrap();
        assert_eq!(set.wait(&mut ready, Some(Duration::ZERO)).unwrap(), []);
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(set.wait(&mut ready, None).unwrap(), [7]);
        assert_eq!(set.wait(&mut ready, Some(Duration::ZERO)).unwrap(), [7]);
        socket.recv(&mut [0; 8]).unwrap();
        assert_eq!(set.wait(&mut ready, Some(Duration::ZERO)).unwrap(), []);
    }

    #[test]
    fn a_removed_socket_is_silent() {
        let (set, mut ready, socket) = (Epoll::new().unwrap(), Ready::new(), bound());
        set.add(&socket, 7).unwrap();
        assert_eq!(set.add(&socket, 8).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        set.remove(&socket).unwrap();
        assert_eq!(set.remove(&socket).unwrap_err().kind(), io::ErrorKind::NotFound);
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(set.wait(&mut ready, Some(Duration::from_millis(1))).unwrap(), []);
    }

    #[test]
    fn a_set_can_be_in_a_set() {
        let (outer, inner, socket) = (Epoll::new().unwrap(), Epoll::new().unwrap(), bound());
        let mut ready = Ready::new();
        inner.add(&socket, 7).unwrap();
        outer.add(&inner, 1).unwrap();
        assert_eq!(outer.wait(&mut ready, Some(Duration::ZERO)).unwrap(), []);
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(outer.wait(&mut ready, None).unwrap(), [1]);
        assert_eq!(inner.wait(&mut ready, None).unwrap(), [7]);
    }

    #[test]
    fn waits_round_up_to_milliseconds() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::MAX)), i32::MAX);
    }

    fn bound() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").unwrap()
    }
}
