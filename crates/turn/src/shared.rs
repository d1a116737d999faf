//! What the shards of a process have in common: port maps, quotas, rate
//! buckets and the nonce key. All of it atomics or a short lock that no
//! relayed packet takes.

use std::hash::RandomState;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Instant;

use crate::allocation::{PortSpace, RelayProtocol};
use crate::buckets::{Buckets, Purpose};
use crate::id::ShardId;
use crate::ledger::Ledger;
use crate::link::SourcePrefix;
use crate::nonce::NonceKey;
use crate::port_map::PortMap;
use crate::rate::Rate;
use crate::settings::Limits;

/// Shared by all engines of a process.
#[derive(Debug)]
pub struct Shared {
    /// Of each relay address, for UDP and for TCP (RFC 6062).
    udp_ports: Vec<PortMap>,
    tcp_ports: Vec<PortMap>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) buckets: Buckets,
    pub(crate) nonce_key: NonceKey,
    started: Instant,
    /// Keys userids for quotas, the same in every shard.
    pub(crate) accounts: RandomState,
    /// One bit for each key under `[limits]` that has refused.
    limits_met: AtomicU32,
    /// The highest number of a shard that has an engine.
    last_shard: AtomicU8,
}

impl Shared {
    /// One port map for each of `relay_addresses` and each protocol, all with `ports`.
    pub fn new(
        relay_addresses: usize,
        ports: &RangeInclusive<u16>,
        nonce_key: NonceKey,
        started: Instant,
    ) -> Self {
        let maps = || (0..relay_addresses).map(|_| PortMap::new(ports.clone())).collect();
        Self {
            udp_ports: maps(),
            tcp_ports: maps(),
            ledger: Arc::new(Ledger::default()),
            buckets: Buckets::new(started),
            nonce_key,
            started,
            accounts: RandomState::new(),
            limits_met: AtomicU32::new(0),
            last_shard: AtomicU8::new(0),
        }
    }

    /// The UDP port map of a relay address.
    pub fn ports(&self, relay_address: usize) -> Option<&PortMap> {
        self.udp_ports.get(relay_address)
    }

    /// The TCP port map of a relay address.
    pub fn tcp_ports(&self, relay_address: usize) -> Option<&PortMap> {
        self.tcp_ports.get(relay_address)
    }

    /// Allocations and reservations that count toward quotas at this moment.
    pub fn allocations(&self) -> u32 {
        self.ledger.all()
    }

    /// Seconds since the start, the unit of port maps.
    pub fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.started).as_secs()).unwrap_or(u32::MAX)
    }

    /// Whether a Binding request from `source` may be answered: `binding_replies`,
    /// and never toward a port where another server might answer back `[H8] [H9]`.
    pub fn admit_binding(&self, limits: &Limits, source: SocketAddr, now: Instant) -> bool {
        if is_reflector(source) {
            return false;
        }
        // [H9]
        let Some(rate) = limits.binding_replies else { return true };
        let key = SourcePrefix::of(source.ip()).bits();
        limits.exempts(source.ip()) || self.buckets.take(Purpose::BindingReplies, key, rate, 1, now)
    }

    /// Whether this is the first time that the limit of this key refuses.
    pub fn meets_limit(&self, key: &'static str) -> bool {
        let Some(at) = LIMITS.iter().position(|known| *known == key) else { return false };
        let bit = 1 << at;
        self.limits_met.load(Ordering::Relaxed) & bit == 0
            && self.limits_met.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(crate) fn ports_in(&self, space: PortSpace) -> Option<&PortMap> {
        match space.protocol {
            RelayProtocol::Udp => self.ports(space.address),
            RelayProtocol::Tcp => self.tcp_ports(space.address),
        }
    }

    /// Whether any TCP allocation lives, so that there can be connections to bind.
    pub(crate) fn has_tcp_relays(&self) -> bool {
        self.tcp_ports.iter().any(|ports| ports.taken() > 0)
    }

    /// An engine of this shard has been made.
    pub(crate) fn add_shard(&self, shard: ShardId) {
        self.last_shard.fetch_max(shard.0, Ordering::Relaxed);
    }

    pub(crate) fn has_shard(&self, shard: ShardId) -> bool {
        shard.0 <= self.last_shard.load(Ordering::Relaxed)
    }

    /// Whether a stranger may be answered over UDP: `challenges`, of which one
    /// source port gets a small share `[H10]`.
    pub(crate) fn admit_challenge(
        &self,
        limits: &Limits,
        source: SocketAddr,
        now: Instant,
    ) -> bool {
        if is_reflector(source) {
            return false;
        }
        let Some(rate) = limits.challenges else { return true };
        if limits.exempts(source.ip()) {
            return true;
        }
        let prefix = SourcePrefix::of(source.ip()).bits();
        // [H10]
        let (count, burst) = Limits::CHALLENGES_OF_PORT;
        let of_port = prefix.rotate_left(16) ^ u64::from(source.port());
        self.buckets.take(
            Purpose::ChallengesOfPort,
            of_port,
            Rate::per_second(count, burst),
            1,
            now,
        ) && self.buckets.take(Purpose::Challenges, prefix, rate, 1, now)
    }
}

/// The keys under `[limits]` that can refuse.
const LIMITS: [&str; 17] = [
    "allocations",
    "allocations_per_user",
    "allocations_per_source",
    "binding_replies",
    "challenges",
    "permissions_per_allocation",
    "channels_per_allocation",
    "peers_per_allocation",
    "new_peers",
    "bandwidth_per_allocation",
    "bandwidth_per_user",
    "bandwidth_per_realm",
    "bandwidth",
    "connections_per_source",
    "unauthenticated_connections",
    "accepts",
    "peer_connections_per_allocation",
];

/// Ports of services that answer any datagram: a reply of ours could start a
/// loop between two servers.
const REFLECTORS: [u16; 12] = [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161];

fn is_reflector(source: SocketAddr) -> bool {
    // [H8]
    REFLECTORS.contains(&source.port())
}
