//! The whole configuration.

use std::path::Path;

use toml::de::DeValue;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::complaint::Complaint;
use crate::credentials::{Credentials, Issuers};
use crate::drain::Drain;
use crate::file::Switches;
use crate::limits::Limits;
use crate::listen::{Listen, PORT, TLS_PORT, Transport};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::reader::Section;
use crate::realm::{Inherited, Realm};
use crate::relay::Relay;
use crate::store_source::{StoreSource, url_has_secret};
use crate::tls::Tls;
use crate::usage::Usage;
use crate::values;

/// A checked configuration. `Config::default()` is that of an empty file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The realm of all credentials, 1 to 127 characters (RFC 8489, section
    /// 14.9). Default: `localhost`; any name does as long as whoever computes
    /// `0x` and `sha256:` keys uses the same, and a short one keeps challenges small.
    pub realm: String,
    /// How many shards serve packets. Default: auto.
    pub shards: Shards,
    /// Where clients reach the server; at least one. Default: UDP and TCP port
    /// 3478 on `0.0.0.0` and `[::]`.
    pub listen: Vec<Listen>,
    /// Who the server is to clients that come over TLS or DTLS.
    pub tls: Tls,
    /// The sockets that peers see.
    pub relay: Relay,
    /// Who may relay.
    pub auth: Auth,
    /// Whom clients may reach.
    pub peers: Peers,
    /// How much each may take.
    pub limits: Limits,
    /// Further realms, by name, none twice. Default: none.
    pub realms: Vec<Realm>,
    /// How the server stops while calls are live.
    pub drain: Drain,
    /// The listener for Prometheus and health checks.
    pub metrics: Metrics,
    /// What drains, reloads and ends allocations.
    pub admin: Admin,
    /// What gives out time-limited credentials. Default: nothing does.
    pub credentials: Option<Credentials>,
    /// What is counted.
    pub usage: Usage,
    /// What is told, how and where.
    pub log: Log,
    /// Switches for trials.
    pub lab: Lab,
}

/// `shards`: how many threads serve packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Shards {
    /// One for each core.
    #[default]
    Auto,
    /// This many, 1 to 256.
    Count(u16),
}

/// `[lab]`: switches that no public server has on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lab {
    /// Lets clients reach 127.0.0.0/8 and ::1. Default: false.
    pub loopback_peers: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            realm: "localhost".to_owned(),
            shards: Shards::default(),
            listen: Listen::everywhere(PORT, &[Transport::Udp, Transport::Tcp]).to_vec(),
            tls: Tls::default(),
            relay: Relay::default(),
            auth: Auth::default(),
            peers: Peers::default(),
            limits: Limits::default(),
            realms: Vec::new(),
            drain: Drain::default(),
            metrics: Metrics::default(),
            admin: Admin::default(),
            credentials: None,
            usage: Usage::default(),
            log: Log::default(),
            lab: Lab::default(),
        }
    }
}

