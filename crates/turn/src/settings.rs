//! What the operator decides, as plain data: built from the configuration,
//! shared by all shards, swapped as a whole.

use std::net::IpAddr;
use std::time::Duration;

use turn_codec::{AddressFamily, ChannelRange};

use crate::address_range::AddressRange;
use crate::keyring::Keyring;
use crate::peer_policy::{PeerPolicy, RelayAddress};
use crate::rate::{Bandwidth, Rate};

/// Everything that the engine takes from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The realm that challenges name (RFC 8489 section 9.2).
    pub realm: Box<str>,
    /// Who may allocate.
    pub keyring: Keyring,
    /// Serve Allocate without credentials: an open relay.
    pub anonymous: bool,
    /// Age at which a nonce is answered 438; 1 s to 1 h.
    pub nonce_lifetime: Duration,
    /// Relayed transport addresses.
    pub relay: RelaySettings,
    /// Who may be a peer.
    pub peers: PeerPolicy,
    /// Counts and rates.
    pub limits: Limits,
}

/// Where relayed transport addresses are allocated.
#[derive(Debug, Clone, Default)]
pub struct RelaySettings {
    /// The addresses, in the order of [`Shared`](crate::Shared)'s port maps.
    pub addresses: Vec<RelayAddress>,
    /// What an Allocate request without an address family gets.
    pub default_family: DefaultFamily,
    /// Which channel numbers clients may bind.
    pub channels: ChannelRange,
    /// Serve TCP allocations (RFC 6062).
    pub tcp: bool,
}

/// The family of an allocation whose request names none (RFC 8656 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultFamily {
    /// IPv4 as the RFC says; IPv6 where no IPv4 relay address exists.
    #[default]
    Unwritten,
    /// IPv4, or 440.
    Ipv4,
    /// IPv6, or 440.
    Ipv6,
    /// The family of the client's own address.
    Client,
}

/// How many allocations one user may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerUser {
    /// 32 for each userid of time-limited credentials; none for static users
    /// and bare expiries, which often serve a whole site.
    Auto,
    /// This many for everybody.
    Count(u32),
    /// No limit.
    Off,
}

impl PerUser {
    /// What `Auto` gives a userid.
    pub const AUTO: u32 = 32;
}

/// Limits; `None` is "off".
#[derive(Debug, Clone)]
pub struct Limits {
    /// Allocations of the process.
    pub allocations: Option<u32>,
    /// Allocations of one user.
    pub allocations_per_user: PerUser,
    /// Allocations of one IPv4 address or IPv6 /64.
    pub allocations_per_source: Option<u32>,
    /// Binding replies to one IPv4 address or IPv6 /64.
    pub binding_replies: Option<Rate>,
    /// Replies 401, 438 and 400 over UDP to one address that has proven nothing.
    pub challenges: Option<Rate>,
    /// Sources that limits of a source do not bind.
    pub exempt_sources: Vec<AddressRange>,
    /// Live permissions of one allocation.
    pub permissions_per_allocation: Option<u32>,
    /// Live channels of one allocation.
    pub channels_per_allocation: Option<u32>,
    /// Peer transport addresses that one allocation may have sent to.
    pub peers_per_allocation: Option<u32>,
    /// Rate of new ones among them.
    pub new_peers: Option<Rate>,
    /// Payload of one allocation, each direction.
    pub bandwidth_per_allocation: Option<Bandwidth>,
    /// Payload of one user, each direction.
    pub bandwidth_per_user: Option<Bandwidth>,
    /// Payload of the realm, each direction.
    pub bandwidth_per_realm: Option<Bandwidth>,
    /// Payload of the process, each direction.
    pub bandwidth: Option<Bandwidth>,
    /// Longest LIFETIME that is granted; at least 600 s.
    pub max_lifetime: Duration,
    /// Age at which an allocation ends whatever it asks.
    pub max_allocation_age: Option<Duration>,
    /// Connections from one IPv4 address or IPv6 /64; counted by the host.
    pub connections_per_source: Option<u32>,
    /// Connections without an allocation; counted by the host.
    pub unauthenticated_connections: Option<u32>,
    /// Connections that are accepted; counted by the host.
    pub accepts: Option<Rate>,
    /// Connections to peers of one TCP allocation (RFC 6062).
    pub peer_connections_per_allocation: Option<u32>,
    /// Bytes that wait for a slow client on its connection; kept by the host.
    pub queue_per_connection: usize,
}

impl Limits {
    /// Replies to one source *port* that has proven nothing, out of `challenges`.
    pub const CHALLENGES_OF_PORT: (u32, u32) = (5, 10);
    /// Failed attempts of one user from one source: 10 a minute.
    pub const FAILED_ATTEMPTS: u32 = 10;

    /// Whether the limits of a source do not bind this one.
    pub fn exempts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.exempt_sources.iter().any(|range| range.contains(source))
    }
    /// Connections that one user names from one source and that do not wait for them: 100 a minute.
    pub const WRONG_CONNECTIONS: u32 = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: None,
            allocations_per_user: PerUser::Auto,
            allocations_per_source: Some(4_096),
            binding_replies: Some(Rate::per_second(1_000, 2_000)),
            challenges: Some(Rate::per_second(1_000, 2_000)),
            exempt_sources: Vec::new(),
            permissions_per_allocation: Some(64),
            channels_per_allocation: Some(64),
            peers_per_allocation: Some(256),
            new_peers: Some(Rate::per_second(10, 64)),
            bandwidth_per_allocation: None,
            bandwidth_per_user: None,
            bandwidth_per_realm: None,
            bandwidth: None,
            max_lifetime: Duration::from_secs(3_600),
            max_allocation_age: None,
            connections_per_source: Some(1_024),
            unauthenticated_connections: Some(4_096),
            accepts: Some(Rate::per_second(1_000, 1_000)),
            peer_connections_per_allocation: Some(64),
            queue_per_connection: 256 * 1_024,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            realm: "localhost".into(),
            keyring: Keyring::default(),
            anonymous: false,
            nonce_lifetime: Duration::from_secs(600),
            relay: RelaySettings::default(),
            peers: PeerPolicy::default(),
            limits: Limits::default(),
        }
    }
}

impl RelaySettings {
    /// Whether some relay address is of this family.
    pub(crate) fn has(&self, family: AddressFamily) -> bool {
        self.addresses.iter().any(|relay| AddressFamily::of_ip(&relay.bound) == family)
    }
}
