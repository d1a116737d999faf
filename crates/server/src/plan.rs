//! The one place that turns a configuration into what the engine and the
//! sockets take.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use turn_codec::ChannelRange;
use turn_config::{
    AllocationsPerUser, BitRate, Config, Credential, DefaultFamily as ConfiguredFamily, External,
    Limit, Rate as ConfiguredRate, Shards, Transport as ConfiguredTransport,
};
use turn_credentials::{KeyAlgorithm, KeyError, LongTermKey, PrepareError};
use turn_engine::{
    AddressRange, Bandwidth, DefaultFamily, Keyring, Limits, PeerPolicy, PeerRule, PerUser, Rate,
    RelayAddress, RelaySettings, Settings, TimeLimitedRules, Transport, UserSecret,
};
use turn_net::{ListenPlan, Observer, Patience, Plan, RelayPlan};

use crate::relay_addresses::{Notice, choose, judge};
use crate::state::TrialCredentials;
use crate::surroundings::Surroundings;

/// How long a configured address that is missing at start is waited for: an
/// interface may come up after us.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a configuration comes from, which decides how patient we are with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file: what it says is meant.
    File,
    /// No file: what is there is used.
    Defaults,
}

/// A credential of the configuration that no client could use.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The name or the password holds characters that RFC 8265 forbids.
    #[error("user {name:?}: {source}")]
    Text {
        /// The user.
        name: String,
        /// What is wrong.
        #[source]
        source: PrepareError,
    },
    /// The key is not one.
    #[error("user {name:?}: {source}")]
    Key {
        /// The user.
        name: String,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
}

/// Relay addresses and what is to be said of them.
#[derive(Debug, Clone)]
pub struct RelayChoice {
    /// Bound and advertised.
    pub addresses: Vec<RelayAddress>,
    /// For the operator.
    pub notices: Vec<Notice>,
}

/// The relay addresses of a configuration, or what the host suggests.
pub fn relay_addresses(config: &Config, surroundings: &Surroundings) -> RelayChoice {
    let external = &config.relay.external;
    let (bound, notices) = if config.relay.addresses.is_empty() {
        let choice = choose(&surroundings.interfaces, surroundings.routes, external);
        (choice.addresses, choice.notices)
    } else {
        (config.relay.addresses.clone(), judge(&config.relay.addresses, external))
    };
    let addresses = bound
        .into_iter()
        .map(|bound| RelayAddress { bound, advertised: advertised(bound, external) })
        .collect();
    RelayChoice { addresses, notices }
}

/// What the shards are started with.
///
/// # Errors
/// A static user's name, password or key is of no use.
pub fn plan(
    config: &Config,
    origin: Origin,
    surroundings: &Surroundings,
    relay: &RelayChoice,
    trial: Option<&TrialCredentials>,
    observer: Arc<dyn Observer>,
) -> Result<Plan, CredentialError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shards = match config.shards {
        Shards::Auto => u8::try_from(cores).unwrap_or(u8::MAX),
        Shards::Count(count) => u8::try_from(count).unwrap_or(u8::MAX),
    };
    let listen = config
        .listen
        .iter()
        .map(|listen| ListenPlan {
            address: listen.address,
            transports: listen.transports.iter().copied().map(transport).collect(),
            proxy_upstreams: address_ranges(&listen.proxy_protocol),
            patience: if origin == Origin::File { PATIENCE } else { Duration::ZERO },
            // Nobody asked for IPv6 by name.
            optional: origin == Origin::Defaults && listen.address.is_ipv6(),
        })
        .collect();
    Ok(Plan {
        shards,
        listen,
        present: surroundings.bindable(),
        relay: RelayPlan { ports: config.relay.ports.clone(), dscp: config.relay.dscp },
        latency_budget: config.relay.latency_budget.value(),
        settings: settings(config, surroundings, relay, trial)?,
        // The certificates are read by whoever starts the server.
        tls: None,
        dtls: None,
        patience: Patience::default(),
        observer,
    })
}

fn transport(transport: ConfiguredTransport) -> Transport {
    match transport {
        ConfiguredTransport::Udp => Transport::Udp,
        ConfiguredTransport::Tcp => Transport::Tcp,
        ConfiguredTransport::Tls => Transport::Tls,
        ConfiguredTransport::Dtls => Transport::Dtls,
    }
}

fn address_ranges(ranges: &[turn_config::AddressRange]) -> Vec<AddressRange> {
    ranges.iter().filter_map(|range| AddressRange::new(range.first, range.last)).collect()
}

