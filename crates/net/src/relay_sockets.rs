//! The relay sockets of a shard: found by the slot of their relay, polled
//! through one epoll set.
//!
//! A relay that sends to one peer again and again gets a second socket at its
//! address, connected to that peer: what leaves by it spares the kernel a look at
//! its routes. What the peer sends comes by it too; all others are heard by the
//! relay's own socket, as before.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use turn_engine::RelayId;
use turn_udp::{Epoll, Fill, RelayOptions, UdpSocket, Watched};

use crate::aim::Aim;
use crate::polled::Polled;

/// Sockets by relay; the set is itself watched by the runtime.
#[derive(Debug)]
pub(crate) struct RelaySockets {
    set: Rc<Watched<Epoll>>,
    options: RelayOptions,
    /// How many more relays may have a socket for their steady peer: all other descriptors are for
    /// relays and connections.
    spare: usize,
    slots: Vec<Option<RelaySocket>>,
    /// Relays that have a steady peer since the last flush.
    steady: RefCell<Vec<(RelayId, SocketAddr)>>,
}

/// The sockets of a relayed transport address.
#[derive(Debug)]
struct RelaySocket {
    relay: RelayId,
    own: Polled,
    /// Connected to the steady peer.
    connected: Option<Polled>,
    /// How often the own one is still read first, for it may hold what the steady peer sent before
    /// the other was connected.
    behind: Cell<u8>,
    aim: Aim,
}

/// The socket of a relay that is to be read next.
#[derive(Debug)]
pub(crate) struct Next<'s> {
    pub(crate) relay: RelayId,
    pub(crate) polled: &'s Polled,
    /// It comes before the one that is ready.
    behind: Option<&'s Cell<u8>>,
}

/// Strangers who send to the own socket without end keep the steady peer waiting so many reads, of
/// eight messages each, and no longer.
const MOST_BEHIND: u8 = 32;

/// What the set says of a socket that is ready: which relay, and which of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token(u64);

impl RelaySockets {
    /// `spare` relays may have a second socket.
    pub(crate) const fn new(set: Rc<Watched<Epoll>>, options: RelayOptions, spare: usize) -> Self {
        Self { set, options, spare, slots: Vec::new(), steady: RefCell::new(Vec::new()) }
    }

    /// Binds the socket of a relay.
    pub(crate) fn open(&mut self, relay: RelayId, bind: SocketAddr) -> io::Result<()> {
        self.insert(relay, UdpSocket::relay(bind, &self.options)?)
    }

