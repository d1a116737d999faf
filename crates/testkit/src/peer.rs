//! A peer: some host out there.

use std::net::SocketAddr;

use crate::emitted::Emitted;
use crate::world::World;

/// A peer at one transport address.
#[derive(Debug, Clone)]
pub struct Peer {
    world: World,
    address: SocketAddr,
}

impl Peer {
    pub(crate) const fn new(world: World, address: SocketAddr) -> Self {
        Self { world, address }
    }

    /// Sends to a relayed transport address.
    pub fn sends(&self, relayed: SocketAddr, data: &[u8]) -> Emitted {
        self.world.run(|simulation| simulation.peer_sends(relayed, self.address, data))
    }

    /// Connects to a relayed transport address by TCP.
    pub fn connects(&self, relayed: SocketAddr) -> Emitted {
        self.world.run(|simulation| simulation.peer_connects(relayed, self.address))
    }
}
