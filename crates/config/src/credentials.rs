//! `[credentials]`: the listener that gives applications and browsers their time-limited
//! credentials.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use toml::de::DeValue;

use crate::auth::Auth;
use crate::browser_key::BrowserKey;
use crate::complaint::Complaint;
use crate::duration::spell;
use crate::entries::{Entries, Secrets, limit, quote};
use crate::limit::Limit;
use crate::rate::Rate;
use crate::reader::Section;
use crate::realm::Realm;
use crate::server_key::ServerKey;
use crate::shared_secret::SharedSecret;
use crate::values;

/// Where credentials are given out, for how long and to whom.
///
/// There is a key at least. Where no store could bring another one, the realm of each key has a
/// shared secret: of the key's tenant if it names one, of nobody otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The listener; no admin route exists there.
    pub address: SocketAddr,
    /// Whether it speaks TLS, with the certificates of [`Config::tls`](crate::Config::tls).
    /// Nothing (the default): where there are any.
    pub tls: Option<bool>,
    /// The host name in the URLs that are given out. Default: the name in the certificate, else
    /// the public address.
    pub host: Option<String>,
    /// How long a credential lives where nobody says, 1 min to [`max_ttl`](Self::max_ttl).
    /// Default: 1 h.
    pub ttl: Duration,
    /// The longest that a server key can ask for, at most a year. Default: 24 h.
    pub max_ttl: Duration,
    /// Requests of one source address. Default: 20/s burst 100.
    pub rate: Limit<Rate>,
    /// Applications, by id, none twice. Default: none.
    pub server_keys: Vec<ServerKey>,
    /// Pages, by key, none twice. Default: none.
    pub browser_keys: Vec<BrowserKey>,
}

/// Whose secrets a key can be given credentials of.
pub(crate) struct Issuers<'c> {
    pub(crate) realm: &'c str,
    pub(crate) auth: &'c Auth,
    pub(crate) realms: &'c [Realm],
    /// Whether `[tls]` is meant to bring a certificate.
    pub(crate) has_certificate: bool,
}

impl Credentials {
    /// Reads the section; nothing where it is not `written` or has no address.
    pub(crate) fn read(
        section: &mut Section<'_, '_>,
        written: bool,
        issuers: &Issuers<'_>,
    ) -> Option<Self> {
        if written && !section.has("address") {
            let complaint = Complaint::new(
                "the address is missing",
                format!("add under [credentials]: address = \"{ADDRESS}\""),
            );
            section.complain("address", section.span(), complaint);
        }
        let address = section.value("address", |value| values::socket_address(value, ADDRESS));
        let tls = section.value("tls", values::boolean);
        if tls == Some(true) && !issuers.has_certificate {
            let complaint = Complaint::new(
                "no certificate to speak TLS with",
                "add certificates under [tls], or write tls = false behind a proxy with TLS",
            );
            section.complain("tls", section.span_of("tls"), complaint);
        }
        let host = section.value("host", host);
        let max_ttl = section
            .value("max_ttl", |value| values::duration(value, MINUTE, YEAR))
            .unwrap_or(MAX_TTL);
        let ttl =
            section.value("ttl", |value| ttl(value, max_ttl)).unwrap_or_else(|| TTL.min(max_ttl));
        let rate =
            section.value("rate", |value| values::limit(value, rate)).unwrap_or(Limit::At(RATE));
        let server_keys = ServerKey::read_all(section, issuers);
        let browser_keys = BrowserKey::read_all(section, issuers, &server_keys, max_ttl);
        if written && !section.has("server_keys") && !section.has("browser_keys") {
            let complaint = Complaint::new(
                "without a key nobody is given credentials",
                "add under [credentials]: server_keys = [{ id = \"app\", key = \"...\" }], with a \
                 key such as one that `openssl rand -hex 24` prints, or browser_keys",
            );
            section.complain("server_keys", section.span(), complaint);
        }
        let read =
            Self { address: address?, tls, host, ttl, max_ttl, rate, server_keys, browser_keys };
        read.judge(section, issuers);
        Some(read)
    }

    /// Whether what it gives out crosses a network in clear text, unless a proxy stands before it.
    pub(crate) fn is_in_clear_text(&self, has_certificate: bool) -> bool {
        !self.tls.unwrap_or(has_certificate) && !self.address.ip().is_loopback()
    }

    /// Refuses lifetimes that the server itself would not take.
    fn judge(&self, section: &mut Section<'_, '_>, issuers: &Issuers<'_>) {
        let of_servers = self.server_keys.iter().map(|key| (&key.realm, self.ttl));
        let of_browsers =
            self.browser_keys.iter().map(|key| (&key.realm, key.ttl.unwrap_or(self.ttl)));
        for (realm, ttl) in of_servers.chain(of_browsers) {
            let Limit::At(most) = issuers.longest_ttl(realm.as_deref()) else { continue };
            if ttl > most {
                let complaint = Complaint::new(
                    format!(
                        "max_credential_ttl refuses credentials of more than {}, and these live {}",
                        spell(most),
                        spell(ttl)
                    ),
                    format!("write ttl = \"{}\" or less", spell(most)),
                );
                section.complain("ttl", section.span_of("ttl"), complaint);
                return;
            }
        }
    }