    pub(crate) fn insert(&mut self, relay: RelayId, socket: UdpSocket) -> io::Result<()> {
        let own = Polled::new(socket);
        self.set.inner().add(own.socket(), Token::of_own(relay).0)?;
        if self.slots.len() <= relay.index() {
            self.slots.resize_with(relay.index() + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(relay.index()) {
            *slot = Some(RelaySocket {
                relay,
                own,
                connected: None,
                behind: Cell::new(0),
                aim: Aim::new(),
            });
        }
        Ok(())
    }

    /// Takes the relay's own socket out of the set. What is queued on it still leaves.
    pub(crate) fn remove(&mut self, relay: RelayId) -> Option<Rc<UdpSocket>> {
        let RelaySocket { own, connected, .. } = self.take(relay)?;
        self.drop_connected(connected);
        let _ = self.set.inner().remove(own.socket());
        Some(own.into_socket())
    }

    /// Closes the sockets of a relay; what is queued on them still leaves. Says whether there was
    /// one.
    pub(crate) fn close(&mut self, relay: RelayId) -> bool {
        let Some(RelaySocket { own, connected, .. }) = self.take(relay) else { return false };
        self.drop_connected(connected);
        self.drop_polled(own);
        true
    }

    /// The socket that a datagram for this peer leaves by.
    #[inline]
    pub(crate) fn toward(&self, relay: RelayId, peer: SocketAddr) -> Option<&Rc<UdpSocket>> {
        let found = self.find(relay)?;
        if let Some(connected) = &found.connected
            && connected.socket().peer() == Some(peer)
        {
            found.aim.keep();
            return Some(connected.socket());
        }
        if found.aim.is_steady(peer) {
            self.steady.borrow_mut().push((relay, peer));
        }
        Some(found.own.socket())
    }

    /// Connects the relays that have a steady peer now. Nothing may be queued on their sockets: it
    /// would leave in another order.
    pub(crate) fn connect_steady(&mut self) {
        while let Some((relay, peer)) = self.steady.get_mut().pop() {
            let Self { set, options, spare, slots, .. } = self;
            let Some(found) = slots.get_mut(relay.index()).and_then(Option::as_mut) else {
                continue;
            };
            if found.relay == relay && found.connect(peer, set.inner(), options, spare).is_err() {
                found.aim.give_up();
            }
        }
    }

    /// The socket to read when one is ready: this one, or first the one that has older datagrams.
    #[inline]
    pub(crate) fn next(&self, token: u64) -> Option<Next<'_>> {
        let (relay, is_own) = Token(token).split();
        let found = self.find(relay)?;
        let behind = Some(&found.behind).filter(|behind| behind.get() > 0);
        let polled = match &found.connected {
            Some(connected) if !is_own && behind.is_none() => connected,
            _ => &found.own,
        };
        Some(Next { relay, polled, behind })
    }

    #[inline]
    fn find(&self, relay: RelayId) -> Option<&RelaySocket> {
        self.slots.get(relay.index())?.as_ref().filter(|found| found.relay == relay)
    }

    fn take(&mut self, relay: RelayId) -> Option<RelaySocket> {
        self.slots.get_mut(relay.index())?.take_if(|found| found.relay == relay)
    }

    fn drop_connected(&mut self, connected: Option<Polled>) {
        if let Some(connected) = connected {
            self.spare += 1;
            self.drop_polled(connected);
        }
    }

    /// A closed descriptor leaves the set by itself; one that is queued lives on.
    fn drop_polled(&self, polled: Polled) {
        if Rc::strong_count(polled.socket()) > 1 {
            let _ = self.set.inner().remove(polled.socket());
        }
    }
}

impl RelaySocket {
    fn connect(
        &mut self,
        peer: SocketAddr,
        set: &Epoll,
        options: &RelayOptions,
        spare: &mut usize,
    ) -> io::Result<()> {
        self.behind.set(MOST_BEHIND);
        if let Some(connected) = &self.connected {
            return connected.socket().connect(peer);
        }
        let left = spare.checked_sub(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        let socket = self.own.socket().beside(options)?;
        socket.connect(peer)?;
        set.add(&socket, Token::of_connected(self.relay).0)?;
        self.connected = Some(Polled::new(socket));
        *spare = left;
        Ok(())
    }
}

impl Next<'_> {
    /// It was read; says whether there is nothing left behind it either.
    #[inline]
    pub(crate) fn was_read(&self, filled: &Fill) -> bool {
        self.polled.gave(filled.slots.len());
        let Some(behind) = self.behind else { return filled.drained };
        behind.set(if filled.drained { 0 } else { behind.get().saturating_sub(1) });
        // The set says again what else is ready.
        false
    }
}

impl Token {
    /// Never part of the index of a relay: there are not as many descriptors.
    const CONNECTED: u64 = 1 << 31;

    const fn of_own(relay: RelayId) -> Self {
        Self(relay.to_bits())
    }

    const fn of_connected(relay: RelayId) -> Self {
        Self(relay.to_bits() | Self::CONNECTED)
    }

