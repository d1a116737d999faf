//! Many clients that relay in time, as a measure of whether something else disturbs them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Error};

use super::scripted::{channel, connect, user};
use crate::lab::IPV4;

/// Clients that each have an allocation and a channel to one peer, which sends everything back.
#[derive(Debug)]
pub struct Choir {
    clients: Vec<Client>,
    peer: EchoThread,
    rounds: u32,
}

/// What became of messages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sung {
    /// Messages sent, over all clients.
    pub sent: usize,
    /// Messages that never came back.
    pub lost: usize,
    /// The longest that a round took.
    pub slowest: Duration,
}

/// A peer that sends every datagram back, until it is dropped.
#[derive(Debug)]
pub struct EchoThread {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A message that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(2);

impl Choir {
    /// Makes `count` clients of a server over UDP, with all that they need.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn new(server: SocketAddr, count: usize) -> Self {
        Self::of(count, || connect(server, user()))
    }

    /// Gives `count` clients that are connected already all that they need.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn of(count: usize, connect: impl Fn() -> Client) -> Self {
        let peer = EchoThread::start();
        let member = |_| {
            let mut client = connect();
            let allocation = client.allocate(&AllocateOptions::default());
            allocation.unwrap_or_else(|error| panic!("no allocation: {error}"));
            let bound = client.bind_channel(channel(0), peer.address());
            bound.unwrap_or_else(|error| panic!("no channel: {error}"));
            client
        };
        Self { clients: (0..count).map(member).collect(), peer, rounds: 0 }
    }

    /// Each sends one message at the same moment and waits for it.
    ///
    /// # Panics
    /// When a socket fails.
    pub fn sing(&mut self) -> Sung {
        self.rounds += 1;
        let message = self.rounds.to_be_bytes();
        let start = Instant::now();
        for client in &mut self.clients {
            let sent = client.send_channel(channel(0), &message);
            sent.unwrap_or_else(|error| panic!("a client cannot send: {error}"));
        }
        let heard = self.clients.iter_mut().map(|client| hear(client, message));
        let lost = heard.filter(|heard| !heard).count();
        Sung { sent: self.clients.len(), lost, slowest: start.elapsed() }
    }

    /// Sings a round each `interval`, for this long.
    ///
    /// # Panics
    /// As [`sing`](Self::sing).
    pub fn sing_for(&mut self, duration: Duration, interval: Duration) -> Sung {
        self.sing_while(interval, |elapsed| elapsed < duration)
    }

    /// Sings a round each `interval` for as long as `goes_on` says so of the time since the start.
    ///
    /// # Panics
    /// As [`sing`](Self::sing).
    pub fn sing_while(
        &mut self,
        interval: Duration,
        mut goes_on: impl FnMut(Duration) -> bool,
    ) -> Sung {
        let start = Instant::now();
        let mut all = Sung::default();
        while goes_on(start.elapsed()) {
            let round = self.sing();
            all.add(round);
            thread::sleep(interval.saturating_sub(round.slowest));
        }
        all
    }

    /// One of them leaves: it gives up its allocation.
    ///
    /// # Panics
    /// When nobody is left, or the server does not answer.
    pub fn leave(&mut self) {
        let mut client = self.clients.pop().expect("somebody is left");
        let left = client.refresh(Duration::ZERO);
        left.unwrap_or_else(|error| panic!("an allocation cannot be given up: {error}"));
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.clients.len()
    }

    /// The peer.
    pub fn peer(&self) -> SocketAddr {
        self.peer.address()
    }
}

impl Sung {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.slowest = self.slowest.max(other.slowest);
    }
}

impl EchoThread {
    /// Starts one on 127.0.0.1.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((IPV4, 0)).expect("a peer can be bound");
        let step = Some(Duration::from_millis(50));
        socket.set_read_timeout(step).expect("a timeout can be set");
        let address = socket.local_addr().expect("it is bound");
        let ends = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !flag.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
            }
        });
        Self { address, ends, thread: Some(thread) }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for EchoThread {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether a message comes in time; one of an earlier round that is late does not count.
fn hear(client: &mut Client, message: [u8; 4]) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.receive(left) {
            Ok(received) if received.data == message => return true,
            Ok(_) => {}
            Err(Error::Timeout) => return false,
            Err(error) => panic!("a client has lost its server: {error}"),
        }
    }
}
