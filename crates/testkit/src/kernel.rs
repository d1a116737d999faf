//! The kernel: which shard a client's packets reach, which relay sockets are open, and which TCP
//! connections they have with peers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use turn_engine::{ConnectionId, FiveTuple, OpenError, RelayId, RelayProtocol, ShardId};

use crate::peer_connection::{PeerAnswer, PeerConnection};
use crate::seeded::Seeded;

/// Sockets of all shards.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    shards: u8,
    by_address: HashMap<Bound, (ShardId, RelayId)>,
    by_relay: HashMap<(ShardId, RelayId), Bound>,
    /// Ports that another process has.
    taken: HashSet<SocketAddr>,
    /// Connections that were accepted by one shard and handed to another.
    moved: HashMap<FiveTuple, ShardId>,
    /// Connections of relay sockets with peers.
    pub(crate) connections: BTreeMap<ConnectionId, PeerConnection>,
    /// What every bind fails with, if anything.
    pub(crate) failing: Option<OpenError>,
    /// What becomes of a connection to a peer outside.
    pub(crate) peers: PeerAnswer,
}

/// Where a relay socket is.
pub(crate) type Bound = (RelayProtocol, SocketAddr);

impl Kernel {
    pub(crate) fn with_shards(self, shards: u8) -> Self {
        Self { shards, ..self }
    }

    pub(crate) fn take_port(&mut self, address: SocketAddr) {
        self.taken.insert(address);
    }

    pub(crate) fn open(
        &mut self,
        shard: ShardId,
        relay: RelayId,
        bind: Bound,
    ) -> Result<(), OpenError> {
        if let Some(error) = self.failing {
            return Err(error);
        }
        if self.taken.contains(&bind.1) {
            return Err(OpenError::AddressInUse);
        }
        assert!(!self.by_address.contains_key(&bind), "{bind:?} is bound twice");
        let before = self.by_relay.insert((shard, relay), bind);
        assert_eq!(before, None, "a relay has one socket");
        self.by_address.insert(bind, (shard, relay));
        Ok(())
    }

    /// Closes a socket; one that never opened is nothing to close.
    pub(crate) fn close(&mut self, shard: ShardId, relay: RelayId) {
        if let Some(address) = self.by_relay.remove(&(shard, relay)) {
            self.by_address.remove(&address);
        }
    }

    /// A socket goes to another shard, under another name.
    pub(crate) fn hand_over(&mut self, from: (ShardId, RelayId), to: (ShardId, RelayId)) {
        let address = self.by_relay.remove(&from).expect("what is handed over is open");
        self.by_relay.insert(to, address);
        self.by_address.insert(address, to);
    }

    /// A client's connection goes to another shard.
    pub(crate) fn move_client(&mut self, tuple: FiveTuple, to: ShardId) {
        self.moved.insert(tuple, to);
    }

    /// A client's connection ends.
    pub(crate) fn forget_client(&mut self, tuple: &FiveTuple) {
        self.moved.remove(tuple);
    }

    /// The shard of the reuse-port group that a client's packets reach, or the one that its
    /// connection was handed to.
    pub(crate) fn shard_of(&self, tuple: &FiveTuple) -> ShardId {
        if let Some(shard) = self.moved.get(tuple) {
            return *shard;
        }
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for address in [tuple.client, tuple.server] {
            match address.ip() {
                IpAddr::V4(v4) => v4.octets().into_iter().for_each(&mut mix),
                IpAddr::V6(v6) => v6.octets().into_iter().for_each(&mut mix),
            }
            address.port().to_be_bytes().into_iter().for_each(&mut mix);
        }
        let shard = Seeded::new(hash).next_u64() % u64::from(self.shards.max(1));
        ShardId(u8::try_from(shard).unwrap_or(0))
    }

    pub(crate) fn socket_at(&self, bound: Bound) -> Option<(ShardId, RelayId)> {
        self.by_address.get(&bound).copied()
    }

    pub(crate) fn bound(&self, shard: ShardId, relay: RelayId) -> Option<SocketAddr> {
        self.by_relay.get(&(shard, relay)).map(|(_, address)| *address)
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = (Bound, ShardId, RelayId)> {
        self.by_address.iter().map(|(bound, (shard, relay))| (*bound, *shard, *relay))
    }

    /// Whether a client's connection carries the bytes of a peer.
    pub(crate) fn is_spliced(&self, tuple: &FiveTuple) -> bool {
        self.connections.values().any(|connection| connection.spliced == Some(*tuple))
    }

    /// The connection of this CONNECTION-ID.
    pub(crate) fn connection(&self, id: u32) -> Option<ConnectionId> {
        self.connections.keys().find(|connection| connection.to_bits() == id).copied()
    }
}
