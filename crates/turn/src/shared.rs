//! What the shards of a process have in common: port maps, quotas, rate
//! buckets and the nonce key. All of it atomics or a short lock that no
//! relayed packet takes.

use std::hash::RandomState;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use crate::allocation::{PortSpace, RelayProtocol};
use crate::buckets::{Buckets, Purpose, RateBuckets};
use crate::id::{RealmId, ShardId, TenantId};
use crate::ledger::Ledger;
use crate::limit_name::{self, KEYS, LimitName, LimitsMet};
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
    limits_met: LimitsMet,
    /// Refusals of the host, by the places of the keys.
    refused_by: [AtomicU64; KEYS.len()],
    is_draining: AtomicBool,
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
            limits_met: LimitsMet::default(),
            refused_by: Default::default(),
            is_draining: AtomicBool::new(false),
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

    /// Of these, the ones of a realm.
    pub fn allocations_of_realm(&self, realm: RealmId) -> u32 {
        self.ledger.of_realm(realm)
    }

    /// Of these, the ones of a tenant.
    pub fn allocations_of_tenant(&self, realm: RealmId, tenant: TenantId) -> u32 {
        self.ledger.of_tenant(realm, tenant)
    }

    /// From now on new Allocate requests get 508, and everything else goes on; or no more.
    pub fn set_draining(&self, is_draining: bool) {
        self.is_draining.store(is_draining, Ordering::Relaxed);
    }

    /// Whether new Allocate requests get 508.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
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

    /// A limit of the process with this key refuses, which is counted: whether it is for the first
    /// time.
    pub fn meets_limit(&self, key: &'static str) -> bool {
        if let Some(count) = limit_name::place(key).and_then(|place| self.refused_by.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.meets(LimitName::of_process(key))
    }

    /// What the host has refused by the limits of the process, by key. What the engines refuse is
    /// in [`Counters::limit_refusals`](crate::Counters::limit_refusals).
    pub fn limit_refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused_by.iter().map(|count| count.load(Ordering::Relaxed));
        KEYS.into_iter().zip(counts)
    }

    /// How full the table of rate buckets is: 65,536 words to look at.
    pub fn rate_buckets(&self, now: Instant) -> RateBuckets {
        self.buckets.census(now)
    }

    pub(crate) fn meets(&self, limit: LimitName) -> bool {
        self.limits_met.meets(limit)
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

/// Ports of services that answer any datagram: a reply of ours could start a
/// loop between two servers.
const REFLECTORS: [u16; 12] = [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161];

fn is_reflector(source: SocketAddr) -> bool {
    // [H8]
    REFLECTORS.contains(&source.port())
}
