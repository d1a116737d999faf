//! From a URL to the store that it names.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::store::{Store, StoreError};
use crate::{http, redis, sql};

/// What the configuration says of one store.
#[derive(Clone)]
pub struct StoreConfig {
    /// Where it is; may hold a password.
    pub url: Zeroizing<String>,
    /// What an HTTP callback is called with.
    pub token: Option<Zeroizing<String>>,
    /// The operator's word that every user has a SHA-256 key; for the caller, no store reads it.
    pub sha256_keys: bool,
}

/// Makes the store that a URL names. Nothing is connected yet: a store that is down at the start
/// is a store that is down.
///
/// # Errors
///
/// [`StoreError::Url`], with what to write instead.
pub fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    let token = config.token.as_ref().map(|token| token.as_str());
    let scheme = config.url.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_http = matches!(scheme, "http" | "https");
    if token.is_some() && !is_http {
        return Err(StoreError::Url {
            what: format!("a token goes with an HTTP callback, not with {scheme:?}"),
            help: "put the password into the URL: scheme://user:password@host/database".to_owned(),
        });
    }
    match scheme {
        "sqlite" | "postgres" | "postgresql" | "mysql" | "mariadb" => sql::open(&config.url),
        "redis" | "rediss" | "unix" | "redis+unix" => redis::open(&config.url),
        _ if is_http => http::open(&config.url, token),
        _ => Err(StoreError::Url {
            what: "a store's URL begins with none of the schemes that are known".to_owned(),
            help: "sqlite:///path, postgres://, mysql://, redis://, rediss:// or https://"
                .to_owned(),
        }),
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("sha256_keys", &self.sha256_keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, token: Option<&str>) -> StoreConfig {
        StoreConfig {
            url: Zeroizing::new(url.to_owned()),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
            sha256_keys: false,
        }
    }

    #[test]
    fn unknown_scheme_is_refused_without_its_text() {
        for url in ["oracle://ann:secret@db/turn", "secret", ""] {
            let error = open(&config(url, None)).unwrap_err().to_string();
            assert!(error.contains("sqlite:///path") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn token_goes_with_a_callback_only() {
        let error = open(&config("postgres://db/turn", Some("secret"))).unwrap_err().to_string();
        assert!(error.contains("token") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn neither_password_nor_token_is_printed() {
        let text = format!("{:?}", config("mysql://ann:secret@db/turn", Some("secret")));
        assert!(!text.contains("secret"), "{text}");
    }
}