/// What the engine goes by.
///
/// # Errors
/// A static user's name, password or key is of no use.
pub fn settings(
    config: &Config,
    surroundings: &Surroundings,
    relay: &RelayChoice,
    trial: Option<&TrialCredentials>,
) -> Result<Settings, CredentialError> {
    let default_family = match config.relay.default_family {
        None => DefaultFamily::Unwritten,
        Some(ConfiguredFamily::Ipv4) => DefaultFamily::Ipv4,
        Some(ConfiguredFamily::Ipv6) => DefaultFamily::Ipv6,
        Some(ConfiguredFamily::Client) => DefaultFamily::Client,
    };
    Ok(Settings {
        realm: config.realm.as_str().into(),
        keyring: keyring(config, trial)?,
        anonymous: config.auth.anonymous,
        nonce_lifetime: config.auth.nonce_lifetime,
        relay: RelaySettings {
            addresses: relay.addresses.clone(),
            default_family,
            channels: channels(config),
            tcp: config.relay.tcp,
        },
        peers: peers(config, surroundings, relay),
        limits: limits(config),
    })
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

fn keyring(config: &Config, trial: Option<&TrialCredentials>) -> Result<Keyring, CredentialError> {
    let auth = &config.auth;
    let mut keyring = Keyring::new(TimeLimitedRules {
        separator: auth.separator,
        max_ttl: auth.max_credential_ttl.value().map(|ttl| ttl.as_secs()),
        strict_expiry: auth.strict_expiry,
    });
    for user in &auth.users {
        let key = |algorithm, hex| {
            LongTermKey::from_hex(algorithm, hex)
                .map(UserSecret::Key)
                .map_err(|source| CredentialError::Key { name: user.name.clone(), source })
        };
        let secret = match &user.credential {
            Credential::Password(password) => UserSecret::Password(password.reveal()),
            Credential::Md5Key(hex) => key(KeyAlgorithm::Md5, hex.reveal())?,
            Credential::Sha256Key(hex) => key(KeyAlgorithm::Sha256, hex.reveal())?,
        };
        keyring
            .add_user(&config.realm, &user.name, &secret)
            .map_err(|source| CredentialError::Text { name: user.name.clone(), source })?;
    }
    for secret in &auth.secrets {
        keyring.add_secret(secret.reveal().as_bytes());
    }
    if let Some(trial) = trial {
        keyring
            .add_user(&config.realm, &trial.user, &UserSecret::Password(trial.password.reveal()))
            .map_err(|source| CredentialError::Text { name: trial.user.clone(), source })?;
        keyring.add_secret(trial.secret.reveal().as_bytes());
    }
    Ok(keyring)
}

fn peers(config: &Config, surroundings: &Surroundings, relay: &RelayChoice) -> PeerPolicy {
    let interfaces = surroundings.interfaces.iter().map(|interface| interface.address);
    let external = config.relay.external.iter().map(|external| external.public);
    let relays = relay.addresses.iter().flat_map(|relay| [relay.bound, relay.advertised]);
    let mut own: Vec<IpAddr> = interfaces.chain(external).chain(relays).collect();
    own.sort_unstable();
    own.dedup();
    PeerPolicy {
        allow: config.peers.allow.iter().filter_map(peer_rule).collect(),
        deny: config.peers.deny.iter().filter_map(peer_rule).collect(),
        own,
        broadcasts: surroundings.broadcasts.clone(),
        endpoints: Vec::<SocketAddr>::new(),
        loopback: config.lab.loopback_peers,
    }
}

fn peer_rule(rule: &turn_config::PeerRule) -> Option<PeerRule> {
    let range = AddressRange::new(rule.range.first, rule.range.last)?;
    Some(PeerRule { range, ports: rule.ports.clone() })
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        allocations: limits.allocations.value(),
        allocations_per_user: match limits.allocations_per_user {
            AllocationsPerUser::Auto => PerUser::Auto,
            AllocationsPerUser::Each(Limit::At(count)) => PerUser::Count(count),
            AllocationsPerUser::Each(Limit::Off) => PerUser::Off,
        },
        allocations_per_source: limits.allocations_per_source.value(),
        binding_replies: limits.binding_replies.value().map(rate),
        challenges: limits.challenges.value().map(rate),
        connections_per_source: limits.connections_per_source.value(),
        exempt_sources: address_ranges(&limits.exempt_sources),
        permissions_per_allocation: limits.permissions_per_allocation.value(),
        channels_per_allocation: limits.channels_per_allocation.value(),
        peers_per_allocation: limits.peers_per_allocation.value(),
        new_peers: limits.new_peers.value().map(rate),
        peer_connections_per_allocation: limits.peer_connections_per_allocation.value(),
        bandwidth_per_allocation: limits.bandwidth_per_allocation.value().map(bandwidth),
        bandwidth_per_user: limits.bandwidth_per_user.value().map(bandwidth),
        bandwidth_per_realm: limits.bandwidth_per_realm.value().map(bandwidth),
        bandwidth: limits.bandwidth.value().map(bandwidth),
        unauthenticated_connections: limits.unauthenticated_connections.value(),
        accepts: limits.accepts.value().map(rate),
        queue_per_connection: usize::try_from(limits.queue_per_connection.bytes())
            .unwrap_or(usize::MAX),
        max_lifetime: limits.max_lifetime,
        max_allocation_age: limits.max_allocation_age.value(),
    }
}

fn rate(rate: ConfiguredRate) -> Rate {
    Rate::new(rate.events, rate.period, rate.burst)
}

fn bandwidth(rate: BitRate) -> Bandwidth {
    Bandwidth { bytes_per_second: rate.bytes_per_second().max(1) }
}

fn advertised(bound: IpAddr, external: &[External]) -> IpAddr {
    external
        .iter()
        .find(|external| match external.bound {
            Some(of) => of == bound,
            None => external.public.is_ipv4() == bound.is_ipv4(),
        })
        .map_or(bound, |external| external.public)
}
