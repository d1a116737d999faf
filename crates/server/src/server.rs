//! The serving half of a running server: what the binary starts, and what tests start in-process.
//! What an operator sees of it (signals, doors, drains) is [`running`](crate::running).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};
use turn_config::Config;
use turn_credentials::{UnixSeconds, mint};
use turn_engine::{RelayAddress, Settings, Transport};
use turn_net::{Fleet, KeyFinder, Listening, Observer};
use turn_users::{Store, StoreError};

use crate::banner::{Access, Banner, TimeLimited};
use crate::certificates::{CertificatesError, ServerCertificates};
use crate::dtls;
use crate::external;
use crate::learned::Learned;
use crate::plan::{Origin, RelayChoice, plan, relay_addresses};
use crate::problem::StartError;
use crate::reach::{Endpoint, Reach, endpoints, reach};
use crate::realms::Registry;
use crate::relay_addresses::Notice;
use crate::settings::{Given, SettingsError, own_addresses, settings};
use crate::state::{Kept, TrialCredentials};
use crate::stores::{self, Stores};
use crate::surroundings::Surroundings;

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    fleet: Fleet,
    relay: RelayChoice,
    surroundings: Surroundings,
    trial: Option<TrialCredentials>,
    registry: Mutex<Arc<Registry>>,
    certificates: Mutex<Option<ServerCertificates>>,
    wants_dtls: bool,
    stores: Arc<Stores>,
    learned: Mutex<Learned>,
    /// As the shards have them now.
    relays: Mutex<Vec<RelayAddress>>,
    banner: Banner,
}

/// A configuration that has passed every test and waits to be taken over.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    registry: Arc<Registry>,
    /// Those that are served now are of other files; inside: what takes their place.
    certificates: Option<Option<ServerCertificates>>,
    /// The stores, opened anew where they have changed.
    stores: Option<Vec<Arc<dyn Store>>>,
    /// Relay addresses whose public ones are to be found.
    asked: Vec<IpAddr>,
}

impl Prepared {
    /// The numbers of its realms and tenants.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }
}

