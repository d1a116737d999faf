//! What the operator decides, as plain data: built from the configuration,
//! shared by all shards, swapped as a whole.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use turn_codec::{AddressFamily, ChannelRange};

use crate::address_range::AddressRange;
use crate::id::RealmId;
use crate::peer_policy::RelayAddress;
use crate::rate::{Bandwidth, Rate};
use crate::realm::Realm;

/// Everything that the engine takes from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The realms by their [`RealmId`]; the first is the default. A place is never given to
    /// another realm.
    pub realms: Vec<Realm>,
    /// Age at which a nonce is answered 438; 1 s to 1 h.
    pub nonce_lifetime: Duration,
    /// Relayed transport addresses.
    pub relay: RelaySettings,
    /// Counts and rates of the process.
    pub limits: Limits,
}

/// Where relayed transport addresses are allocated.
#[derive(Debug, Clone, Default)]
pub struct RelaySettings {
    /// The addresses, in the order of [`Shared`](crate::Shared)'s port maps.
    pub addresses: Vec<RelayAddress>,
    /// Which channel numbers clients may bind.
    pub channels: ChannelRange,
    /// Serve TCP allocations (RFC 6062).
    pub tcp: bool,
    /// Take the address that the client sent to, where it is a relay address with a port left,
    /// instead of the least used.
    pub prefer_listener: bool,
}

/// Limits of the process; `None` is "off".
#[derive(Debug, Clone)]
pub struct Limits {
    /// Allocations of the process.
    pub allocations: Option<u32>,
    /// Allocations of one IPv4 address or IPv6 /64.
    pub allocations_per_source: Option<u32>,
    /// Binding replies to one IPv4 address or IPv6 /64.
    pub binding_replies: Option<Rate>,
    /// Replies 401, 438 and 400 over UDP to one address that has proven nothing.
    pub challenges: Option<Rate>,
    /// Sources that limits of a source do not bind.
    pub exempt_sources: Vec<AddressRange>,
    /// Payload of the process, each direction.
    pub bandwidth: Option<Bandwidth>,
    /// Connections from one IPv4 address or IPv6 /64; counted by the host.
    pub connections_per_source: Option<u32>,
    /// Connections without an allocation; counted by the host.
    pub unauthenticated_connections: Option<u32>,
    /// Connections that are accepted; counted by the host.
    pub accepts: Option<Rate>,
    /// Bytes that wait for a slow client on its connection; kept by the host.
    pub queue_per_connection: usize,
}

impl RelaySettings {
    /// Remembers at each place what it has advertised before: see [`RelayAddress::follow`].
    pub fn follow(&mut self, before: &[RelayAddress]) {
        for (address, before) in self.addresses.iter_mut().zip(before) {
            address.follow(before);
        }
    }
}

impl Settings {
    /// A realm; for an id that nobody has given, one in which nobody may do anything.
    pub fn realm(&self, id: RealmId) -> &Realm {
        self.realms.get(usize::from(id.0)).unwrap_or_else(|| &NOWHERE)
    }

    /// The realm that a server name (TLS SNI) chooses.
    pub fn realm_of_name(&self, server_name: &str) -> Option<RealmId> {
        let is_it = |name: &str| name.eq_ignore_ascii_case(server_name);
        let mut places = self.realms.iter().zip(0_u16..);
        places
            .find(|(realm, _)| {
                !realm.is_removed && realm.server_names.iter().any(|name| is_it(name))
            })
            .map(|(_, place)| RealmId(place))
    }

    /// The relay addresses of a realm, and their places in the port maps.
    pub(crate) fn relay_addresses(
        &self,
        realm: RealmId,
    ) -> impl Iterator<Item = (usize, &RelayAddress)> {
        let own = &self.realm(realm).relay_addresses;
        let addresses = self.relay.addresses.iter().enumerate();
        addresses.filter(move |(place, _)| own.is_empty() || own.contains(place))
    }

    /// Whether a realm has a relay address of this family.
    pub(crate) fn relays(&self, realm: RealmId, family: AddressFamily) -> bool {
        let mut addresses = self.relay_addresses(realm);
        addresses.any(|(_, relay)| AddressFamily::of_ip(&relay.bound) == family)
    }
}

impl Limits {
    /// Replies to one source *port* that has proven nothing, out of `challenges`.
    pub const CHALLENGES_OF_PORT: (u32, u32) = (5, 10);
    /// Failed attempts of one user from one source: 10 a minute.
    pub const FAILED_ATTEMPTS: u32 = 10;
    /// Names that no credential store knows, of one source: 100 a minute.
    pub const UNKNOWN_NAMES: u32 = 100;
    /// Connections that one user names from one source and that do not wait for them: 100 a minute.
    pub const WRONG_CONNECTIONS: u32 = 100;

    /// Whether the limits of a source do not bind this one.
    pub fn exempts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.exempt_sources.iter().any(|range| range.contains(source))
    }
}

/// Stands in for a realm that does not exist.
static NOWHERE: LazyLock<Realm> = LazyLock::new(|| Realm::removed(""));

impl Default for Settings {
    fn default() -> Self {
        Self {
            realms: vec![Realm::new("localhost")],
            nonce_lifetime: Duration::from_secs(600),
            relay: RelaySettings::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: None,
            allocations_per_source: Some(4_096),
            binding_replies: Some(Rate::per_second(1_000, 2_000)),
            challenges: Some(Rate::per_second(1_000, 2_000)),
            exempt_sources: Vec::new(),
            bandwidth: None,
            connections_per_source: Some(1_024),
            unauthenticated_connections: Some(4_096),
            accepts: Some(Rate::per_second(1_000, 1_000)),
            queue_per_connection: 256 * 1_024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_names(names: &[&str]) -> Realm {
        let server_names = names.iter().map(|&name| name.into()).collect();
        Realm { server_names, ..Realm::new("of names") }
    }

    #[test]
    fn server_name_chooses_a_realm_whatever_its_case() {
        let removed = Realm { is_removed: true, ..with_names(&["gone.example"]) };
        let realms = vec![Realm::new("a"), removed, with_names(&["b.example", "c.example"])];
        let settings = Settings { realms, ..Settings::default() };
        assert_eq!(settings.realm_of_name("C.Example"), Some(RealmId(2)));
        assert_eq!(settings.realm_of_name("gone.example"), None);
        assert_eq!(settings.realm_of_name("a"), None);
    }

    #[test]
    fn id_of_no_realm_is_a_realm_without_anybody() {
        let nowhere = Settings::default();
        let nowhere = nowhere.realm(RealmId(7));
        assert!(nowhere.is_removed && nowhere.keyring.is_empty() && !nowhere.anonymous);
    }
}
