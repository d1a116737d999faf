//! What the engine goes by, from a configuration: realms, tenants, limits, peers.

use std::net::{IpAddr, SocketAddr};

use turn_codec::ChannelRange;
use turn_config::{
    AllocationsPerUser, BitRate, Config, Credential, DefaultFamily as ConfiguredFamily, Limit,
    Peers, Rate as ConfiguredRate, Realm as ConfiguredRealm, SharedSecret, User,
};
use turn_credentials::{KeyAlgorithm, KeyError, LongTermKey, PrepareError};
use turn_engine::{
    AddressRange, Bandwidth, DefaultFamily, Keyring, Limits, PeerPolicy, PeerRule, PerUser, Rate,
    Realm, RealmId, RealmLimits, RelayAddress, RelaySettings, Settings, Tenant, TenantLimits,
    TimeLimitedRules, UserSecret,
};

use crate::plan::{RelayChoice, advertised};
use crate::realms::{Full, Registry};
use crate::state::TrialCredentials;
use crate::surroundings::Surroundings;

/// A configuration that no engine can go by.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The name or the password of a user holds characters that RFC 8265 forbids.
    #[error("{}: user {name:?}: {source}\n  = help: correct it there", users_of(realm.as_deref()))]
    Text {
        /// The realm; none is the default one.
        realm: Option<String>,
        /// The user.
        name: String,
        /// What is wrong.
        #[source]
        source: PrepareError,
    },
    /// The key of a user is not one.
    #[error("{}: user {name:?}: {source}\n  = help: correct it there", users_of(realm.as_deref()))]
    Key {
        /// The realm; none is the default one.
        realm: Option<String>,
        /// The user.
        name: String,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// A relay address of a realm that no relay socket is bound at.
    #[error(
        "realms.{realm:?}.relay.addresses: {address} is not among the relay addresses that this server was started with\n  \
         = help: restart it"
    )]
    RelayAddress {
        /// The realm.
        realm: String,
        /// The address.
        address: IpAddr,
    },
    /// No more numbers for realms.
    #[error(transparent)]
    Full(#[from] Full),
}

fn users_of(realm: Option<&str>) -> String {
    match realm {
        None => "[auth] users".to_owned(),
        Some(realm) => format!("[realms.{realm:?}.auth] users"),
    }
}

/// What the host and the start add to a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Addresses of this host.
    pub surroundings: &'a Surroundings,
    /// Where relay sockets are bound.
    pub relay: &'a RelayChoice,
    /// Credentials of our own, for a start without any.
    pub trial: Option<&'a TrialCredentials>,
}

/// What the engine goes by. `registry` has a number for every realm and tenant of `config`.
///
/// # Errors
/// Something in it can serve nobody.
pub fn settings(
    config: &Config,
    registry: &Registry,
    given: Given<'_>,
) -> Result<Settings, SettingsError> {
    let mut realms = vec![default_realm(config, registry, given)?];
    for (name, tenants) in registry.realms().skip(1) {
        let configured = config.realms.iter().find(|realm| realm.name == name);
        realms.push(match configured {
            Some(realm) => named_realm(config, realm, tenants, given)?,
            None => Realm::removed(name),
        });
    }
    Ok(Settings {
        realms,
        nonce_lifetime: config.auth.nonce_lifetime,
        relay: RelaySettings {
            addresses: relays(config, given),
            channels: channels(config),
            prefer_listener: config.relay.prefer_listener,
            tcp: config.relay.tcp,
        },
        limits: limits(config),
    })
}

/// Where relay sockets are bound since the start, as `config` has them advertised.
fn relays(config: &Config, given: Given<'_>) -> Vec<RelayAddress> {
    let bound = given.relay.addresses.iter().map(|relay| relay.bound);
    bound.map(|bound| RelayAddress::new(bound, advertised(bound, &config.relay.external))).collect()
}

