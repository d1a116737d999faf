//! A running server: what the binary starts, and what tests start in-process.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use turn_config::Config;
use turn_credentials::{UnixSeconds, mint};
use turn_net::{Fleet, Observer};

use crate::banner::{Access, Banner, TimeLimited};
use crate::plan::{Origin, RelayChoice, plan, relay_addresses, settings};
use crate::problem::StartError;
use crate::relay_addresses::Notice;
use crate::state::{Kept, TrialCredentials};
use crate::surroundings::Surroundings;

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    fleet: Fleet,
    relay: RelayChoice,
    surroundings: Surroundings,
    banner: Banner,
}

/// Descriptors kept for everything that is no relay socket.
const DESCRIPTOR_RESERVE: u64 = 256;

/// How long the sample credential of the banner is good for.
const SAMPLE_LIFETIME: Duration = Duration::from_secs(86_400);

impl Server {
    /// Starts every shard; returns when the first packet would be answered.
    ///
    /// # Errors
    /// [`StartError`], each with its fix.
    pub fn start(
        config: &Config,
        origin: Origin,
        trial: Option<&TrialCredentials>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let surroundings = Surroundings::find().map_err(StartError::Interfaces)?;
        let relay = relay_addresses(config, &surroundings);
        check_descriptors(config);
        for notice in &relay.notices {
            say(*notice);
        }
        if origin == Origin::File {
            say_who_is_waited_for(config, &surroundings);
        }
        let plan = plan(config, origin, &surroundings, &relay, trial, observer)?;
        let fleet = Fleet::start(plan)?;
        let banner = banner(config, &fleet, &relay, trial);
        Ok(Self { fleet, relay, surroundings, banner })
    }

    /// The addresses that are listened on.
    pub fn listening(&self) -> &[SocketAddr] {
        self.fleet.listening()
    }

    /// The running shards and their counters.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What to print for the operator.
    pub fn banner(&self) -> &Banner {
        &self.banner
    }

    /// Takes over a changed configuration as far as it needs no restart:
    /// credentials, peers and limits.
    ///
    /// # Errors
    /// A credential is of no use, or a shard does not answer; what was in force
    /// stays in force.
    pub fn apply(
        &self,
        config: &Config,
        trial: Option<&TrialCredentials>,
    ) -> Result<(), StartError> {
        let settings = settings(config, &self.surroundings, &self.relay, trial)?;
        self.fleet.apply(settings).map_err(StartError::Start)
    }

    /// Stops every shard and logs what went through.
    ///
    /// # Errors
    /// The first error that a shard ended with.
    pub fn stop(self) -> std::io::Result<()> {
        let totals = self.fleet.totals();
        let result = self.fleet.stop();
        let totals: Vec<String> =
            totals.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        info!(counters = totals.join(" "), "stopped");
        result
    }
}

/// Every relayed transport address is a descriptor; one address is seldom used up.
fn check_descriptors(config: &Config) {
    let ports = u64::from(config.relay.ports.end() - config.relay.ports.start()) + 1;
    let wanted = ports + DESCRIPTOR_RESERVE;
    match turn_udp::raise_descriptor_limit() {
        Ok((soft, _)) if soft < wanted => warn!(
            limit = soft,
            wanted,
            "too few file descriptors for every relay port of one address; about {} allocations fit; raise LimitNOFILE= in the \
             systemd unit, or `ulimit -Hn`",
            soft.saturating_sub(DESCRIPTOR_RESERVE)
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "cannot raise the number of file descriptors"),
    }
}

/// A configured address that no interface has yet keeps the start waiting.
fn say_who_is_waited_for(config: &Config, surroundings: &Surroundings) {
    let present = surroundings.bindable();
    for listen in &config.listen {
        let address = listen.address.ip();
        if !address.is_unspecified() && !address.is_loopback() && !present.contains(&address) {
            warn!(%address, "no interface has this [[listen]] address yet; waiting for it for up to 30 s");
        }
    }
}

fn say(notice: Notice) {
    if notice.is_warning() {
        warn!("{notice}");
    } else {
        info!("{notice}");
    }
}

fn banner(
    config: &Config,
    fleet: &Fleet,
    relay: &RelayChoice,
    trial: Option<&TrialCredentials>,
) -> Banner {
    let listening = fleet.listening().to_vec();
    let port = listening.first().map_or(3_478, SocketAddr::port);
    let access = match trial {
        Some(trial) => trial_access(config, trial),
        None if config.auth.anonymous => Access::Anonymous,
        None if config.can_relay() => Access::Configured,
        None => Access::StunOnly,
    };
    Banner {
        version: env!("CARGO_PKG_VERSION"),
        hosts: hosts(&listening, relay),
        listening,
        port,
        relay: relay.addresses.iter().map(|relay| relay.advertised).collect(),
        relay_ports: config.relay.ports.clone(),
        access,
    }
}

/// Where clients reach us: what we listen on by name, else where we relay.
fn hosts(listening: &[SocketAddr], relay: &RelayChoice) -> Vec<String> {
    let is_everywhere = listening.iter().any(|address| address.ip().is_unspecified());
    let addresses: Vec<IpAddr> = if is_everywhere {
        relay.addresses.iter().map(|relay| relay.advertised).collect()
    } else {
        listening
            .iter()
            .map(|listening| {
                relay
                    .addresses
                    .iter()
                    .find(|relay| relay.bound == listening.ip())
                    .map_or(listening.ip(), |relay| relay.advertised)
            })
            .collect()
    };
    addresses.iter().map(IpAddr::to_string).collect()
}

fn trial_access(config: &Config, trial: &TrialCredentials) -> Access {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let expiry = UnixSeconds(now.saturating_add(SAMPLE_LIFETIME.as_secs()));
    let secret = trial.secret.reveal().as_bytes();
    let (username, credential) = mint(secret, Some("alice"), expiry, config.auth.separator);
    Access::Trial {
        username: trial.user.clone(),
        credential: trial.password.reveal().to_owned(),
        kept: match &trial.kept {
            Kept::In(path) => Some(path.clone()),
            Kept::ForThisRunOnly { .. } => None,
        },
        time_limited: Some(TimeLimited { username, credential, lifetime: SAMPLE_LIFETIME }),
    }
}
