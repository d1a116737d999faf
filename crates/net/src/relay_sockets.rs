//! The relay sockets of a shard: found by the slot of their relay, polled
//! through one epoll set.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use turn_engine::RelayId;
use turn_udp::{Epoll, UdpSocket, Watched};

/// Sockets by relay; the set is itself watched by the runtime.
#[derive(Debug)]
pub(crate) struct RelaySockets {
    set: Rc<Watched<Epoll>>,
    slots: Vec<Option<RelaySocket>>,
}

/// A relay socket, and how much it gave of late.
#[derive(Debug)]
pub(crate) struct RelaySocket {
    relay: RelayId,
    socket: Rc<UdpSocket>,
    /// The turn in which it was read last.
    last_turn: Cell<u32>,
    /// It had several messages at once.
    is_busy: Cell<bool>,
}

impl RelaySocket {
    /// How many messages to ask for in this turn. The usual socket has one, and to ask for a
    /// second costs a look that finds nothing; what is left shows in the next turn.
    #[inline]
    pub(crate) fn ask(&self, turn: u32) -> usize {
        if self.last_turn.replace(turn).wrapping_add(1) == turn {
            self.is_busy.set(true);
        }
        if self.is_busy.get() { AT_MOST_FROM_A_RELAY } else { 1 }
    }

    /// It gave so many.
    #[inline]
    pub(crate) fn gave(&self, messages: usize) {
        if messages <= 1 {
            self.is_busy.set(false);
        }
    }

    pub(crate) fn socket(&self) -> &Rc<UdpSocket> {
        &self.socket
    }
}

/// Messages taken from one relay socket at a visit, so that none starves the
/// others.
const AT_MOST_FROM_A_RELAY: usize = 8;

impl RelaySockets {
    pub(crate) const fn new(set: Rc<Watched<Epoll>>) -> Self {
        Self { set, slots: Vec::new() }
    }

    pub(crate) fn insert(&mut self, relay: RelayId, socket: UdpSocket) -> io::Result<()> {
        let socket = Rc::new(socket);
        self.set.inner().add(&*socket, relay.to_bits())?;
        if self.slots.len() <= relay.index() {
            self.slots.resize_with(relay.index() + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(relay.index()) {
            *slot = Some(RelaySocket {
                relay,
                socket,
                last_turn: Cell::new(0),
                is_busy: Cell::new(false),
            });
        }
        Ok(())
    }

    /// Takes the socket out of the set. What is queued on it still leaves.
    pub(crate) fn remove(&mut self, relay: RelayId) -> Option<Rc<UdpSocket>> {
        let slot = self.slots.get_mut(relay.index())?;
        if slot.as_ref().is_none_or(|found| found.relay != relay) {
            return None;
        }
        let RelaySocket { socket, .. } = slot.take()?;
        // A closed descriptor leaves the set by itself, a queued one lives on.
        let _ = self.set.inner().remove(&*socket);
        Some(socket)
    }

    /// Closes the socket; what is queued on it still leaves. Says whether there was one.
    pub(crate) fn close(&mut self, relay: RelayId) -> bool {
        if self.find(relay).is_some_and(|found| Rc::strong_count(&found.socket) == 1) {
            // A closed descriptor leaves the set by itself.
            return self.slots.get_mut(relay.index()).and_then(Option::take).is_some();
        }
        self.remove(relay).is_some()
    }

    #[inline]
    pub(crate) fn get(&self, relay: RelayId) -> Option<&Rc<UdpSocket>> {
        self.find(relay).map(|found| &found.socket)
    }

    #[inline]
    pub(crate) fn find(&self, relay: RelayId) -> Option<&RelaySocket> {
        self.slots.get(relay.index())?.as_ref().filter(|found| found.relay == relay)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use turn_udp::RelayOptions;

    use super::*;

    fn relay_socket() -> RelaySocket {
        let local = "127.0.0.1:0".parse().unwrap();
        RelaySocket {
            relay: RelayId::from_bits(0),
            socket: Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap()),
            last_turn: Cell::new(0),
            is_busy: Cell::new(false),
        }
    }

    #[test]
    fn a_socket_with_a_packet_now_and_then_is_asked_for_one() {
        let socket = relay_socket();
        for turn in [10, 12, 20] {
            assert_eq!(socket.ask(turn), 1);
            socket.gave(1);
        }
    }

    #[test]
    fn a_socket_that_was_not_emptied_is_asked_for_several_until_it_is() {
        let socket = relay_socket();
        assert_eq!(socket.ask(10), 1);
        socket.gave(1);
        assert_eq!(socket.ask(11), AT_MOST_FROM_A_RELAY);
        socket.gave(3);
        assert_eq!(socket.ask(15), AT_MOST_FROM_A_RELAY);
        socket.gave(1);
        assert_eq!(socket.ask(20), 1);
    }
}