/// Why a changed configuration cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Credentials, realms or relay addresses.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The certificates are of no use.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The URL of a credential store is of no use.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        let certificates =
            ServerCertificates::load(config, &certified(config, &relay), SystemTime::now())?;
        if origin == Origin::File {
            say_who_is_waited_for(config, &surroundings);
        }
        let registry = Registry::default().extended(config).map_err(SettingsError::from)?;
        let given = Given { surroundings: &surroundings, relay: &relay, trial };
        let mut settings = settings(config, &registry, given)?;
        let stores = Arc::new(Stores::default());
        stores.set_names(Arc::new(registry.clone()));
        stores.ask(stores::open(&config.auth.stores)?).map_err(StartError::Start)?;
        let found = external::find(config, &relay.addresses).map_err(StartError::Start)?;
        let mut learned = Learned { catalog: stores.first_catalog(), ..Learned::default() };
        learned.set_public(&external::pairs(&found));
        learned.teach(&mut settings);
        let relays = settings.relay.addresses.clone();
        let mut plan = plan(config, &registry, origin, &surroundings, settings, observer);
        plan.tls = certificates.as_ref().map(ServerCertificates::tls);
        let of_dtls = certificates.as_ref().filter(|_| dtls::is_wanted(config));
        plan.dtls = of_dtls.and_then(|loaded| {
            dtls::identity(loaded.certificates())
                .inspect_err(|error| warn!("DTLS stays off, TLS runs: {error}"))
                .ok()
        });
        plan.keys = Some(Arc::clone(&stores) as Arc<dyn KeyFinder>);
        let has_dtls = plan.dtls.is_some();
        let fleet = Fleet::start(plan)?;
        let names = certificates.as_ref().map_or_else(Vec::new, ServerCertificates::names);
        let mut listening = endpoints(&config.listen, fleet.listening());
        listening.retain(|endpoint| has_dtls || endpoint.transport != Transport::Dtls);
        let shown = RelayChoice { addresses: relays.clone(), ..relay.clone() };
        let banner = banner(config, listening, &shown, &names, trial);
        Ok(Self {
            fleet,
            relay,
            surroundings,
            trial: trial.cloned(),
            registry: Mutex::new(Arc::new(registry)),
            certificates: Mutex::new(certificates),
            wants_dtls: dtls::is_wanted(config),
            stores,
            learned: Mutex::new(learned),
            relays: Mutex::new(relays),
            banner,
        })
    }

    /// The addresses that are listened on.
    pub fn listening(&self) -> &[Listening] {
        self.fleet.listening()
    }

    /// The running shards and their counters.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Where relay sockets are bound.
    pub fn relay(&self) -> &RelayChoice {
        &self.relay
    }

    /// What to print for the operator.
    pub fn banner(&self) -> &Banner {
        &self.banner
    }

    /// The numbers of realms and tenants.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&lock(&self.registry))
    }

    /// The certificates of TLS and DTLS listeners, if the configuration names any.
    pub fn certificates(&self) -> Option<ServerCertificates> {
        lock(&self.certificates).clone()
    }

    /// Every address of this host and every one that it is advertised as.
    pub fn own_addresses(&self, config: &Config) -> Vec<IpAddr> {
        own_addresses(config, self.given())
    }

    /// Tests a changed configuration, as far as it needs no restart, and changes nothing.
    ///
    /// # Errors
    /// Everything about it that can serve nobody.
    pub fn prepare(&self, before: &Config, config: &Config) -> Result<Prepared, Vec<PrepareError>> {
        let mut errors = Vec::new();
        let certificates = ServerCertificates::exchanged(
            before,
            config,
            &certified(config, &self.relay),
            SystemTime::now(),
        );
        let certificates = certificates.map_err(|error| errors.push(error.into())).ok();
        let settings = self
            .registry()
            .extended(config)
            .map_err(SettingsError::from)
            .and_then(|registry| Ok((settings(config, &registry, self.given())?, registry)))
            .map_err(|error| errors.push(error.into()));
        let has_other_stores = before.auth.stores != config.auth.stores;
        let stores = has_other_stores.then(|| stores::open(&config.auth.stores)).transpose();
        let stores = stores.map_err(|error| errors.push(error.into()));
        match (settings, certificates, stores) {
            (Ok((settings, registry)), Some(certificates), Ok(stores)) => {
                let (registry, asked) = (Arc::new(registry), self.asked_for(config));
                Ok(Prepared { settings, registry, certificates, stores, asked })
            }
            _ => Err(errors),
        }
    }

    /// Takes a changed configuration over; says whether other certificate files are served now.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn take_over(&self, prepared: Prepared) -> std::io::Result<bool> {
        let Prepared { settings, registry, certificates, stores, asked } = prepared;
        // The numbers first: what a shard reports of a new realm has a name then.
        self.stores.set_names(Arc::clone(&registry));
        *lock(&self.registry) = registry;
        if let Some(stores) = stores {
            self.stores.ask(stores)?;
        }
        lock(&self.learned).keep_public(&asked);
        self.apply_taught(settings).await?;
        let Some(certificates) = certificates else { return Ok(false) };
        if let Some(new) = &certificates {
            self.fleet.set_tls(&new.tls()).await?;
        }
        *lock(&self.certificates) = certificates;
        self.certificates_replaced().await?;
        Ok(true)
    }

    /// [`Server::prepare`] and [`Server::take_over`] at once, for tests that have no runtime.
    ///
    /// # Errors
    /// A credential is of no use, or a shard does not answer; what was in force stays in force.
    pub fn apply(
        &self,
        config: &Config,
        trial: Option<&TrialCredentials>,
    ) -> Result<(), StartError> {
        let registry = self.registry().extended(config).map_err(SettingsError::from)?;
        let settings = settings(config, &registry, Given { trial, ..self.given() })?;
        let registry = Arc::new(registry);
        let (stores, asked) = (None, self.asked_for(config));
        let prepared = Prepared { settings, registry, certificates: None, stores, asked };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(StartError::Start)?;
        runtime.block_on(self.take_over(prepared)).map(drop).map_err(StartError::Start)
    }

    /// Changes what was learned and, where `change` says that it is news, lets every shard go by it.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn learn(
        &self,
        config: &Config,
        change: impl FnOnce(&mut Learned) -> bool,
    ) -> std::io::Result<bool> {
        let is_news = change(&mut lock(&self.learned));
        if !is_news {
            return Ok(false);
        }
        match settings(config, &self.registry(), self.given()) {
            Ok(settings) => self.apply_taught(settings).await.map(|()| true),
            // The configuration that is in force has made settings before.
            Err(error) => Err(std::io::Error::other(error)),
        }
    }

    /// Where clients reach the server now.
    pub fn reach(&self) -> Vec<Reach> {
        let names = self.certificates().as_ref().map_or_else(Vec::new, ServerCertificates::names);
        reach(&self.banner.listening, &lock(&self.relays), &names)
    }

    /// The credentials that a server without any has made for itself.
    pub fn trial(&self) -> Option<&TrialCredentials> {
        self.trial.as_ref()
    }

    /// What was learned so far.
    pub fn learned(&self) -> Learned {
        lock(&self.learned).clone()
    }

    /// The credential stores.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    async fn apply_taught(&self, mut settings: Settings) -> std::io::Result<()> {
        lock(&self.learned).teach(&mut settings);
        lock(&self.relays).clone_from(&settings.relay.addresses);
        self.fleet.apply(settings).await
    }

    /// Takes over certificates that were replaced: TLS has them already, new DTLS
    /// sessions get theirs. Where DTLS can use none of them, it stays as it was `[R17]`.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn certificates_replaced(&self) -> std::io::Result<()> {
        let Some(loaded) = self.certificates().filter(|_| self.wants_dtls) else {
            return Ok(());
        };
        match dtls::identity(loaded.certificates()) {
            Ok(identity) => self.fleet.set_dtls(&identity).await,
            // [R17]
            Err(error) => {
                warn!("DTLS stays as it was: {error}");
                Ok(())
            }
        }
    }

    /// Stops every shard and logs what went through.
    ///
    /// # Errors
    /// The first error that a shard ended with.
    pub fn stop(&self) -> std::io::Result<()> {
        let result = self.fleet.stop();
        let totals = self.fleet.totals();
        let totals: Vec<String> =
            totals.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        info!(counters = totals.join(" "), "stopped");
        result
    }

    fn asked_for(&self, config: &Config) -> Vec<IpAddr> {
        external::asked_for(config, &self.relay.addresses)
    }

    fn given(&self) -> Given<'_> {
        Given { surroundings: &self.surroundings, relay: &self.relay, trial: self.trial.as_ref() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a self-signed certificate is made out to: clients of a trial go by address.
fn certified(config: &Config, relay: &RelayChoice) -> Vec<IpAddr> {
    let relays = relay.addresses.iter().flat_map(|relay| [relay.advertised, relay.bound]);
    let listeners = config.listen.iter().map(|listen| listen.address.ip());
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut addresses: Vec<IpAddr> = relays
        .chain(listeners)
        .chain(loopback)
        .filter(|address| !address.is_unspecified())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
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
    listening: Vec<Endpoint>,
    relay: &RelayChoice,
    names: &[String],
    trial: Option<&TrialCredentials>,
) -> Banner {
    let access = match trial {
        Some(trial) => trial_access(config, trial),
        None if config.auth.anonymous => Access::Anonymous,
        None if config.can_relay() => Access::Configured,
        None => Access::StunOnly,
    };
    Banner {
        version: env!("CARGO_PKG_VERSION"),
        reach: reach(&listening, &relay.addresses, names),
        listening,
        relay: relay.addresses.iter().map(|relay| relay.advertised).collect(),
        relay_ports: config.relay.ports.clone(),
        relay_tcp: config.relay.tcp,
        access,
    }
}

fn trial_access(config: &Config, trial: &TrialCredentials) -> Access {
    let now =
        SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
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
