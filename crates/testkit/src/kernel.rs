//! The kernel: which shard a client's packets reach, and which relay sockets are open.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use turn_engine::{FiveTuple, OpenError, RelayId, ShardId};

use crate::seeded::Seeded;

/// Sockets of all shards.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    shards: u8,
    by_address: HashMap<SocketAddr, (ShardId, RelayId)>,
    by_relay: HashMap<(ShardId, RelayId), SocketAddr>,
    /// Ports that another process has.
    taken: HashSet<SocketAddr>,
    /// What every bind fails with, if anything.
    pub(crate) failing: Option<OpenError>,
}

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
        bind: SocketAddr,
    ) -> Result<(), OpenError> {
        if let Some(error) = self.failing {
            return Err(error);
        }
        if self.taken.contains(&bind) {
            return Err(OpenError::AddressInUse);
        }
        assert!(!self.by_address.contains_key(&bind), "{bind} is bound twice");
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

    /// The shard of the reuse-port group that a client's packets reach.
    pub(crate) fn shard_of(&self, tuple: &FiveTuple) -> ShardId {
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

    pub(crate) fn socket_at(&self, bound: SocketAddr) -> Option<(ShardId, RelayId)> {
        self.by_address.get(&bound).copied()
    }

    pub(crate) fn bound(&self, shard: ShardId, relay: RelayId) -> Option<SocketAddr> {
        self.by_relay.get(&(shard, relay)).copied()
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = (SocketAddr, ShardId, RelayId)> {
        self.by_address.iter().map(|(address, (shard, relay))| (*address, *shard, *relay))
    }
}
