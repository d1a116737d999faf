//! `credentials.server_keys`: applications that are given credentials for their users.

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::credentials::Issuers;
use crate::entries::{Secrets, bracketed, quote};
use crate::reader::Section;
use crate::secret::Secret;
use crate::shared_secret::tenant;
use crate::values;

/// The key of an application, which may choose user name, tag and lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKey {
    /// Its name in logs and URLs: 1 to 64 of letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// The key, 16 characters at least, printable ASCII without spaces.
    pub key: Secret,
    /// The tenant that its users belong to. Default: none.
    pub tenant: Option<String>,
    /// The realm that its users belong to. Default: [`Config::realm`](crate::Config::realm).
    pub realm: Option<String>,
}

impl ServerKey {
    pub(crate) fn read_all(section: &mut Section<'_, '_>, issuers: &Issuers<'_>) -> Vec<Self> {
        let read = section.hidden_tables("server_keys", &["id", "tenant", "realm"], HELP, |item| {
            (Self::read(item, issuers), item.span_of("id"), item.span_of("key"))
        });
        let mut kept: Vec<Self> = Vec::new();
        for (key, id_span, key_span) in read.unwrap_or_default() {
            let Some(key) = key else { continue };
            if kept.iter().any(|other| other.id == key.id) {
                let complaint = Complaint::new("listed twice", "give each key an id of its own");
                section.complain("server_keys.id", id_span, complaint);
            } else if kept.iter().any(|other| other.key == key.key) {
                let complaint = Complaint::new("the key of two applications", "write another one");
                section.complain("server_keys.key", key_span, complaint);
            }
            kept.push(key);
        }
        kept
    }

    fn read(section: &mut Section<'_, '_>, issuers: &Issuers<'_>) -> Option<Self> {
        for key in ["id", "key"] {
            if !section.has(key) {
                let complaint = Complaint::new(format!("the {key} is missing"), HELP);
                section.complain(key, section.span(), complaint);
            }
        }
        let id = section.value("id", id);
        let key = section.value("key", |value| key(value, LEAST_KEY));
        let tenant = section.value("tenant", tenant);
        let realm =
            section.value("realm", |value| values::text(value, "example.org").map(str::to_owned));
        issuers.judge(section, realm.as_deref(), tenant.as_deref());
        Some(Self { id: id?, key: key?, tenant, realm })
    }

    pub(crate) fn write_all(keys: &[Self], secrets: Secrets) -> String {
        bracketed(keys.iter().map(|key| {
            let secret = match secrets {
                Secrets::Revealed => key.key.reveal().to_owned(),
                Secrets::Redacted => format!("(server-key-of-{})", key.id),
            };
            let rest = optional("tenant", key.tenant.as_deref());
            let rest = rest + &optional("realm", key.realm.as_deref());
            format!("{{ id = {}, key = {}{rest} }}", quote(&key.id), quote(secret))
        }))
    }
}

/// `, name = "value"`, or nothing.
pub(crate) fn optional(name: &str, value: Option<&str>) -> String {
    value.map(|value| format!(", {name} = {}", quote(value))).unwrap_or_default()
}

/// A key of at least `least` characters.
pub(crate) fn key(value: &DeValue<'_>, least: usize) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(Complaint::wrong_type("a string", value, "write the key in quotes"));
    };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Complaint::new(
            "a key has printable ASCII characters only, and no spaces",
            "write one that `openssl rand -hex 24` prints",
        ));
    }
    if text.len() < least {
        return Err(Complaint::new(
            format!("a key of fewer than {least} characters can be guessed"),
            "write one that `openssl rand -hex 24` prints",
        ));
    }
    Ok(Secret::new(text))
}

fn id(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "app")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_plain) {
        return Err(Complaint::new(
            "not an id",
            "write 1 to 64 of letters, digits, \".\", \"_\" and \"-\", such as \"app\"",
        ));
    }
    Ok(text.to_owned())
}

const HELP: &str = "write server_keys = [{ id = \"app\", key = \"...\" }]";

/// Characters of a key that may be called unguessable.
const LEAST_KEY: usize = 16;
