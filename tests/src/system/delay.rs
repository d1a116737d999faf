//! A path with a delay: datagrams pass through it in order, each way as late as the other.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lab::IPV4;

/// A forwarder between one client at a time and a server; dropped, it ends.
#[derive(Debug)]
pub struct DelayedPath {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl DelayedPath {
    /// Makes a path to a server on which every datagram takes so long, one way.
    ///
    /// # Panics
    /// When its sockets cannot be bound.
    pub fn new(server: SocketAddr, delay: Duration) -> Self {
        let front = UdpSocket::bind((IPV4, 0)).expect("a front can be bound");
        let address = front.local_addr().expect("it is bound");
        let ends = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ends);
        let thread = thread::spawn(move || forward(&front, server, delay, &flag));
        Self { address, ends, thread: Some(thread) }
    }

    /// Where a client finds the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayedPath {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Lane {
    /// Takes in what has arrived; says where the last of it came from.
    fn take_in(&mut self, from: &UdpSocket, delay: Duration) -> Option<SocketAddr> {
        let mut buffer = [0; 2_048];
        let mut last = None;
        loop {
            match from.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let datagram = buffer.get(..length).unwrap_or_default().to_vec();
                    self.under_way.push_back((Instant::now() + delay, datagram));
                    last = Some(source);
                }
                // A client that is gone.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return last,
            }
        }
    }

    /// Lets go what is due.
    fn let_go(&mut self, to: &UdpSocket, address: SocketAddr) {
        let now = Instant::now();
        while let Some((_, datagram)) = self.under_way.pop_front_if(|(due, _)| *due <= now) {
            let _ = to.send_to(&datagram, address);
        }
    }
}

fn forward(front: &UdpSocket, server: SocketAddr, delay: Duration, ends: &AtomicBool) {
    let non_blocking = |socket: &UdpSocket| {
        socket.set_nonblocking(true).expect("a socket can be made non-blocking");
    };
    let another = || {
        let socket = UdpSocket::bind((IPV4, 0)).expect("a socket can be bound");
        non_blocking(&socket);
        socket
    };
    non_blocking(front);
    let mut back = another();
    let mut client = None;
    let (mut up, mut down) = (Lane::default(), Lane::default());
    while !ends.load(Ordering::Relaxed) {
        if let Some(source) = up.take_in(front, delay)
            && client.replace(source).is_some_and(|before| before != source)
        {
            // Another client is another 5-tuple to the server.
            back = another();
            down = Lane::default();
        }
        down.take_in(&back, delay);
        up.let_go(&back, server);
        if let Some(client) = client {
            down.let_go(front, client);
        }
        thread::sleep(Duration::from_millis(1));
    }
}
