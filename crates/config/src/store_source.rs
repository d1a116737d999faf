//! `auth.stores`: databases that hold users, secrets and options of realms.

use std::ops::Range;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::entries::{Secrets, bracketed, quote};
use crate::reader::{Section, Value};
use crate::secret::Secret;
use crate::suggest::nearest;
use crate::url::Url;
use crate::values;

/// Where a credential store is, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSource {
    /// Its URL, which may hold a password: one of the schemes `sqlite`, `postgres`, `postgresql`,
    /// `mysql`, `mariadb`, `redis`, `rediss`, `redis+unix`, `http` and `https`.
    pub url: Secret,
    /// What an `http` or `https` store is shown as bearer token. Default: none.
    pub token: Option<Secret>,
    /// Every user there has a SHA-256 key beside the MD5 one. Default: false.
    pub sha256_keys: bool,
}

impl StoreSource {
    /// A store without a token.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url), token: None, sha256_keys: false }
    }

    /// Whether a text is the URL of a store.
    ///
    /// # Errors
    /// What to write instead; the text is not repeated.
    pub fn check(url: &str) -> Result<(), String> {
        check_url(url).map_err(|complaint| complaint.help)
    }

    /// Its URL without password and query, for people.
    pub fn shown(&self) -> String {
        Url::parse(self.url.reveal()).map(|url| url.redacted()).unwrap_or_default()
    }

    /// Whether there is a password in its URL, or a token.
    pub fn has_secret(&self) -> bool {
        self.token.is_some() || url_has_secret(self.url.reveal())
    }

    /// Whether what it is asked and answers crosses a network in clear text.
    pub(crate) fn is_in_clear_text(&self) -> bool {
        Url::parse(self.url.reveal()).is_some_and(|url| url.scheme == "http" && !url.is_loopback())
    }

    pub(crate) fn read_all(section: &mut Section<'_, '_>) -> Vec<Self> {
        let Some(value) = section.hidden_but("stores", &["sha256_keys"]) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            let help = format!("put it in brackets: stores = [\"{SAMPLE}\"]");
            let complaint = Complaint::wrong_type("a list", value.get_ref(), help);
            section.complain("stores", value.span(), complaint);
            return Vec::new();
        };
        if items.len() > MOST {
            let complaint = Complaint::new(
                format!("more than {MOST} stores"),
                "each is asked for every unknown user; keep the users in fewer",
            );
            section.complain("stores", value.span(), complaint);
        }
        items.iter().filter_map(|item| Self::read(section, item)).collect()
    }

    /// Reads `"..."` or `{ url = "...", token = "...", sha256_keys = true }`.
    fn read(section: &mut Section<'_, '_>, item: &Value<'_>) -> Option<Self> {
        let span = item.span();
        let Some(table) = item.get_ref().as_table() else {
            return url(item.get_ref())
                .map(|url| Self { url, token: None, sha256_keys: false })
                .map_err(|complaint| section.complain("stores", span, complaint))
                .ok();
        };
        section.item("stores", table, span).run(|section| {
            if !section.has("url") {
                let help = format!("write {{ url = \"{SAMPLE}\" }}");
                section.complain("url", section.span(), Complaint::new("no url in it", help));
            }
            let url = section.value("url", url);
            let token = section.value("token", token);
            let sha256_keys = section.value("sha256_keys", values::boolean).unwrap_or_default();
            let url = url?;
            if section.has("token") && !url.reveal().starts_with("http") {
                let complaint = Complaint::new(
                    "only http and https stores take a token",
                    "write the password into the URL, behind the user: USER:PASSWORD@HOST",
                );
                let span: Range<usize> = section.span_of("token");
                section.complain("token", span, complaint);
            }
            Some(Self { url, token, sha256_keys })
        })
    }

    /// All of `stores` as the file has them.
    pub(crate) fn write_all(stores: &[Self], secrets: Secrets) -> String {
        bracketed(stores.iter().map(|store| {
            let (url, token) = match secrets {
                Secrets::Revealed => {
                    let token = store.token.as_ref().map(|token| token.reveal().to_owned());
                    (store.url.reveal().to_owned(), token)
                }
                Secrets::Redacted => {
                    (store.shown(), store.token.as_ref().map(|_| "(token)".to_owned()))
                }
            };
            if token.is_none() && !store.sha256_keys {
                return quote(url);
            }
            let token = token.map(|token| format!(", token = {}", quote(token)));
            let token = token.unwrap_or_default();
            format!("{{ url = {}{token}, sha256_keys = {} }}", quote(url), store.sha256_keys)
        }))
    }
}

