//! Clients and one sink on one thread, which send through a relay and count
//! what arrives.
//!
//! Closed loop: a fixed number of packets is on its way, and each that arrives
//! lets another one go, so the server is saturated and nothing piles up. Open
//! loop: packets leave at a fixed rate whatever comes back.
//!
//! The thread polls and never sleeps, so it wants a core for itself.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context;
use turn_client::Credentials;
use turn_codec::ChannelData;
use turn_udp::{Destination, Epoll, ListenerOptions, Ready, RecvBatch, SendBatch, UdpSocket};

use crate::{
    Direction, Load, Outcome,
    allocated::{Allocated, Asker, CHANNEL},
};

/// Where clients, server and sink are.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The server.
    pub server: SocketAddr,
    /// Where clients are bound; port 0.
    pub clients: SocketAddr,
    /// Where the one peer is bound: best an address that nothing else of the
    /// measurement is bound to.
    pub sink: SocketAddr,
}

/// Live allocations and the sockets at their two ends.
pub struct Generator {
    asker: Asker,
    allocated: Vec<Allocated>,
    relayed: Vec<Destination>,
    sink: Rc<UdpSocket>,
    /// All clients, by index.
    set: Epoll,
    ready: Ready,
    received: RecvBatch,
    sending: SendBatch,
    /// A ChannelData message.
    frame: Vec<u8>,
    /// The allocation that sends next.
    turn: usize,
}

/// Receive buffers, and the most packets that leave before the next look at
/// what has arrived.
const SLOTS: usize = 256;

/// Packets taken from one client at a visit.
const AT_MOST_FROM_A_CLIENT: usize = 64;

/// In a closed loop, what has not come back by then is lost.
const STALL: Duration = Duration::from_millis(100);

/// Beyond a measurement, what is still on its way is waited for.
const STRAGGLERS: Duration = Duration::from_millis(50);

impl Generator {
    /// Makes the allocations of a load, one after the other, and sees a packet
    /// through each, both ways.
    ///
    /// # Errors
    /// No sockets, no allocation, or a packet that does not arrive.
    pub fn new(ends: Ends, credentials: &Credentials, load: &Load) -> anyhow::Result<Self> {
        turn_udp::raise_descriptor_limit()?;
        let gro = load.train > 1;
        let large =
            ListenerOptions { gro, receive_buffer: Some(4 << 20), ..ListenerOptions::default() };
        let sink = Rc::new(UdpSocket::listener(ends.sink, &large)?);
        let of_clients = ListenerOptions { gro, ..ListenerOptions::default() };
        let mut asker = Asker::new(ends.server)?;
        let (set, mut allocated) = (Epoll::new()?, Vec::with_capacity(load.allocations));
        for token in 0..load.allocations as u64 {
            let peer = sink.local_addr();
            let client = asker.allocate(ends.clients, &of_clients, credentials, peer)?;
            set.add(&*client.socket, token)?;
            allocated.push(client);
        }
        let mut frame = ChannelData::header(CHANNEL, load.size).to_vec();
        frame.resize(ChannelData::HEADER_LEN + usize::from(load.size), b'.');
        let mut this = Self {
            asker,
            relayed: allocated.iter().map(|client| Destination::to(client.relayed)).collect(),
            allocated,
            sink,
            set,
            ready: Ready::new(),
            received: RecvBatch::new(SLOTS),
            sending: SendBatch::new(),
            frame,
            turn: 0,
        };
        for direction in Direction::ALL {
            this.see_through(direction)?;
        }
        Ok(this)
    }

