//! `credentials.browser_keys`: pages that are given credentials, bound to their origin.

use std::time::Duration;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::credentials::{Issuers, ttl};
use crate::duration::spell;
use crate::entries::{Secrets, bracketed, list, quote};
use crate::reader::Section;
use crate::secret::Secret;
use crate::server_key::{ServerKey, key, optional};
use crate::shared_secret::tenant;
use crate::url::Url;
use crate::values;

/// The key that stands in a page: everybody can read it, so that it says nothing but whose quota
/// is used, from which pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserKey {
    /// The key, 8 characters at least, of those that a URL takes as they are.
    pub key: Secret,
    /// Origins of the pages, `https://app.example`, none twice, one at least; `*` is any.
    pub origins: Vec<String>,
    /// What the user names of its visitors begin with. Default: as the issuer has it.
    pub user: Option<String>,
    /// How long its credentials live. Default: [`Credentials::ttl`](crate::Credentials::ttl).
    pub ttl: Option<Duration>,
    /// The tenant that its visitors belong to. Default: none.
    pub tenant: Option<String>,
    /// The realm that they belong to. Default: [`Config::realm`](crate::Config::realm).
    pub realm: Option<String>,
}

impl BrowserKey {
    pub(crate) fn read_all(
        section: &mut Section<'_, '_>,
        issuers: &Issuers<'_>,
        servers: &[ServerKey],
        max_ttl: Duration,
    ) -> Vec<Self> {
        let shown = ["origins", "user", "ttl", "tenant", "realm"];
        let read = section.hidden_tables("browser_keys", &shown, HELP, |item| {
            (Self::read(item, issuers, max_ttl), item.span_of("key"))
        });
        let mut kept: Vec<Self> = Vec::new();
        for (key, span) in read.unwrap_or_default() {
            let Some(key) = key else { continue };
            if kept.iter().any(|other| other.key == key.key) {
                let complaint = Complaint::new("listed twice", "give each page a key of its own");
                section.complain("browser_keys.key", span, complaint);
            } else if servers.iter().any(|server| server.key == key.key) {
                let complaint = Complaint::new(
                    "the key of an application, which a page would give away",
                    "write another one",
                );
                section.complain("browser_keys.key", span, complaint);
            }
            kept.push(key);
        }
        kept
    }

    fn read(
        section: &mut Section<'_, '_>,
        issuers: &Issuers<'_>,
        max_ttl: Duration,
    ) -> Option<Self> {
        for key in ["key", "origins"] {
            if !section.has(key) {
                let complaint = Complaint::new(format!("\"{key}\" is missing"), HELP);
                section.complain(key, section.span(), complaint);
            }
        }
        let key = section.value("key", browser_key);
        let mut origins: Vec<String> = Vec::new();
        let listed = section.list("origins", origin);
        if listed.as_ref().is_some_and(Vec::is_empty) {
            let complaint = Complaint::new("an empty list serves no page", HELP);
            section.complain("origins", section.span_of("origins"), complaint);
        }
        for (origin, span) in listed.unwrap_or_default() {
            if origins.contains(&origin) {
                let complaint = Complaint::new("listed twice", "name each origin once");
                section.complain("origins", span, complaint);
            }
            origins.push(origin);
        }
        let user = section.value("user", user);
        let ttl = section.value("ttl", |value| ttl(value, max_ttl));
        let tenant = section.value("tenant", tenant);
        let realm =
            section.value("realm", |value| values::text(value, "example.org").map(str::to_owned));
        issuers.judge(section, realm.as_deref(), tenant.as_deref());
        Some(Self { key: key?, origins, user, ttl, tenant, realm })
    }

    pub(crate) fn write_all(keys: &[Self], secrets: Secrets) -> String {
        bracketed(keys.iter().enumerate().map(|(index, key)| {
            let secret = match secrets {
                Secrets::Revealed => key.key.reveal().to_owned(),
                Secrets::Redacted => format!("browser-key-{index}"),
            };
            let ttl = key.ttl.map(spell);
            let rest = [
                optional("user", key.user.as_deref()),
                optional("ttl", ttl.as_deref()),
                optional("tenant", key.tenant.as_deref()),
                optional("realm", key.realm.as_deref()),
            ];
            let (secret, origins) = (quote(secret), list(&key.origins));
            format!("{{ key = {secret}, origins = {origins}{} }}", rest.concat())
        }))
    }
}

fn browser_key(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let read = key(value, LEAST_KEY)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if !read.reveal().bytes().all(is_plain) {
        return Err(Complaint::new(
            "a browser key stands in a URL",
            "write letters, digits and . _ ~ - only, such as `openssl rand -hex 16` prints",
        ));
    }
    Ok(read)
}

/// An origin as a browser sends it (RFC 6454, section 6.2): lower case, no path, no usual port.
fn origin(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "https://app.example")?;
    if text == "*" {
        return Ok(text.to_owned());
    }
    let complain = |help: String| Err(Complaint::new("not an origin", help));
    let Some(url) = Url::parse(text).filter(|url| !url.host.is_empty()) else {
        let is_name = values::host_name(text).is_ok() && text != "null";
        let name = if is_name { text } else { "app.example" };
        return complain(format!("write scheme and host: \"https://{name}\""));
    };
    let usual = match url.scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.strip_suffix(usual).unwrap_or(host);
    let plain = format!("{}://{host}", url.scheme).to_ascii_lowercase();
    if plain != text || host.contains('@') {
        let host =
            plain.rsplit_once('@').map_or(plain.clone(), |(_, host)| format!("https://{host}"));
        return complain(format!("write it as browsers send it: \"{host}\""));
    }
    Ok(plain)
}

fn user(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "web")?;
    let is_wrong = |character: char| character.is_control() || character == '#';
    if text.is_empty() || text.len() > 64 || text.contains(is_wrong) {
        return Err(Complaint::new(
            "not a user name",
            "write 1 to 64 bytes without control characters and \"#\", such as \"web\"",
        ));
    }
    Ok(text.to_owned())
}

const HELP: &str = "write browser_keys = [{ key = \"...\", origins = [\"https://app.example\"] }]";

/// Everybody reads it, so it need not be unguessable; shorter ones would be mistaken for another.
const LEAST_KEY: usize = 8;