impl Config {
    /// `turnserver.toml.example`: every key with its default, and what it means.
    pub const fn example() -> &'static str {
        include_str!("../../../turnserver.toml.example")
    }

    /// The configuration of a start without a file.
    ///
    /// With [`Switches::self_signed`] the default listeners speak TLS and DTLS too, and both have
    /// a port of their own besides.
    pub fn without_file(switches: Switches) -> Self {
        let mut config = Self::default();
        if switches.self_signed {
            use Transport::{Dtls, Tcp, Tls, Udp};
            let all = Listen::everywhere(PORT, &[Udp, Tcp, Tls, Dtls]);
            let secured = Listen::everywhere(TLS_PORT, &[Tls, Dtls]);
            config.listen = [all, secured].concat();
            config.tls.self_signed = true;
        }
        config.lab.loopback_peers = switches.loopback_peers;
        config
    }

    /// Whether anybody at all can allocate. Otherwise the server answers STUN only.
    pub fn can_relay(&self) -> bool {
        let auth = &self.auth;
        let top = (auth.anonymous, &auth.users, &auth.secrets);
        let of_realms = self
            .realms
            .iter()
            .map(|realm| (realm.auth.anonymous, &realm.auth.users, &realm.auth.secrets));
        !auth.stores.is_empty()
            || [top].into_iter().chain(of_realms).any(|(anonymous, users, secrets)| {
                anonymous || !users.is_empty() || !secrets.is_empty()
            })
    }

    /// Whether the configuration holds a password, key, shared secret, token or webhook.
    pub fn has_secrets(&self) -> bool {
        let of_realms = self.realms.iter().map(|realm| (&realm.auth.users, &realm.auth.secrets));
        !self.admin.tokens.is_empty()
            || self.auth.stores.iter().any(StoreSource::has_secret)
            || self.credentials.is_some()
            || !self.usage.thresholds.is_empty()
            || self.metrics.redis_statsdb.as_ref().is_some_and(|url| url_has_secret(url.reveal()))
            || [(&self.auth.users, &self.auth.secrets)]
                .into_iter()
                .chain(of_realms)
                .any(|(users, secrets)| !users.is_empty() || !secrets.is_empty())
    }

    pub(crate) fn read(top: &mut Section<'_, '_>, switches: Switches) -> Self {
        let default = Self::default();
        let (tls, has_certificate) = top.table("tls", |section| Tls::read(section, switches));
        let realm = top.value("realm", realm).unwrap_or(default.realm);
        let relay = top.table("relay", Relay::read);
        let auth = top.table("auth", Auth::read);
        let peers = top.table("peers", Peers::read);
        let limits = top.table("limits", Limits::read);
        let inherited =
            Inherited { realm: &realm, relay: &relay, auth: &auth, peers: &peers, limits: &limits };
        let realms = Realm::read_all(top, &inherited);
        let mut names = vec![realm.as_str()];
        names.extend(realms.iter().map(|realm| realm.name.as_str()));
        let written = top.has("credentials");
        let issuers = Issuers { realm: &realm, auth: &auth, realms: &realms, has_certificate };
        let credentials =
            top.table("credentials", |section| Credentials::read(section, written, &issuers));
        let listen = Listen::read_all(top, has_certificate, &names).unwrap_or(default.listen);
        Self {
            shards: top.value("shards", Shards::read).unwrap_or(default.shards),
            listen,
            tls,
            drain: top.table("drain", Drain::read),
            metrics: top.table("metrics", Metrics::read),
            admin: top.table("admin", Admin::read),
            credentials,
            usage: top.table("usage", Usage::read),
            log: top.table("log", Log::read),
            lab: top.table("lab", |section| Lab::read(section, switches)),
            realms,
            realm,
            relay,
            auth,
            peers,
            limits,
        }
    }

    /// Makes relative paths start from `directory`, and default ones of databases from `state`.
    pub(crate) fn start_from(&mut self, directory: &Path, state: Option<&Path>) {
        self.tls.start_from(directory);
        self.log.start_from(directory);
        self.admin.start_from(directory);
        self.usage.start_from(directory, state);
    }
}

impl Shards {
    fn read(value: &DeValue<'_>) -> Result<Self, Complaint> {
        if value.as_str() == Some("auto") {
            return Ok(Self::Auto);
        }
        let count = values::number(value, 1, 256).map_err(|complaint| Complaint {
            help: format!("{}, or \"auto\" for one a core", complaint.help),
            ..complaint
        })?;
        u16::try_from(count)
            .map(Self::Count)
            .map_err(|_| Complaint::new("out of range", "write 1 to 256"))
    }
}

impl Lab {
    fn read(section: &mut Section<'_, '_>, switches: Switches) -> Self {
        let written = section.value("loopback_peers", values::boolean).unwrap_or_default();
        Self { loopback_peers: written || switches.loopback_peers }
    }
}

fn realm(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "example.org")?;
    realm_name(text).map(|()| text.to_owned())
}

/// Refuses what no REALM can be.
pub(crate) fn realm_name(text: &str) -> Result<(), Complaint> {
    // RFC 8489, section 14.9: REALM MUST be fewer than 128 characters. [S13]
    if text.is_empty() || text.chars().count() > 127 || text.contains(char::is_control) {
        return Err(Complaint::new(
            "not a realm",
            "a realm has 1 to 127 characters and no control characters, such as \"example.org\"",
        ));
    }
    Ok(())
}
