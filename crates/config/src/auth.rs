//! `[auth]`: who may relay (RFC 8489, section 9.2).

use std::time::Duration;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::limit::Limit;
use crate::reader::Section;
use crate::secret::Secret;
use crate::shared_secret::{SharedSecret, secret_text};
use crate::store_source::StoreSource;
use crate::values;

/// The credentials of the realm, and how long what hangs on them lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Static users, by name, none twice. Default: none.
    pub users: Vec<User>,
    /// Shared secrets of time-limited credentials, tried in turn. Default: none.
    pub secrets: Vec<SharedSecret>,
    /// Databases of further users and secrets, of every realm, asked in turn. Default: none.
    pub stores: Vec<StoreSource>,
    /// What stands between expiry and userid in a time-limited name; not a digit. Default: `:`.
    pub separator: char,
    /// Relays for everybody, without credentials. Default: false.
    pub anonymous: bool,
    /// How long a nonce is taken, 1 s to 1 h (RFC 8656, section 5). Default: 10 min.
    pub nonce_lifetime: Duration,
    /// Ends live allocations with the credential that made them. Default: false.
    pub strict_expiry: bool,
    /// How far ahead the expiry of a time-limited credential may lie, 1 s or more. Default: off.
    pub max_credential_ttl: Limit<Duration>,
}

/// A static user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The USERNAME, 1 to 508 bytes without control characters.
    pub name: String,
    /// What proves it.
    pub credential: Credential,
}

/// What a static user has: a password, or a key made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The password; not empty, no control characters.
    Password(Secret),
    /// 32 hexadecimal digits, without the `0x`: MD5 of user:realm:password.
    Md5Key(Secret),
    /// 64 hexadecimal digits, without the `sha256:`: SHA-256 of user:realm:password.
    Sha256Key(Secret),
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            secrets: Vec::new(),
            stores: Vec::new(),
            separator: ':',
            anonymous: false,
            nonce_lifetime: Duration::from_secs(600),
            strict_expiry: false,
            max_credential_ttl: Limit::Off,
        }
    }
}

impl Auth {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        Self {
            users: read_users(section),
            secrets: SharedSecret::read_all(section),
            stores: StoreSource::read_all(section),
            separator: section.value("separator", separator).unwrap_or(default.separator),
            anonymous: section.value("anonymous", values::boolean).unwrap_or(default.anonymous),
            nonce_lifetime: section
                .value("nonce_lifetime", |value| {
                    // RFC 8656, section 5: a nonce expires at least once an hour. [A7]
                    values::duration(value, Duration::from_secs(1), Duration::from_secs(3600))
                })
                .unwrap_or(default.nonce_lifetime),
            strict_expiry: section
                .value("strict_expiry", values::boolean)
                .unwrap_or(default.strict_expiry),
            max_credential_ttl: section
                .value("max_credential_ttl", |value| values::limit(value, ttl))
                .unwrap_or(default.max_credential_ttl),
        }
    }
}

pub(crate) fn read_users(section: &mut Section<'_, '_>) -> Vec<User> {
    let Some(value) = section.hidden("users") else {
        return Vec::new();
    };
    let Some(table) = value.get_ref().as_table() else {
        let help = "write users = { NAME = \"PASSWORD\" }, or a section [auth.users]";
        let complaint = Complaint::wrong_type("a table of names", value.get_ref(), help);
        section.complain("users", value.span(), complaint);
        return Vec::new();
    };
    let mut users = Vec::with_capacity(table.len());
    for (name, value) in table {
        match read_user(name.get_ref(), value.get_ref()) {
            Ok(user) => users.push(user),
            Err(UserMistake::Name(complaint)) => section.complain("users", name.span(), complaint),
            Err(UserMistake::Credential(complaint)) => {
                section.complain(&format!("users.{}", name.get_ref()), value.span(), complaint);
            }
        }
    }
    users
}

/// Which half of `name = "credential"` is wrong.
enum UserMistake {
    Name(Complaint),
    Credential(Complaint),
}

fn read_user(name: &str, value: &DeValue<'_>) -> Result<User, UserMistake> {
    if name.is_empty() || name.len() > 508 || name.contains(char::is_control) {
        // RFC 8489, section 14.3: USERNAME MUST be less than 509 bytes. [S13]
        return Err(UserMistake::Name(Complaint::new(
            "not a user name",
            "a name has 1 to 508 bytes and no control characters",
        )));
    }
    credential(value)
        .map(|credential| User { name: name.to_owned(), credential })
        .map_err(UserMistake::Credential)
}

fn credential(value: &DeValue<'_>) -> Result<Credential, Complaint> {
    let Some(text) = value.as_str() else {
        let help = "write the password in quotes, or a key as \"0x...\" or \"sha256:...\"";
        return Err(Complaint::wrong_type("a string", value, help));
    };
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if let Some(hex) = text.strip_prefix("0x") {
        return if is_hex(hex, 32) {
            Ok(Credential::Md5Key(Secret::new(hex)))
        } else {
            Err(Complaint::new(
                "not a key: behind `0x` stand 32 hexadecimal digits",
                "write the MD5 of user:realm:password, or a password that does not begin with `0x`",
            ))
        };
    }
    if let Some(hex) = text.strip_prefix("sha256:") {
        return if is_hex(hex, 64) {
            Ok(Credential::Sha256Key(Secret::new(hex)))
        } else {
            Err(Complaint::new(
                "not a key: behind `sha256:` stand 64 hexadecimal digits",
                "write the SHA-256 of user:realm:password, or a password that does not begin \
                 with `sha256:`",
            ))
        };
    }
    secret_text(text, "password").map(Credential::Password)
}

pub(crate) fn separator(value: &DeValue<'_>) -> Result<char, Complaint> {
    let mut characters = values::text(value, ":")?.chars();
    match (characters.next(), characters.next()) {
        (Some(digit), None) if digit.is_ascii_digit() => Err(Complaint::new(
            "a digit cannot be told from the expiry",
            "write a character that is no digit, such as \":\"",
        )),
        (Some(separator), None) if !separator.is_control() => Ok(separator),
        _ => Err(Complaint::new("not one character", "write one character, such as \":\"")),
    }
}

pub(crate) fn ttl(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    values::duration(value, Duration::from_secs(1), Duration::from_secs(100 * 365 * 86_400))
}
