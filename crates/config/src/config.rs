//! The whole configuration.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::auth::Auth;
use crate::complaint::Complaint;
use crate::error::{ConfigError, ConfigErrors};
use crate::file::Switches;
use crate::limits::Limits;
use crate::listen::{Listen, PORT, TLS_PORT, Transport};
use crate::log::Log;
use crate::peers::Peers;
use crate::reader::{Findings, Section};
use crate::relay::Relay;
use crate::source::Source;
use crate::tls::Tls;
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
            log: Log::default(),
            lab: Lab::default(),
        }
    }
}

impl Config {
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
        self.auth.anonymous || self.has_secrets()
    }

    /// Whether the configuration holds a password, key or shared secret.
    pub fn has_secrets(&self) -> bool {
        !self.auth.users.is_empty() || !self.auth.secrets.is_empty()
    }

    pub(crate) fn read(top: &mut Section<'_, '_>, switches: Switches) -> Self {
        let default = Self::default();
        let (tls, has_certificate) = top.table("tls", |section| Tls::read(section, switches));
        Self {
            realm: top.value("realm", realm).unwrap_or(default.realm),
            shards: top.value("shards", Shards::read).unwrap_or(default.shards),
            listen: Listen::read_all(top, has_certificate).unwrap_or(default.listen),
            tls,
            relay: top.table("relay", Relay::read),
            auth: top.table("auth", Auth::read),
            peers: top.table("peers", Peers::read),
            limits: top.table("limits", Limits::read),
            log: top.table("log", Log::read),
            lab: top.table("lab", |section| Lab::read(section, switches)),
        }
    }
}

/// Reads a configuration from `text`; `file_name` names it in errors, and relative paths in it
/// start from the directory of that file.
///
/// # Errors
///
/// All mistakes of the text, or the first one that keeps it from being TOML.
pub fn from_str(text: &str, file_name: &Path) -> Result<Config, ConfigErrors> {
    let mut config = read(text, file_name, Switches::default())?;
    config.tls.start_from(file_name.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// Reads a configuration from `text`, with its relative paths as they stand.
pub(crate) fn read(
    text: &str,
    file_name: &Path,
    switches: Switches,
) -> Result<Config, ConfigErrors> {
    let mut source = Source { name: file_name, text, hidden: Vec::new() };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => return Err(not_toml(&mut source, &error)),
    };
    let mut findings = Findings::default();
    let config =
        Section::document(document.get_ref(), &mut findings, |top| Config::read(top, switches));
    match findings.into_errors(&mut source) {
        None => Ok(config),
        Some(errors) => Err(errors),
    }
}

fn not_toml(source: &mut Source<'_>, error: &toml::de::Error) -> ConfigErrors {
    let span = error.span().unwrap_or(0..0);
    let hidden = source.hide_unless_harmless(span.start);
    let help = if hidden {
        "the line is not shown, because it may hold a secret; \
         check its quotes, brackets and commas, and those of the line above"
    } else if error.message().contains("duplicate key") {
        "keep one of the two"
    } else {
        "a line is `key = value`, `[section]` or `# comment`; texts stand in quotes"
    };
    let complaint = Complaint::new(error.message(), help);
    ConfigErrors::new(vec![ConfigError::new(source, &span, String::new(), complaint)])
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
    // RFC 8489, section 14.9: REALM MUST be fewer than 128 characters. [S13]
    if text.is_empty() || text.chars().count() > 127 || text.contains(char::is_control) {
        return Err(Complaint::new(
            "not a realm",
            "a realm has 1 to 127 characters and no control characters, such as \"example.org\"",
        ));
    }
    Ok(text.to_owned())
}
