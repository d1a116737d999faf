//! Packets through allocations: up, down, both ways, and from client to client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clients::Clients;
use super::drive::Exchange;
use super::junk::Junk;
use super::packet::Packet;
use super::route::{Place, Route, routes};
use super::set_up::random_id;
use super::sockets::Sockets;
use super::stamp::{Clock, Stamp};
use super::tally::Tally;
use super::{Ends, LoadError, Plan};
use crate::{Credentials, Incoming, Refresh};

/// Live allocations and what runs through them.
#[derive(Debug)]
pub(crate) struct Relaying {
    clients: Clients,
    peers: Sockets,
    routes: Vec<Route>,
    packet: Packet,
    sizes: Vec<u16>,
    train: u64,
    /// The flow that sends next.
    turn: usize,
    /// How often each flow had its turn.
    rounds: usize,
    clock: Clock,
    junk: Option<Junk>,
}

/// How long a first packet may take, and when it is sent again.
const FIRST_PACKET: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(250);

/// First packets on their way at a time.
const FIRST_AT_ONCE: usize = 32;

impl Relaying {
    /// Makes the allocations, and a channel or a permission in each.
    pub(crate) fn set_up(
        ends: &Ends,
        credentials: &Credentials,
        plan: &Plan,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let peers = Sockets::bind(SocketAddr::new(ends.peers, 0), plan.peers, plan.train > 1)?;
        let peer_addresses: Vec<_> = peers.addresses().collect();
        let clients = Clients::set_up(ends, credentials, plan, &peer_addresses)?;
        let junk = match plan.junk {
            0 => None,
            percent => {
                let size = plan.sizes.first().copied().unwrap_or(16);
                Some(Junk::new(ends, &clients.relayed, percent, size)?)
            }
        };
        let largest = plan.sizes.iter().copied().max().unwrap_or_default();
        Ok(Self {
            clients,
            peers,
            routes: routes(plan),
            packet: Packet::new(plan.message, largest),
            sizes: plan.sizes.clone(),
            train: plan.train,
            turn: 0,
            rounds: 0,
            clock,
            junk,
        })
    }

    /// Sees one packet through each flow: whatever is lost later is lost under load.
    pub(crate) fn see_through(&mut self) -> Result<(), LoadError> {
        let mut arrived = vec![false; self.routes.len()];
        let (mut first, mut until) = (0, Instant::now() + FIRST_PACKET);
        while first < self.routes.len() {
            let flows = first..self.routes.len().min(first + FIRST_AT_ONCE);
            let missing =
                |arrived: &[bool]| flows.clone().find(|flow| arrived.get(*flow) != Some(&true));
            while let Some(flow) = missing(&arrived) {
                if Instant::now() > until {
                    return Err(LoadError::NotRelaying(flow));
                }
                for flow in flows.clone().filter(|flow| arrived.get(*flow) != Some(&true)) {
                    self.send_on(flow, self.sizes.first().copied().unwrap_or(16), true)?;
                }
                self.flush()?;
                let again = Instant::now() + AGAIN;
                while missing(&arrived).is_some() && Instant::now() < again {
                    self.take_in(|stamp, is_right| {
                        let place =
                            usize::try_from(stamp.flow).ok().and_then(|i| arrived.get_mut(i));
                        if let Some(place) = place.filter(|_| is_right) {
                            *place = true;
                        }
                    })?;
                }
            }
            first = flows.end;
            until = Instant::now() + FIRST_PACKET;
        }
        Ok(())
    }

    /// Tells the server that the allocations are not needed any more, without waiting.
    pub(crate) fn end(mut self) -> Result<(), LoadError> {
        let refresh = Refresh { lifetime: Some(Duration::ZERO), family: None };
        for (client, session) in self.clients.sessions.iter().enumerate() {
            let transaction = session.begin(refresh, random_id()?)?;
            self.clients.links.send(client, transaction.bytes())?;
            self.clients.links.end_train(client)?;
            self.clients.links.flush()?;
        }
        Ok(())
    }

    /// Puts a packet of a flow in line; `alone` keeps the next one from joining it.
    fn send_on(&mut self, flow: usize, size: u16, alone: bool) -> Result<(), LoadError> {
        let Some(route) = self.routes.get(flow) else { return Ok(()) };
        let number = u32::try_from(flow).unwrap_or(u32::MAX);
        self.packet.stamp(Stamp { flow: number, left: self.clock.now() });
        match *route {
            Route::Up { client, .. } | Route::Pair { from: client, .. } => {
                let Some(towards) = self.clients.towards.get(client) else { return Ok(()) };
                let message = self.packet.message(size, *towards)?;
                self.clients.links.send(client, message)?;
                if alone {
                    self.clients.links.end_train(client)?;
                }
            }
            Route::Down { peer, client } => {
                if let Some(relayed) = self.clients.relayed.get(client) {
                    self.peers.send(peer, *relayed, self.packet.payload(size));
                }
            }
        }
        Ok(())
    }

    /// Sends what is in line, and says how much was not taken.
    fn flush(&mut self) -> Result<u64, LoadError> {
        Ok(self.peers.flush() + self.clients.links.flush()?)
    }

    /// Hands over the stamp of each packet that has arrived, and whether it is in its place. What
    /// has no stamp is an answer of the server or nothing at all.
    fn take_in(&mut self, mut each: impl FnMut(Stamp, bool)) -> Result<(), LoadError> {
        let routes = &self.routes;
        let mut judge = |place: Place, payload: &[u8]| {
            if let Some(stamp) = Stamp::read(payload) {
                let route = usize::try_from(stamp.flow).ok().and_then(|flow| routes.get(flow));
                each(stamp, route.is_some_and(|route| route.ends_at(place)));
            }
        };
        self.peers.receive(|peer, bytes| judge(Place::Peer(peer), bytes))?;
        self.clients.links.receive(|client, bytes| match Incoming::parse(bytes) {
            Incoming::OnChannel { data, .. } | Incoming::FromPeer { data, .. } => {
                judge(Place::Client(client), data);
            }
            Incoming::IcmpError { .. }
            | Incoming::ConnectionAttempt { .. }
            | Incoming::Response
            | Incoming::Unusable => {}
        })
    }
}

impl Exchange for Relaying {
    fn send(&mut self, count: u64, tally: &mut Tally) -> Result<u64, LoadError> {
        // With one flow all neighbours would join to a train that nobody has asked for.
        let joins_by_itself = self.train == 1 && self.routes.len() == 1;
        let mut refused = 0;
        for _ in 0..count / self.train {
            let turn = (self.turn + self.rounds).checked_rem(self.sizes.len()).unwrap_or(0);
            let size = self.sizes.get(turn).copied().unwrap_or_default();
            for left in (0..self.train).rev() {
                self.send_on(self.turn, size, left == 0)?;
            }
            if joins_by_itself {
                refused += self.flush()?;
            }
            self.turn += 1;
            if self.turn >= self.routes.len() {
                self.turn = 0;
                self.rounds += 1;
            }
        }
        refused += self.flush()?;
        if let Some(junk) = &mut self.junk {
            tally.junk += junk.beside(count);
        }
        Ok(count.saturating_sub(refused))
    }

    fn receive(&mut self, tally: &mut Tally) -> Result<(), LoadError> {
        let clock = self.clock;
        self.take_in(|stamp, is_right| {
            if is_right {
                tally.arrived(stamp.left, clock.now());
            } else {
                tally.stray += 1;
            }
        })?;
        // What a stream has not taken at once.
        self.clients.links.flush()?;
        Ok(())
    }
}
