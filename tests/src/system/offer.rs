//! Payload offered at a rate through an allocation, and what of it comes out on the other side.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Error};

use super::scripted::channel;
use crate::lab::IPV4;

/// How much is offered, and how.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// Payload a second, in bits.
    pub rate: u32,
    /// Bytes of a message.
    pub size: u16,
    /// Messages that leave at once.
    pub burst: u16,
    /// From the first message to the last.
    pub duration: Duration,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to a peer.
    Up,
    /// From a peer to the client.
    Down,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carried {
    /// Messages offered.
    pub offered: u64,
    /// Messages that arrived.
    pub arrived: u64,
    /// Payload that arrived a second, in Mbit, over what is left when the first two seconds and the
    /// last half second are cut off.
    pub megabits: f64,
}

/// A client with an allocation and a channel to a peer of its own.
#[derive(Debug)]
pub struct Flow {
    client: Client,
    peer: UdpSocket,
    relayed: SocketAddr,
}

/// A bucket that is full in the beginning is empty after this.
const HEAD: Duration = Duration::from_secs(2);

/// Where the last messages are still on their way.
const TAIL: Duration = Duration::from_millis(500);

/// No message takes longer.
const PATIENCE: Duration = Duration::from_secs(1);

impl Flow {
    /// Gives a client all that it needs.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn new(mut client: Client) -> Self {
        let peer = UdpSocket::bind((IPV4, 0)).expect("a peer can be bound");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let allocation = client.allocate(&AllocateOptions::default());
        let relayed = allocation.unwrap_or_else(|error| panic!("no allocation: {error}")).relayed;
        let bound = client.bind_channel(channel(0), peer.local_addr().expect("it is bound"));
        bound.unwrap_or_else(|error| panic!("no channel: {error}"));
        Self { client, peer, relayed }
    }

    /// Where its peer sees it.
    pub fn relayed(&self) -> SocketAddr {
        self.relayed
    }

    /// Offers, and waits for what arrives.
    ///
    /// # Panics
    /// When a socket fails.
    pub fn carry(&mut self, way: Way, offer: &Offer) -> Carried {
        let Self { client, peer, relayed } = self;
        let (peer, relayed, start) = (&*peer, *relayed, Instant::now());
        match way {
            Way::Up => thread::scope(|scope| {
                let sender = scope.spawn(|| {
                    offer.send(start, |message| {
                        let sent = client.send_channel(channel(0), message);
                        sent.unwrap_or_else(|error| panic!("a client cannot send: {error}"));
                    })
                });
                let mut buffer = [0; 2_048];
                let tally = offer.count(start, || peer.recv(&mut buffer).ok());
                tally.of(offer, sender.join())
            }),
            Way::Down => thread::scope(|scope| {
                let sender = scope.spawn(|| {
                    offer.send(start, |message| {
                        let sent = peer.send_to(message, relayed);
                        sent.unwrap_or_else(|error| panic!("a peer cannot send: {error}"));
                    })
                });
                let tally = offer.count(start, || match client.receive(PATIENCE) {
                    Ok(received) => Some(received.data.len()),
                    Err(Error::Timeout) => None,
                    Err(error) => panic!("a client has lost its server: {error}"),
                });
                tally.of(offer, sender.join())
            }),
        }
    }
}

/// What has arrived.
#[derive(Debug, Default)]
struct Tally {
    messages: u64,
    /// Bytes between [`HEAD`] and [`TAIL`].
    bytes: usize,
}

impl Offer {
    /// So many bits a second for so long, in messages of 1,200 bytes.
    pub const fn new(rate: u32, duration: Duration) -> Self {
        Self { rate, size: 1_200, burst: 1, duration }
    }

    /// Sends by the clock, whatever comes back; says how many messages.
    fn send(&self, start: Instant, mut send: impl FnMut(&[u8])) -> u64 {
        let message = vec![0x5a; usize::from(self.size)];
        let bits = 8.0 * f64::from(self.size) * f64::from(self.burst);
        let gap = Duration::from_secs_f64(bits / f64::from(self.rate));
        let (mut due, mut sent) = (Duration::ZERO, 0);
        while due < self.duration {
            thread::sleep(due.saturating_sub(start.elapsed()));
            for _ in 0..self.burst {
                send(&message);
                sent += 1;
            }
            due += gap;
        }
        sent
    }

    /// Counts until nothing comes any more after the end.
    fn count(&self, start: Instant, mut next: impl FnMut() -> Option<usize>) -> Tally {
        let mut tally = Tally::default();
        loop {
            let length = next();
            let now = start.elapsed();
            match length {
                Some(length) => {
                    tally.messages += 1;
                    let counts = now >= HEAD && now < self.duration.saturating_sub(TAIL);
                    tally.bytes += if counts { length } else { 0 };
                }
                None if now >= self.duration => return tally,
                None => {}
            }
        }
    }
}

impl Tally {
    fn of(&self, offer: &Offer, offered: thread::Result<u64>) -> Carried {
        let offered = offered.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let seconds = offer.duration.saturating_sub(HEAD + TAIL).as_secs_f64();
        let megabits = 8.0 * self.bytes as f64 / seconds / 1e6;
        Carried { offered, arrived: self.messages, megabits }
    }
}
