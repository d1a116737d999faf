//! What the shards are started with: listeners, relay sockets, threads. With
//! [`settings`](crate::settings) this is the one place that turns a configuration into what the
//! engine and the sockets take.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use turn_config::{Config, External, Shards, Transport as ConfiguredTransport};
use turn_engine::{RelayAddress, Settings, Transport};
use turn_net::{ListenPlan, Observer, Patience, Plan, RelayPlan};

use crate::realms::Registry;
use crate::relay_addresses::{Notice, choose, judge};
use crate::settings::{address_ranges, realm_of_listener};
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
        .map(|bound| RelayAddress::new(bound, advertised(bound, external)))
        .collect();
    RelayChoice { addresses, notices }
}

/// What the shards are started with, which go by `settings`.
pub fn plan(
    config: &Config,
    registry: &Registry,
    origin: Origin,
    surroundings: &Surroundings,
    settings: Settings,
    observer: Arc<dyn Observer>,
) -> Plan {
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
            realm: realm_of_listener(listen, config, registry),
        })
        .collect();
    Plan {
        shards,
        listen,
        present: surroundings.bindable(),
        relay: RelayPlan { ports: config.relay.ports.clone(), dscp: config.relay.dscp },
        latency_budget: config.relay.latency_budget.value(),
        settings,
        // The certificates are read by whoever starts the server.
        tls: None,
        dtls: None,
        patience: Patience::default(),
        observer,
        keys: None,
    }
}

fn transport(transport: ConfiguredTransport) -> Transport {
    match transport {
        ConfiguredTransport::Udp => Transport::Udp,
        ConfiguredTransport::Tcp => Transport::Tcp,
        ConfiguredTransport::Tls => Transport::Tls,
        ConfiguredTransport::Dtls => Transport::Dtls,
    }
}

/// Whether the configuration says what the world calls this relay address.
pub(crate) fn is_written(bound: IpAddr, external: &[External]) -> bool {
    written(bound, external).is_some()
}

/// What the configuration has a relay address called; itself where it says nothing.
pub(crate) fn advertised(bound: IpAddr, external: &[External]) -> IpAddr {
    written(bound, external).map_or(bound, |external| external.public)
}

fn written(bound: IpAddr, external: &[External]) -> Option<&External> {
    external.iter().find(|external| match external.bound {
        Some(of) => of == bound,
        None => external.public.is_ipv4() == bound.is_ipv4(),
    })
}