    pub(crate) fn write(&self, out: &mut Entries, secrets: Secrets) {
        out.section("credentials");
        out.key("address", quote(self.address));
        match self.tls {
            Some(tls) => out.key("tls", tls),
            None => out.absent("tls", "true where [tls] has certificates"),
        }
        match &self.host {
            Some(host) => out.key("host", quote(host)),
            None => out.absent("host", "the certificate's name, else the public address"),
        }
        out.key("ttl", quote(spell(self.ttl)));
        out.key("max_ttl", quote(spell(self.max_ttl)));
        out.key("rate", limit(self.rate, quote));
        out.key("server_keys", ServerKey::write_all(&self.server_keys, secrets));
        out.key("browser_keys", BrowserKey::write_all(&self.browser_keys, secrets));
    }
}

impl Issuers<'_> {
    /// Refuses a realm that the file has not, and one from whose secrets no credential of this
    /// tenant can be made. `written`: the realm and tenant of a key.
    pub(crate) fn judge(
        &self,
        section: &mut Section<'_, '_>,
        realm: Option<&str>,
        tenant: Option<&str>,
    ) {
        let Some((name, secrets)) = self.secrets_of(realm) else {
            let complaint = Complaint::new(
                "no realm of the file",
                format!("leave it out for \"{}\", or add the realm to [realms]", self.realm),
            );
            section.complain("realm", section.span_of("realm"), complaint);
            return;
        };
        // A store may bring a secret, which is no tenant's then.
        if tenant.is_none() && !self.auth.stores.is_empty() {
            return;
        }
        let key = if name == self.realm {
            "auth.secrets".to_owned()
        } else {
            format!("realms.{}.auth.secrets", crate::entries::quoted_key(name))
        };
        if secrets.is_empty() {
            let complaint = Complaint::new(
                format!("{key} has no secret to make credentials from"),
                format!("add one, such as `openssl rand -base64 32` prints: {key} = [\"...\"]"),
            );
            section.complain("realm", section.span_of("realm"), complaint);
        } else if !secrets.iter().any(|secret| secret.tenant.as_deref() == tenant) {
            let complaint = match tenant {
                Some(_) => Complaint::new(
                    format!("{key} has no secret of this tenant"),
                    "write the tenant as it stands with its secret, or leave it out",
                ),
                None => Complaint::new(
                    format!("every secret of {key} is a tenant's, and this key names none"),
                    "write tenant = \"...\" as it stands with one of the secrets",
                ),
            };
            section.complain("tenant", section.span_of("tenant"), complaint);
        }
    }

    fn secrets_of(&self, realm: Option<&str>) -> Option<(&str, &[SharedSecret])> {
        match realm {
            None => Some((self.realm, &self.auth.secrets)),
            Some(name) if name == self.realm => Some((self.realm, &self.auth.secrets)),
            Some(name) => {
                let realm = self.realms.iter().find(|realm| realm.name == name)?;
                Some((&realm.name, &realm.auth.secrets))
            }
        }
    }

    fn longest_ttl(&self, realm: Option<&str>) -> Limit<Duration> {
        let other = realm.and_then(|name| self.realms.iter().find(|realm| realm.name == name));
        other.map_or(self.auth.max_credential_ttl, |realm| realm.auth.max_credential_ttl)
    }
}

/// A lifetime of 1 min to `most`.
pub(crate) fn ttl(value: &DeValue<'_>, most: Duration) -> Result<Duration, Complaint> {
    values::duration(value, MINUTE, most.max(MINUTE))
}

fn rate(value: &DeValue<'_>) -> Result<Rate, Complaint> {
    if value.as_integer().is_some() {
        let help = "write how often, in quotes: \"20/s burst 100\"";
        return Err(Complaint::wrong_type("a rate", value, help));
    }
    Rate::parse(values::text(value, "20/s burst 100")?)
}

fn host(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "turn.example.org")?;
    let address = text.trim_matches(['[', ']']);
    if address.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(format!("[{address}]"));
    }
    values::host_name(text).map(|()| text.to_owned()).map_err(|()| {
        Complaint::new(
            "not a host name",
            "write the name that clients reach this server by, without scheme and port, such as \
             \"turn.example.org\"",
        )
    })
}

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);
const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const TTL: Duration = Duration::from_secs(3600);
const MAX_TTL: Duration = Duration::from_secs(86_400);
const RATE: Rate = Rate::per_second(20, 100);
