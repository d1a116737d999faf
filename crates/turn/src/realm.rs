//! A realm: who may allocate under its name, what for, and how much.
//!
//! RFC 8489 section 9.2: a realm is the domain of long-term credentials. Realms share nothing but
//! the process: users, secrets, peer policy, quotas and relay addresses are each realm's own. The
//! host says which realm a client speaks to before the client has named one `[A20]`.

use std::time::Duration;

use crate::id::TenantId;
use crate::keyring::Keyring;
use crate::peer_policy::PeerPolicy;
use crate::rate::{Bandwidth, Rate};
use crate::tenant::Tenant;

/// One realm.
#[derive(Debug, Clone, Default)]
pub struct Realm {
    /// The name that its challenges carry.
    pub name: Box<str>,
    /// The server names (TLS SNI) that choose it where a listener does not.
    pub server_names: Vec<Box<str>>,
    /// Who may allocate.
    pub keyring: Keyring,
    /// Serve Allocate without credentials: an open relay.
    pub anonymous: bool,
    /// Who may be a peer.
    pub peers: PeerPolicy,
    /// Counts and rates of the realm.
    pub limits: RealmLimits,
    /// Where it allocates: places in [`RelaySettings::addresses`](crate::RelaySettings); all of
    /// them when it names none.
    pub relay_addresses: Vec<usize>,
    /// What an Allocate request without an address family gets.
    pub default_family: DefaultFamily,
    /// Those of its users who share a quota and a bandwidth.
    pub tenants: Vec<Tenant>,
    /// It has been taken out of the configuration; its place stays, so that ids keep their meaning.
    pub is_removed: bool,
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

/// Limits of one realm; `None` is "off".
#[derive(Debug, Clone)]
pub struct RealmLimits {
    /// Allocations of the realm.
    pub allocations: Option<u32>,
    /// Allocations of one user.
    pub allocations_per_user: PerUser,
    /// Live permissions of one allocation.
    pub permissions_per_allocation: Option<u32>,
    /// Live channels of one allocation.
    pub channels_per_allocation: Option<u32>,
    /// Peer transport addresses that one allocation may have sent to.
    pub peers_per_allocation: Option<u32>,
    /// Rate of new ones among them.
    pub new_peers: Option<Rate>,
    /// Connections to peers of one TCP allocation (RFC 6062).
    pub peer_connections_per_allocation: Option<u32>,
    /// Payload of one allocation, each direction.
    pub bandwidth_per_allocation: Option<Bandwidth>,
    /// Payload of one user, each direction.
    pub bandwidth_per_user: Option<Bandwidth>,
    /// Payload of the realm, each direction.
    pub bandwidth_per_realm: Option<Bandwidth>,
    /// Longest LIFETIME that is granted; at least 600 s.
    pub max_lifetime: Duration,
    /// Age at which an allocation ends whatever it asks.
    pub max_allocation_age: Option<Duration>,
}

impl Realm {
    /// A realm of this name in which nobody may do anything yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The place of a realm that is no longer configured.
    pub fn removed(name: &str) -> Self {
        Self { is_removed: true, ..Self::new(name) }
    }

    pub(crate) fn tenant(&self, id: Option<TenantId>) -> Option<&Tenant> {
        self.tenants.get(usize::from(id?.0))
    }
}

impl PerUser {
    /// What `Auto` gives a userid.
    pub const AUTO: u32 = 32;
}

impl Default for RealmLimits {
    fn default() -> Self {
        Self {
            allocations: None,
            allocations_per_user: PerUser::Auto,
            permissions_per_allocation: Some(64),
            channels_per_allocation: Some(64),
            peers_per_allocation: Some(256),
            new_peers: Some(Rate::per_second(10, 64)),
            peer_connections_per_allocation: Some(64),
            bandwidth_per_allocation: None,
            bandwidth_per_user: None,
            bandwidth_per_realm: None,
            max_lifetime: Duration::from_secs(3_600),
            max_allocation_age: None,
        }
    }
}
