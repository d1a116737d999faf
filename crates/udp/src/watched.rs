//! Readiness of our descriptors from inside a tokio runtime (feature `tokio`).
//!
//! tokio's `AsyncFd::register` is unsafe because a safe type may lie about its
//! descriptor. The types admitted here own theirs and never change it, and
//! [`Watched`] hands out shared references only, so nobody can swap it.

use std::{
    io,
    os::fd::AsRawFd,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{
    Interest,
    unix::{AsyncFd, AsyncFdReadyGuard},
};

use crate::{clock::ticker::Ticker, epoll::Epoll, socket::UdpSocket};

/// What can be watched: a type that owns one open descriptor all its life.
pub trait Watch: AsRawFd + sealed::Owner {}

impl Watch for UdpSocket {}
impl Watch for Rc<UdpSocket> {}
impl Watch for Epoll {}
impl Watch for Ticker {}

/// A socket or a set of sockets whose readiness a tokio runtime knows.
///
/// Edge-triggered like all of tokio: readiness stays until the guard's
/// `clear_ready` is called, which may only be done once the kernel's queue is
/// known to be empty.
#[derive(Debug)]
pub struct Watched<T: Watch>(AsyncFd<T>);

impl<T: Watch> Watched<T> {
    /// Registers with the current runtime.
    ///
    /// # Errors
    /// What `epoll_ctl` says.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub fn new(inner: T) -> io::Result<Self> {
        // SAFETY: `Watch` is sealed to types that own an open descriptor,
        // always return that one, and close it only when they are dropped;
        // no `&mut T` leaves this type, so the value stays the same.
        let registered = unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Asks whether there may be something to read, and wakes the task later
    /// if not. Only the last task that asked is woken.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub fn poll_readable(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        self.0.poll_read_ready(context)
    }

    /// Waits until there may be something to read.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.0.readable().await
    }

    /// What is watched.
    pub fn inner(&self) -> &T {
        self.0.get_ref()
    }
}

impl Watched<Ticker> {
    /// Waits until it fires; what it missed counts as once.
    ///
    /// # Errors
    /// When the runtime is shutting down, and what `read` says.
    pub async fn tick(&self) -> io::Result<()> {
        loop {
            let mut guard = self.readable().await?;
            let fired = self.inner().fired()?;
            guard.clear_ready();
            if fired > 0 {
                return Ok(());
            }
        }
    }
}

mod sealed {
    use super::{Epoll, Rc, Ticker, UdpSocket};

    pub trait Owner {}

    impl Owner for UdpSocket {}
    impl Owner for Rc<UdpSocket> {}
    impl Owner for Epoll {}
    impl Owner for Ticker {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::time::Duration;

    use super::*;
    use crate::{epoll::Ready, options::RelayOptions, recv::RecvBatch};

    /// The inner set still lists the socket when the next datagram comes; the
    /// kernel must report it all the same.
    #[test]
    fn a_drained_set_wakes_again_without_having_been_seen_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let local = "127.0.0.1:0".parse().unwrap();
            let sockets =
                [1, 2].map(|_| UdpSocket::relay(local, &RelayOptions::default()).unwrap());
            let sender = std::net::UdpSocket::bind(local).unwrap();
            let set = Epoll::new().unwrap();
            for (socket, token) in sockets.iter().zip([0, 1]) {
                set.add(socket, token).unwrap();
            }
            let (set, mut ready) = (Watched::new(set).unwrap(), Ready::new());
            let mut received = RecvBatch::new(2);
            for number in 0..300 {
                // Now one socket, now the other, now both.
                let chosen = [&sockets[..1], &sockets[1..], &sockets[..]];
                let chosen = *chosen.get(number % 3).unwrap();
                for socket in chosen {
                    sender.send_to(b"x", socket.local_addr()).unwrap();
                }
                let limit = Duration::from_secs(5);
                let mut guard = tokio::time::timeout(limit, set.readable()).await.unwrap().unwrap();
                let tokens = set.inner().wait(&mut ready, Some(Duration::ZERO)).unwrap();
                assert_eq!(tokens.len(), chosen.len());
                for socket in chosen {
                    assert!(received.fill(socket, 2).unwrap().drained);
                    received.clear();
                }
                guard.clear_ready();
            }
        });
    }

    #[test]
    fn a_socket_wakes_its_task_until_it_is_drained() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let local = "127.0.0.1:0".parse().unwrap();
            let socket = Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap());
            let watched = Watched::new(Rc::clone(&socket)).unwrap();
            socket_sends_to_itself(&socket);
            watched.readable().await.unwrap().retain_ready();
            let mut guard = watched.readable().await.unwrap();
            let mut received = RecvBatch::new(2);
            assert!(received.fill(watched.inner(), 2).unwrap().drained);
            guard.clear_ready();
            let waker = std::task::Waker::noop();
            let mut context = Context::from_waker(waker);
            assert!(watched.poll_readable(&mut context).is_pending());
        });
    }

    #[test]
    fn a_ticker_wakes_its_task_again_and_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let interval = Duration::from_millis(5);
            let before = std::time::Instant::now();
            let ticker = Watched::new(Ticker::every(interval).unwrap()).unwrap();
            for _ in 0..3 {
                ticker.tick().await.unwrap();
            }
            assert!(before.elapsed() >= interval * 3);
        });
    }

    fn socket_sends_to_itself(socket: &UdpSocket) {
        socket2::SockRef::from(socket).send_to(b"x", &socket.local_addr().into()).unwrap();
    }
}
