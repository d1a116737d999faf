//! The relay sockets of a shard: found by the slot of their relay, polled
//! through one epoll set.

use std::io;
use std::rc::Rc;

use turn_engine::RelayId;
use turn_udp::{Epoll, UdpSocket, Watched};

/// Sockets by relay; the set is itself watched by the runtime.
#[derive(Debug)]
pub(crate) struct RelaySockets {
    set: Rc<Watched<Epoll>>,
    slots: Vec<Option<(RelayId, Rc<UdpSocket>)>>,
}

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
            *slot = Some((relay, socket));
        }
        Ok(())
    }

    /// Takes the socket out of the set. What is queued on it still leaves.
    pub(crate) fn remove(&mut self, relay: RelayId) -> Option<Rc<UdpSocket>> {
        let slot = self.slots.get_mut(relay.index())?;
        if slot.as_ref().is_none_or(|(id, _)| *id != relay) {
            return None;
        }
        let (_, socket) = slot.take()?;
        // A closed descriptor leaves the set by itself, a queued one lives on.
        let _ = self.set.inner().remove(&*socket);
        Some(socket)
    }

    #[inline]
    pub(crate) fn get(&self, relay: RelayId) -> Option<&Rc<UdpSocket>> {
        match self.slots.get(relay.index()) {
            Some(Some((id, socket))) if *id == relay => Some(socket),
            Some(_) | None => None,
        }
    }
}