/// Every address of this host and every one that it is advertised as.
pub fn own_addresses(config: &Config, given: Given<'_>) -> Vec<IpAddr> {
    let interfaces = given.surroundings.interfaces.iter().map(|interface| interface.address);
    let external = config.relay.external.iter().map(|external| external.public);
    let relays = given.relay.addresses.iter().flat_map(|relay| [relay.bound, relay.advertised]);
    let mut own: Vec<IpAddr> = interfaces.chain(external).chain(relays).collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// Ranges as the engine has them.
pub(crate) fn address_ranges(ranges: &[turn_config::AddressRange]) -> Vec<AddressRange> {
    ranges.iter().filter_map(|range| AddressRange::new(range.first, range.last)).collect()
}

fn default_realm(
    config: &Config,
    registry: &Registry,
    given: Given<'_>,
) -> Result<Realm, SettingsError> {
    let auth = &config.auth;
    let tenants = registry.realms().next().map_or(&[][..], |(_, tenants)| tenants);
    let rules = TimeLimitedRules {
        separator: auth.separator,
        max_ttl: auth.max_credential_ttl.value().map(|ttl| ttl.as_secs()),
        strict_expiry: auth.strict_expiry,
    };
    let mut keyring = Keyring::new(rules);
    add_users(&mut keyring, None, &config.realm, &auth.users)?;
    add_secrets(&mut keyring, &auth.secrets, tenants);
    ask_stores(&mut keyring, config);
    if let Some(trial) = given.trial {
        let password = UserSecret::Password(trial.password.reveal());
        keyring.add_user(&config.realm, &trial.user, &password).map_err(|source| {
            SettingsError::Text { realm: None, name: trial.user.clone(), source }
        })?;
        keyring.add_secret(trial.secret.reveal().as_bytes(), None);
    }
    Ok(Realm {
        name: config.realm.as_str().into(),
        server_names: Vec::new(),
        keyring,
        anonymous: auth.anonymous,
        peers: peers(config, &config.peers, given),
        limits: realm_limits(&config.limits.of_realm()),
        relay_addresses: Vec::new(),
        default_family: default_family(config.relay.default_family),
        tenants: of_secrets(&auth.secrets, tenants),
        is_removed: false,
    })
}

fn named_realm(
    config: &Config,
    realm: &ConfiguredRealm,
    tenants: &[String],
    given: Given<'_>,
) -> Result<Realm, SettingsError> {
    let auth = &realm.auth;
    let mut keyring = Keyring::new(TimeLimitedRules {
        separator: auth.separator,
        max_ttl: auth.max_credential_ttl.value().map(|ttl| ttl.as_secs()),
        strict_expiry: auth.strict_expiry,
    });
    add_users(&mut keyring, Some(&realm.name), &realm.name, &auth.users)?;
    add_secrets(&mut keyring, &auth.secrets, tenants);
    ask_stores(&mut keyring, config);
    let place = |address: &IpAddr| {
        let found = given.relay.addresses.iter().position(|relay| relay.bound == *address);
        let (realm, address) = (realm.name.clone(), *address);
        found.ok_or(SettingsError::RelayAddress { realm, address })
    };
    let relay_addresses = realm.relay_addresses.iter().map(place).collect::<Result<_, _>>()?;
    Ok(Realm {
        name: realm.name.as_str().into(),
        server_names: realm.server_names.iter().map(|name| name.as_str().into()).collect(),
        keyring,
        anonymous: auth.anonymous,
        peers: peers(config, &realm.peers, given),
        limits: realm_limits(&realm.limits),
        relay_addresses,
        default_family: default_family(realm.default_family),
        tenants: of_secrets(&auth.secrets, tenants),
        is_removed: false,
    })
}

fn add_users(
    keyring: &mut Keyring,
    table: Option<&str>,
    realm: &str,
    users: &[User],
) -> Result<(), SettingsError> {
    for user in users {
        let (table, name) = (|| table.map(ToOwned::to_owned), || user.name.clone());
        let key = |algorithm, hex| {
            LongTermKey::from_hex(algorithm, hex)
                .map(UserSecret::Key)
                .map_err(|source| SettingsError::Key { realm: table(), name: name(), source })
        };
        let secret = match &user.credential {
            Credential::Password(password) => UserSecret::Password(password.reveal()),
            Credential::Md5Key(hex) => key(KeyAlgorithm::Md5, hex.reveal())?,
            Credential::Sha256Key(hex) => key(KeyAlgorithm::Sha256, hex.reveal())?,
        };
        keyring.add_user(realm, &user.name, &secret).map_err(|source| SettingsError::Text {
            realm: table(),
            name: name(),
            source,
        })?;
    }
    Ok(())
}

fn add_secrets(keyring: &mut Keyring, secrets: &[SharedSecret], tenants: &[String]) {
    for secret in secrets {
        let tenant = secret.tenant.as_ref().and_then(|name| {
            let index = tenants.iter().position(|tenant| tenant == name)?;
            u16::try_from(index).ok().map(turn_engine::TenantId)
        });
        keyring.add_secret(secret.secret.reveal().as_bytes(), tenant);
    }
}

/// Stores serve every realm: each knows users by realm and name.
fn ask_stores(keyring: &mut Keyring, config: &Config) {
    let stores = &config.auth.stores;
    if !stores.is_empty() {
        keyring.ask_stores(stores.iter().all(|store| store.sha256_keys));
    }
}

/// The tenants in the order of their numbers. One that is no longer configured has no secret, so
/// its limits bind nobody new.
fn of_secrets(secrets: &[SharedSecret], tenants: &[String]) -> Vec<Tenant> {
    let limits = |name: &String| {
        // Several secrets may name one tenant, of which only one need say its limits.
        let own = secrets.iter().filter(|secret| secret.tenant.as_ref() == Some(name));
        let unlimited = turn_config::TenantLimits::default();
        let written = own.map(|secret| &secret.limits).find(|limits| **limits != unlimited);
        written.map_or_else(TenantLimits::default, |limits| TenantLimits {
            allocations: limits.allocations.value(),
            bandwidth: limits.bandwidth.value().map(bandwidth),
            allocations_per_user: limits.allocations_per_user.map(per_user),
            bandwidth_per_allocation: limits.bandwidth_per_allocation.map(off_or),
            bandwidth_per_user: limits.bandwidth_per_user.map(off_or),
        })
    };
    tenants.iter().map(|name| Tenant { name: name.as_str().into(), limits: limits(name) }).collect()
}

/// The lab switch takes the old numbers in too: what tests on one machine are
/// made with, Debian's `turnutils_uclient` above all, is of the time of RFC 5766.
const fn channels(config: &Config) -> ChannelRange {
    if config.relay.rfc5766_channel_numbers || config.lab.loopback_peers {
        ChannelRange::Rfc5766
    } else {
        ChannelRange::Rfc8656
    }
}

fn default_family(family: Option<ConfiguredFamily>) -> DefaultFamily {
    match family {
        None => DefaultFamily::Unwritten,
        Some(ConfiguredFamily::Ipv4) => DefaultFamily::Ipv4,
        Some(ConfiguredFamily::Ipv6) => DefaultFamily::Ipv6,
        Some(ConfiguredFamily::Client) => DefaultFamily::Client,
    }
}

fn peers(config: &Config, peers: &Peers, given: Given<'_>) -> PeerPolicy {
    PeerPolicy {
        allow: peers.allow.iter().filter_map(peer_rule).collect(),
        deny: peers.deny.iter().filter_map(peer_rule).collect(),
        own: own_addresses(config, given),
        broadcasts: given.surroundings.broadcasts.clone(),
        endpoints: Vec::<SocketAddr>::new(),
        relay_ports: Some(config.relay.ports.clone()),
        loopback: config.lab.loopback_peers,
    }
}

pub(crate) fn peer_rule(rule: &turn_config::PeerRule) -> Option<PeerRule> {
    let range = AddressRange::new(rule.range.first, rule.range.last)?;
    Some(PeerRule { range, ports: rule.ports.clone() })
}

/// Limits of one realm.
fn realm_limits(limits: &turn_config::RealmLimits) -> RealmLimits {
    RealmLimits {
        allocations: limits.allocations.value(),
        allocations_per_user: per_user(limits.allocations_per_user),
        permissions_per_allocation: limits.permissions_per_allocation.value(),
        channels_per_allocation: limits.channels_per_allocation.value(),
        peers_per_allocation: limits.peers_per_allocation.value(),
        new_peers: limits.new_peers.value().map(rate),
        peer_connections_per_allocation: limits.peer_connections_per_allocation.value(),
        bandwidth_per_allocation: limits.bandwidth_per_allocation.value().map(bandwidth),
        bandwidth_per_user: limits.bandwidth_per_user.value().map(bandwidth),
        bandwidth_per_realm: limits.bandwidth_per_realm.value().map(bandwidth),
        max_lifetime: limits.max_lifetime,
        max_allocation_age: limits.max_allocation_age.value(),
    }
}

/// Limits of the whole process.
fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        allocations: limits.allocations.value(),
        allocations_per_source: limits.allocations_per_source.value(),
        binding_replies: limits.binding_replies.value().map(rate),
        challenges: limits.challenges.value().map(rate),
        connections_per_source: limits.connections_per_source.value(),
        exempt_sources: address_ranges(&limits.exempt_sources),
        bandwidth: limits.bandwidth.value().map(bandwidth),
        unauthenticated_connections: limits.unauthenticated_connections.value(),
        accepts: limits.accepts.value().map(rate),
        queue_per_connection: usize::try_from(limits.queue_per_connection.bytes())
            .unwrap_or(usize::MAX),
    }
}

fn per_user(limit: AllocationsPerUser) -> PerUser {
    match limit {
        AllocationsPerUser::Auto => PerUser::Auto,
        AllocationsPerUser::Each(Limit::At(count)) => PerUser::Count(count),
        AllocationsPerUser::Each(Limit::Off) => PerUser::Off,
    }
}

fn rate(rate: ConfiguredRate) -> Rate {
    Rate::new(rate.events, rate.period, rate.burst)
}

fn bandwidth(rate: BitRate) -> Bandwidth {
    Bandwidth { bytes_per_second: rate.bytes_per_second().max(1) }
}

fn off_or(limit: Limit<BitRate>) -> Option<Bandwidth> {
    limit.value().map(bandwidth)
}

/// The realm that a listener serves whoever connects; none where the server name decides.
pub(crate) fn realm_of_listener(
    listen: &turn_config::Listen,
    config: &Config,
    registry: &Registry,
) -> Option<RealmId> {
    let name = listen.realm.as_ref()?;
    // The default realm may bear the name of one that was removed.
    if *name == config.realm { Some(RealmId(0)) } else { registry.realm(name) }
}
