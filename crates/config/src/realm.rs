//! `[realms."b.example"]`: further realms, each with its own users, peers and limits.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use crate::auth::{Auth, User, read_users, separator, ttl};
use crate::complaint::Complaint;
use crate::config::realm_name;
use crate::limit::Limit;
use crate::limits::Limits;
use crate::peers::Peers;
use crate::reader::Section;
use crate::realm_limits::RealmLimits;
use crate::relay::{DefaultFamily, Relay};
use crate::shared_secret::SharedSecret;
use crate::values;

/// A realm beside the one at the top of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The REALM of its credentials, 1 to 127 characters; not that at the top of the file.
    pub name: String,
    /// Server names of TLS clients (SNI) that choose it, in lower case, none of another realm.
    /// Default: its [`name`](Self::name) in lower case.
    pub server_names: Vec<String>,
    /// Who may relay in it.
    pub auth: RealmAuth,
    /// Whom its clients may reach. Default: [`Config::peers`](crate::Config::peers).
    pub peers: Peers,
    /// How much each may take in it.
    pub limits: RealmLimits,
    /// Where its relayed addresses are, some of [`Relay::addresses`]. Empty (the default): all.
    pub relay_addresses: Vec<IpAddr>,
    /// The family of an Allocate that names none. Default: [`Relay::default_family`].
    pub default_family: Option<DefaultFamily>,
}

/// The credentials of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmAuth {
    /// Static users, by name, none twice. Default: none.
    pub users: Vec<User>,
    /// Shared secrets of time-limited credentials, tried in turn. Default: none.
    pub secrets: Vec<SharedSecret>,
    /// What stands between expiry and userid. Default: [`Auth::separator`].
    pub separator: char,
    /// Relays for everybody, without credentials. Default: false.
    pub anonymous: bool,
    /// Ends live allocations with the credential that made them. Default: [`Auth::strict_expiry`].
    pub strict_expiry: bool,
    /// How far ahead an expiry may lie. Default: [`Auth::max_credential_ttl`].
    pub max_credential_ttl: Limit<Duration>,
}

/// What a realm inherits where it writes nothing.
pub(crate) struct Inherited<'c> {
    pub(crate) realm: &'c str,
    pub(crate) relay: &'c Relay,
    pub(crate) auth: &'c Auth,
    pub(crate) peers: &'c Peers,
    pub(crate) limits: &'c Limits,
}

impl Realm {
    /// Reads every `[realms.NAME]`, by name.
    pub(crate) fn read_all(top: &mut Section<'_, '_>, inherited: &Inherited<'_>) -> Vec<Self> {
        let mut kept: Vec<Self> = Vec::new();
        let read = top.named_tables("realms", |section, name, name_span| {
            let (realm, server_names) = Self::read(section, name, name_span, inherited);
            (realm, server_names, section.span_of("server_names"))
        });
        for (realm, written, span) in read {
            let taken = |name: &&String| kept.iter().any(|kept| kept.server_names.contains(name));
            if let Some(name) = realm.server_names.iter().find(taken) {
                let complaint = Complaint::new(
                    format!("server name \"{}\" is that of another realm", name.escape_debug()),
                    if written {
                        "name each server name in one realm"
                    } else {
                        "write other names for this realm: server_names = [\"turn.b.example\"]"
                    },
                );
                top.complain("realms.server_names", span, complaint);
            }
            kept.push(realm);
        }
        kept
    }

    /// Reads one, and whether its server names are written.
    fn read(
        section: &mut Section<'_, '_>,
        name: &str,
        name_span: Range<usize>,
        inherited: &Inherited<'_>,
    ) -> (Self, bool) {
        let name_complaint = realm_name(name).err().or_else(|| {
            (name == inherited.realm).then(|| {
                Complaint::new(
                    "this is the realm at the top of the file",
                    "write what belongs to it under [auth], [peers] and [limits]",
                )
            })
        });
        if let Some(complaint) = name_complaint {
            section.complain_of_itself(name_span, complaint);
        }
        let server_names = section.list("server_names", server_name);
        let written = server_names.is_some();
        let mut names: Vec<String> = Vec::new();
        for (server_name, span) in server_names.unwrap_or_default() {
            if names.contains(&server_name) {
                let complaint = Complaint::new("listed twice", "name each server name once");
                section.complain("server_names", span, complaint);
            }
            names.push(server_name);
        }
        if !written {
            names.push(name.to_ascii_lowercase());
        }
        let peers_written = section.has("peers");
        let peers = section.table("peers", Peers::read);
        let (relay_addresses, default_family) =
            section.table("relay", |section| read_relay(section, inherited.relay));
        let realm = Self {
            name: name.to_owned(),
            server_names: names,
            auth: section.table("auth", |section| RealmAuth::read(section, inherited.auth)),
            peers: if peers_written { peers } else { inherited.peers.clone() },
            limits: section.table("limits", |section| RealmLimits::read(section, inherited.limits)),
            relay_addresses,
            default_family,
        };
        (realm, written)
    }
}

impl RealmAuth {
    fn read(section: &mut Section<'_, '_>, inherited: &Auth) -> Self {
        Self {
            users: read_users(section),
            secrets: SharedSecret::read_all(section),
            separator: section.value("separator", separator).unwrap_or(inherited.separator),
            anonymous: section.value("anonymous", values::boolean).unwrap_or_default(),
            strict_expiry: section
                .value("strict_expiry", values::boolean)
                .unwrap_or(inherited.strict_expiry),
            max_credential_ttl: section
                .value("max_credential_ttl", |value| values::limit(value, ttl))
                .unwrap_or(inherited.max_credential_ttl),
        }
    }
}

fn read_relay(
    section: &mut Section<'_, '_>,
    inherited: &Relay,
) -> (Vec<IpAddr>, Option<DefaultFamily>) {
    let addresses = Relay::read_addresses(section);
    if let Some(address) = addresses.iter().find(|address| !inherited.addresses.contains(address)) {
        let complaint = Complaint::new(
            format!("{address} is not a relay address of the server"),
            format!("add \"{address}\" to addresses of [relay]"),
        );
        section.complain("addresses", section.span_of("addresses"), complaint);
    }
    let default_family = section
        .value("default_family", |value| values::choice(value, &DefaultFamily::NAMES))
        .or(inherited.default_family);
    (addresses, default_family)
}

fn server_name(value: &toml::de::DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "turn.b.example")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 253 || !text.bytes().all(is_plain) {
        // RFC 6066, section 3: a server name is a DNS name, never an address with a port.
        return Err(Complaint::new(
            "not a server name",
            "write a DNS name in full, such as \"turn.b.example\"; wildcards are not known here",
        ));
    }
    Ok(text.to_ascii_lowercase())
}