/// Whether the file's spelling of a store, a URL or a table, gives a secret away.
pub(crate) fn gives_away_a_secret(item: &DeValue<'_>) -> bool {
    match (item.as_str(), item.as_table()) {
        (Some(text), _) => url_has_secret(text),
        (None, Some(table)) => {
            let url = table.get("url").and_then(|url| url.get_ref().as_str());
            table.contains_key("token") || url.is_none_or(url_has_secret)
        }
        (None, None) => true,
    }
}

/// A password before the host, or something like one behind the question mark.
pub(crate) fn url_has_secret(text: &str) -> bool {
    Url::parse(text).is_none_or(|url| {
        let query = url.query.unwrap_or_default().to_ascii_lowercase();
        url.has_password || ["pass", "token", "key=", "secret"].iter().any(|it| query.contains(it))
    })
}

fn url(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        let help = format!("write its URL in quotes, such as \"{SAMPLE}\"");
        return Err(Complaint::wrong_type("a string or table", value, help));
    };
    check_url(text).map(|()| Secret::new(text))
}

/// Refuses what is no URL of a store; the text is not repeated.
fn check_url(text: &str) -> Result<(), Complaint> {
    let Some(url) = Url::parse(text) else {
        let help = if text.starts_with('/') {
            format!("for a file of SQLite write \"{SAMPLE}\"")
        } else {
            format!(
                "write \"{SAMPLE}\" or \"postgres://USER:PASSWORD@HOST/DATABASE\"; what is no \
                 letter or digit of user and password is percent-encoded"
            )
        };
        return Err(Complaint::new("not the URL of a store", help));
    };
    let help = match url.scheme {
        "sqlite" if !url.host.is_empty() || url.path.len() < 2 => {
            "write the file from the root on, with three slashes: \"sqlite:///var/lib/turndb\""
        }
        "redis+unix" if !url.host.is_empty() || url.path.len() < 2 => {
            "write the socket from the root on: \"redis+unix:///run/redis/redis.sock\""
        }
        "postgres" | "postgresql" | "mysql" | "mariadb"
            if url.host.is_empty()
                && !url.query.is_some_and(|q| q.contains("host=") || q.contains("socket=")) =>
        {
            "write the host behind //, or a Unix socket as ?host=/run/postgresql or \
             ?socket=/run/mysqld/mysqld.sock"
        }
        "postgres" | "postgresql" | "mysql" | "mariadb" if url.path.len() < 2 => {
            "write the name of the database behind the host: \"postgres://HOST/turn\""
        }
        "redis" | "rediss" | "http" | "https" if url.host.is_empty() => {
            "write the host behind the two slashes"
        }
        "sqlite" | "redis+unix" | "postgres" | "postgresql" | "mysql" | "mariadb" | "redis"
        | "rediss" | "http" | "https" => return Ok(()),
        other => return Err(unknown_scheme(other)),
    };
    Err(Complaint::new("not the URL of a store", help))
}

fn unknown_scheme(scheme: &str) -> Complaint {
    if scheme.starts_with("mongodb") {
        return Complaint::new(
            "MongoDB is none of the stores",
            "let your application answer for it: \"https://app.example/turn-auth\"",
        );
    }
    let help = match nearest(scheme, SCHEMES) {
        Some(meant) => format!("did you mean \"{meant}://\"?"),
        None => format!("write one of {}", SCHEMES.join(", ")),
    };
    Complaint::new("not the URL of a store that is known here", help)
}

/// What travels in an Authorization header of ours.
pub(crate) fn token(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(Complaint::wrong_type("a string", value, "write the token in quotes"));
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Complaint::new(
            "a token has printable ASCII characters only, and no spaces",
            "write one that `openssl rand -hex 24` prints",
        ));
    }
    Ok(Secret::new(text))
}

const SAMPLE: &str = "sqlite:///var/lib/turnserver/users.db";

const SCHEMES: [&str; 9] =
    ["sqlite", "postgres", "postgresql", "mysql", "mariadb", "redis", "rediss", "http", "https"];

/// More would make one look-up too long.
const MOST: usize = 8;