    /// Sends for so long, and counts.
    ///
    /// # Errors
    /// The sockets fail.
    pub fn drive(
        &mut self,
        load: &Load,
        direction: Direction,
        duration: Duration,
    ) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let start = Instant::now();
        let (mut last_turn, mut last_arrival) = (start, start);
        let mut on_their_way = 0;
        let mut was_idle = false;
        loop {
            let now = Instant::now();
            if was_idle {
                outcome.generator_idle_ns += nanoseconds(now - last_turn);
            }
            last_turn = now;
            let elapsed = now - start;
            if elapsed >= duration {
                outcome.elapsed_ns = nanoseconds(elapsed);
                break;
            }
            let due = match load.rate {
                None => load.window.saturating_sub(on_their_way),
                Some(rate) => {
                    let due = nanoseconds(elapsed) / 1_000 * u64::from(rate) / 1_000_000;
                    due.saturating_sub(outcome.sent)
                }
            };
            // Whole trains only.
            let due = due.min(SLOTS as u64) / load.train * load.train;
            self.send(direction, due, load.train);
            outcome.sent += due;
            on_their_way += due;
            let arrived = self.receive(direction)?;
            outcome.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
            was_idle = due == 0 && arrived == 0;
            if arrived > 0 {
                last_arrival = now;
            } else if load.rate.is_none() && now - last_arrival > STALL {
                outcome.stalls += 1;
                on_their_way = 0;
                last_arrival = now;
            }
        }
        let until = Instant::now() + STRAGGLERS;
        while on_their_way > 0 && Instant::now() < until {
            let arrived = self.receive(direction)?;
            outcome.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
        }
        Ok(outcome)
    }

    /// Ends the allocations, as far as the server hears of it.
    ///
    /// # Errors
    /// No randomness.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.allocated.iter().try_for_each(|client| self.asker.end(client))
    }

    /// Sends `count` packets, `train` in a row on one allocation after the
    /// other.
    fn send(&mut self, direction: Direction, count: u64, train: u64) {
        // Neighbours would join to a train: with one allocation, all of them.
        let joins_by_itself = train == 1 && self.allocated.len() == 1;
        for _ in 0..count / train {
            for _ in 0..train {
                self.send_one(direction, self.turn);
                if joins_by_itself {
                    self.flush();
                }
            }
            self.turn = (self.turn + 1) % self.allocated.len().max(1);
        }
        self.flush();
    }

    fn send_one(&mut self, direction: Direction, index: usize) {
        match direction {
            Direction::Up => {
                if let Some(client) = self.allocated.get(index) {
                    self.sending.push_bytes(&client.socket, self.asker.server, &self.frame);
                }
            }
            Direction::Down => {
                let payload = self.frame.get(ChannelData::HEADER_LEN..).unwrap_or_default();
                if let Some(relayed) = self.relayed.get(index) {
                    self.sending.push_bytes(&self.sink, *relayed, payload);
                }
            }
        }
    }

    fn flush(&mut self) {
        // A failure shows as a packet that does not arrive.
        self.sending.flush(&self.received, |_, _, _| {});
    }

    /// Counts what has arrived of the size that it must have.
    fn receive(&mut self, direction: Direction) -> anyhow::Result<u64> {
        self.received.clear();
        let (slots, size) = match direction {
            Direction::Up => {
                let fill = self.received.fill(&self.sink, SLOTS)?;
                (fill.slots, self.frame.len() - ChannelData::HEADER_LEN)
            }
            Direction::Down => {
                let mut end = 0;
                for token in self.set.wait(&mut self.ready, Some(Duration::ZERO))? {
                    let client = usize::try_from(*token).ok().and_then(|i| self.allocated.get(i));
                    let client = client.context("a token of ours")?;
                    end = self.received.fill(&client.socket, AT_MOST_FROM_A_CLIENT)?.slots.end;
                }
                (0..end, self.frame.len())
            }
        };
        let arrived = self.received.datagrams(slots).filter(|it| it.bytes.len() == size);
        Ok(arrived.count() as u64)
    }

    /// Sends one packet through each allocation and looks at what arrives.
    fn see_through(&mut self, direction: Direction) -> anyhow::Result<()> {
        let marker = ChannelData::HEADER_LEN..ChannelData::HEADER_LEN + 4;
        for index in 0..self.allocated.len() {
            let number = u32::try_from(index)?.to_be_bytes();
            self.frame.splice(marker.clone(), number);
            self.send_one(direction, index);
            self.flush();
            let until = Instant::now() + Duration::from_secs(1);
            while !self.has_arrived(direction, index)? {
                anyhow::ensure!(
                    Instant::now() < until,
                    "allocation {index} does not relay {}",
                    direction.name()
                );
            }
        }
        Ok(())
    }

    /// Whether the packet of this allocation is there, as it was sent.
    fn has_arrived(&mut self, direction: Direction, index: usize) -> anyhow::Result<bool> {
        self.received.clear();
        let client = self.allocated.get(index).context("an allocation of ours")?;
        let (socket, from, bytes) = match direction {
            Direction::Up => {
                let payload = self.frame.get(ChannelData::HEADER_LEN..).unwrap_or_default();
                (&self.sink, client.relayed, payload)
            }
            Direction::Down => (&client.socket, self.asker.server.to, &*self.frame),
        };
        let slots = self.received.fill(socket, 1)?.slots;
        Ok(self.received.datagrams(slots).any(|it| it.from == from && it.bytes == bytes))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
