//! What is configured of the credentials door, as plain data.

use std::fmt;
use std::time::Duration;

use super::rate::SourceRate;

/// What is configured.
#[derive(Debug, Clone, Default)]
pub struct CredentialSettings {
    /// Keys of applications.
    pub server_keys: Vec<ServerKey>,
    /// Keys of pages.
    pub browser_keys: Vec<BrowserKey>,
    /// How long a credential is good if nobody says.
    pub ttl: Duration,
    /// How long one is good at most.
    pub max_ttl: Duration,
    /// How often one source may ask; none: as often as it likes.
    pub rate: Option<SourceRate>,
}

/// A key of an application. Its Debug form has no key.
#[derive(Clone)]
pub struct ServerKey {
    /// What names it, in Basic credentials, in paths and in the figures.
    pub id: String,
    /// The key.
    pub key: String,
    /// The tenant whose secret is used.
    pub tenant: Option<String>,
    /// The realm; none: the default one.
    pub realm: Option<String>,
}

/// A key of pages. Its Debug form has no key.
#[derive(Clone)]
pub struct BrowserKey {
    /// The key.
    pub key: String,
    /// Origins of these pages, as in `https://app.example`; `*` is any.
    pub origins: Vec<String>,
    /// The beginning of the user's name; none: `web`.
    pub user: Option<String>,
    /// How long a credential is good; none: as for all.
    pub ttl: Option<Duration>,
    /// The tenant whose secret is used.
    pub tenant: Option<String>,
    /// The realm; none: the default one.
    pub realm: Option<String>,
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for BrowserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserKey").field("origins", &self.origins).finish_non_exhaustive()
    }
}