    /// The relay, and whether it is its own socket.
    const fn split(self) -> (RelayId, bool) {
        (RelayId::from_bits(self.0 & !Self::CONNECTED), self.0 & Self::CONNECTED == 0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use std::time::Duration;

    use turn_udp::{Destination, Ready, RecvBatch, SendBatch};

    use super::*;

    #[tokio::test]
    async fn a_steady_peer_has_a_socket_of_his_own_and_others_are_heard() {
        let mut world = World::new(1);
        let [peer, other] = [socket(), socket()];
        world.send(&peer, 9);
        assert_eq!(world.connected_to(), Some(peer.local_addr()));
        assert_eq!(world.heard_from(&peer), Token::of_connected(RELAY));
        assert_eq!(world.heard_from(&other), Token::of_own(RELAY));
        // Another one now and then changes nothing, but one in his place does.
        for _ in 0..100 {
            world.send(&other, 2);
            world.send(&peer, 1);
        }
        assert_eq!(world.connected_to(), Some(peer.local_addr()));
        world.send(&other, 64);
        assert_eq!(world.connected_to(), Some(other.local_addr()));
        assert_eq!(world.heard_from(&peer), Token::of_own(RELAY));
        assert_eq!(world.heard_from(&other), Token::of_connected(RELAY));
    }

    #[tokio::test]
    async fn what_came_before_the_socket_was_connected_is_read_before_what_came_after() {
        let mut world = World::new(1);
        let peer = socket();
        (1..=3).for_each(|what| say(&peer, world.address(), what));
        world.send(&peer, 8);
        (4..=6).for_each(|what| say(&peer, world.address(), what));
        let (own, connected) = (Token::of_own(RELAY), Token::of_connected(RELAY));
        let own = (1..=3).map(|what| (own, what));
        let all: Vec<_> = own.chain((4..=6).map(|what| (connected, what))).collect();
        assert_eq!(world.read(), all);
    }

    #[tokio::test]
    async fn a_steady_peer_is_heard_while_strangers_flood_the_socket_of_the_others() {
        let mut world = World::new(1);
        let [peer, stranger] = [socket(), socket()];
        for _ in 0..1_000 {
            say(&stranger, world.address(), 9);
        }
        world.send(&peer, 8);
        say(&peer, world.address(), 1);
        let heard = world.read();
        let place = heard.iter().position(|(_, what)| *what == 1).unwrap();
        assert!(heard.len() > 100 && place <= 2 * usize::from(MOST_BEHIND), "{place}");
    }

    #[tokio::test]
    async fn what_is_closed_is_closed_with_the_socket_beside_it() {
        for is_queued in [false, true] {
            let mut world = World::new(1);
            let peer = socket();
            world.send(&peer, 8);
            let address = world.relays.find(RELAY).unwrap().own.socket().local_addr();
            if is_queued {
                world.queue(&peer);
            }
            assert!(world.relays.close(RELAY));
            assert!(!world.relays.close(RELAY));
            assert_eq!(world.relays.spare, 1);
            world.flush();
            // Nobody has the port any more.
            UdpSocket::relay(address, &RelayOptions::default()).unwrap();
            assert_eq!(received(&peer), 8 + usize::from(is_queued));
        }
    }

    #[tokio::test]
    async fn who_takes_a_relay_over_gets_its_own_socket_which_hears_everyone() {
        let mut world = World::new(1);
        let peer = socket();
        world.send(&peer, 8);
        let own = world.relays.remove(RELAY).unwrap();
        assert_eq!(Rc::strong_count(&own), 1);
        say(&peer, own.local_addr(), 1);
        assert_eq!(received(&own), 1);
        assert_eq!(world.ready(), []);
    }

    #[tokio::test]
    async fn without_spare_descriptors_nobody_gets_a_second_socket() {
        let mut world = World::new(0);
        let peer = socket();
        world.send(&peer, 1_000);
        assert_eq!(world.connected_to(), None);
        assert_eq!(world.heard_from(&peer), Token::of_own(RELAY));
    }

    #[tokio::test]
    async fn a_relay_that_is_gone_before_it_is_connected_stays_gone() {
        let mut world = World::new(1);
        let peer = socket();
        for _ in 0..8 {
            world.queue(&peer);
        }
        world.relays.close(RELAY);
        world
            .relays
            .insert(
                OTHER,
                UdpSocket::relay(LOCAL.parse().unwrap(), &RelayOptions::default()).unwrap(),
            )
            .unwrap();
        world.flush();
        assert!(world.relays.find(OTHER).unwrap().connected.is_none());
    }

    const RELAY: RelayId = RelayId::from_bits(5);
    /// In the same slot, later.
    const OTHER: RelayId = RelayId::from_bits(1 << 32 | 5);
    const LOCAL: &str = "127.0.0.1:0";

    /// A relay, and what is on its way out.
    struct World {
        relays: RelaySockets,
        outgoing: SendBatch,
    }

    impl World {
        fn new(spare: usize) -> Self {
            let set = Rc::new(Watched::new(Epoll::new().unwrap()).unwrap());
            let mut relays = RelaySockets::new(set, RelayOptions::default(), spare);
            relays.open(RELAY, LOCAL.parse().unwrap()).unwrap();
            Self { relays, outgoing: SendBatch::new() }
        }

        fn queue(&mut self, peer: &UdpSocket) {
            let peer = peer.local_addr();
            let via = self.relays.toward(RELAY, peer).unwrap();
            self.outgoing.push_bytes(via, Destination::to(peer), b"x");
        }

        fn flush(&mut self) {
            let failed = |_: &UdpSocket, _: &Destination, error| panic!("{error}");
            self.outgoing.flush(&mut RecvBatch::new(1), failed);
            self.relays.connect_steady();
        }

        fn send(&mut self, peer: &UdpSocket, count: usize) {
            for _ in 0..count {
                self.queue(peer);
                self.flush();
            }
        }

        fn connected_to(&self) -> Option<SocketAddr> {
            self.relays.find(RELAY).unwrap().connected.as_ref()?.socket().peer()
        }

        /// The socket that hears it when this one says something.
        fn heard_from(&self, peer: &Rc<UdpSocket>) -> Token {
            say(peer, self.address(), 1);
            let [(token, 1)] = *self.read() else { panic!("it was not heard once") };
            token
        }

        fn address(&self) -> SocketAddr {
            self.relays.find(RELAY).unwrap().own.socket().local_addr()
        }

        /// Reads what has come, in the order of a shard: by which socket, and which it is.
        fn read(&self) -> Vec<(Token, u8)> {
            let (mut received, mut heard) = (RecvBatch::new(32), Vec::new());
            while !self.ready().is_empty() {
                for token in self.ready() {
                    let next = self.relays.next(token).unwrap();
                    received.clear();
                    let filled = received.fill(next.polled.socket(), 1).unwrap();
                    next.was_read(&filled);
                    let own = &self.relays.find(next.relay).unwrap().own;
                    let token = match std::ptr::eq(next.polled, own) {
                        true => Token::of_own(next.relay),
                        false => Token::of_connected(next.relay),
                    };
                    let datagrams = received.datagrams(filled.slots);
                    heard.extend(
                        datagrams.map(|datagram| (token, *datagram.bytes.first().unwrap())),
                    );
                }
            }
            heard
        }

        fn ready(&self) -> Vec<u64> {
            let mut ready = Ready::new();
            self.relays.set.inner().wait(&mut ready, Some(Duration::ZERO)).unwrap().to_vec()
        }
    }

    fn say(from: &Rc<UdpSocket>, to: SocketAddr, what: u8) {
        let mut batch = SendBatch::new();
        batch.push_bytes(from, Destination::to(to), &[what]);
        batch.flush(&mut RecvBatch::new(1), |_, _, error| panic!("{error}"));
    }

    fn received(socket: &UdpSocket) -> usize {
        RecvBatch::new(1_024).fill(socket, 1_024).unwrap().slots.len()
    }

    fn socket() -> Rc<UdpSocket> {
        Rc::new(UdpSocket::relay(LOCAL.parse().unwrap(), &RelayOptions::default()).unwrap())
    }
}
