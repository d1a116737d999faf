//! Keys of the credentials door, kept as digests and compared in constant time.
//!
//! A *server key* belongs to an application's server: it may choose the user, a
//! tag and the time. A *browser key* stands in a page that everybody can read:
//! it is good for the pages of its origins only, and user and time are fixed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use tracing::warn;

use super::rate::{Buckets, SourceRate};
use super::settings::CredentialSettings;
use crate::attempts::{Attempts, prefix};
use crate::figures::Counted;

/// Keys, times and the rate of the credentials door, exchangeable while it is open.
pub struct CredentialKeys {
    rules: RwLock<Arc<Rules>>,
    buckets: Mutex<Buckets>,
    guesses: Mutex<Guesses>,
    issued: Mutex<BTreeMap<String, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    salt: [u8; 32],
}

/// What somebody shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// Who they say they are, where they do: Basic credentials, or the path.
    pub(crate) id: Option<String>,
    /// The key.
    pub(crate) key: String,
    /// How it came.
    pub(crate) by: By,
}

/// How a key came. Each way has its own count of wrong keys, so that a page with
/// an old key does not silence the application's server at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// In `Authorization`.
    Authorization,
    /// In `X-Api-Key` or the query.
    ApiKey,
}

/// The page that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page<'h> {
    /// From no page.
    None,
    /// From a page of this origin.
    Of(&'h str),
    /// From who knows where: the header stands there twice, or is no text.
    Unclear,
}

/// What a key allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// What the figures call the key.
    pub(crate) name: String,
    pub(crate) realm: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) choice: Choice,
}

/// What the bearer of a key may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// User, tag and time, within bounds.
    Free { ttl: Duration, max_ttl: Duration },
    /// Nothing.
    Fixed { user: String, ttl: Duration },
}

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooOften(Duration),
    HeldBack(Duration),
    NoKey,
    WrongKey,
    NoOrigin,
    ForeignOrigin,
    ServerKeyInPage,
    NeedsServerKey,
}

#[derive(Default)]
struct Rules {
    server: Vec<([u8; 32], ServerGrant)>,
    browser: Vec<([u8; 32], BrowserGrant)>,
    ttl: Duration,
    max_ttl: Duration,
    rate: Option<SourceRate>,
}

struct ServerGrant {
    id: String,
    tenant: Option<String>,
    realm: Option<String>,
}

struct BrowserGrant {
    origins: Vec<String>,
    user: String,
    ttl: Option<Duration>,
    tenant: Option<String>,
    realm: Option<String>,
}

#[derive(Default)]
struct Guesses {
    authorization: Attempts,
    api_key: Attempts,
}

impl CredentialKeys {
    /// Lets in who shows one of these keys.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn new(settings: &CredentialSettings) -> std::io::Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| std::io::Error::other(error.to_string()))?;
        let keys = Self {
            rules: RwLock::default(),
            buckets: Mutex::default(),
            guesses: Mutex::default(),
            issued: Mutex::default(),
            refused: Mutex::default(),
            salt,
        };
        keys.replace(settings);
        Ok(keys)
    }

    /// From now on these keys, times and this rate.
    pub fn replace(&self, settings: &CredentialSettings) {
        let rules = Rules::of(settings);
        {
            let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
            let servers = rules.server.iter().map(|(_, grant)| grant.id.clone());
            let browsers = rules.browser.iter().map(|(_, grant)| grant.name());
            for name in servers.chain(browsers) {
                issued.entry(name).or_default();
            }
        }
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Credentials handed out, by key: the id of a server key, `browser:USER` for
    /// a browser key. Keys of before a reload are still there.
    pub fn issued(&self) -> Vec<Counted> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.iter().map(|(word, count)| Counted { word: word.clone(), count: *count }).collect()
    }

    /// Requests turned away, by reason.
    pub fn refused(&self) -> Vec<Counted> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = |word| Counted {
            word: String::from(word),
            count: refused.get(word).copied().unwrap_or_default(),
        };
        Refusal::WORDS.into_iter().map(counted).collect()
    }

    /// Takes a request of this address into its bucket.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let Some(rate) = self.rules().rate else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(address, rate, now).map_err(|wait| self.refuse(Refusal::TooOften(wait)))
    }

    /// Lets in who shows a key of ours.
    pub(crate) fn admit(
        &self,
        presented: Option<&Presented>,
        page: Page<'_>,
        address: IpAddr,
        now: Instant,
    ) -> Result<Grant, Refusal> {
        self.judge(presented, page, address, now).map_err(|refusal| self.refuse(refusal))
    }

    /// A refusal that is found out later.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(refusal.word()).or_default() += 1;
        refusal
    }

    /// Counts a credential.
    pub(crate) fn count(&self, grant: &Grant) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        *issued.entry(grant.name.clone()).or_default() += 1;
    }

    /// Whether pages of this origin have a key.
    pub(crate) fn knows_origin(&self, origin: &str) -> bool {
        self.rules().browser.iter().any(|(_, grant)| grant.is_for(origin))
    }

    fn judge(
        &self,
        presented: Option<&Presented>,
        page: Page<'_>,
        address: IpAddr,
        now: Instant,
    ) -> Result<Grant, Refusal> {
        let Some(presented) = presented else { return Err(Refusal::NoKey) };
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = guesses.of(presented.by);
        // Before the key is looked at: who is held back learns nothing.
        if let Some(left) = attempts.held_back(address, now) {
            return Err(Refusal::HeldBack(left));
        }
        let rules = self.rules();
        let given: [u8; 32] = Sha256::digest(presented.key.as_bytes()).into();
        let (server, browser) = (find(&rules.server, &given), find(&rules.browser, &given));
        let server = server.filter(|grant| presented.id.as_ref().is_none_or(|id| *id == grant.id));
        if let Some(grant) = server {
            return match page {
                Page::None => Ok(grant.grant(&rules)),
                // Whoever can read the page has the key: nothing is handed out to it.
                Page::Of(_) | Page::Unclear => Err(Refusal::ServerKeyInPage),
            };
        }
        if let Some(grant) = browser {
            // [H23] Whoever reads the page's key can use it on that page alone.
            return match page {
                _ if presented.id.is_some() => Err(Refusal::NeedsServerKey),
                Page::None => Err(Refusal::NoOrigin),
                Page::Of(origin) if grant.is_for(origin) => {
                    Ok(grant.grant(&rules, &self.visitor(address)))
                }
                Page::Of(_) | Page::Unclear => Err(Refusal::ForeignOrigin),
            };
        }
        if attempts.fail(address, now) {
            warn!("credentials: ten wrong keys from one address; it is held back for a minute");
        }
        Err(Refusal::WrongKey)
    }

    /// A name for whoever is at this address, so that quotas hold for each
    /// visitor. It tells the address to nobody and ends with the process.
    fn visitor(&self, address: IpAddr) -> String {
        let mut hash = Sha256::new().chain_update(self.salt);
        match prefix(address) {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Every entry is compared, all of each.
fn find<'r, G>(entries: &'r [([u8; 32], G)], given: &[u8; 32]) -> Option<&'r G> {
    entries.iter().fold(
        None,
        |found, (digest, grant)| {
            if bool::from(digest.ct_eq(given)) { Some(grant) } else { found }
        },
    )
}

impl Rules {
    fn of(settings: &CredentialSettings) -> Self {
        let digest = |key: &str| -> [u8; 32] { Sha256::digest(key.as_bytes()).into() };
        let server = settings.server_keys.iter().map(|key| {
            let grant = ServerGrant {
                id: key.id.clone(),
                tenant: key.tenant.clone(),
                realm: key.realm.clone(),
            };
            (digest(&key.key), grant)
        });
        let browser = settings.browser_keys.iter().map(|key| {
            let plain = |origin: &String| origin.trim_end_matches('/').to_ascii_lowercase();
            let grant = BrowserGrant {
                origins: key.origins.iter().map(plain).collect(),
                user: key.user.clone().unwrap_or_else(|| "web".to_owned()),
                ttl: key.ttl,
                tenant: key.tenant.clone(),
                realm: key.realm.clone(),
            };
            (digest(&key.key), grant)
        });
        Self {
            server: server.collect(),
            browser: browser.collect(),
            ttl: settings.ttl,
            max_ttl: settings.max_ttl,
            rate: settings.rate,
        }
    }
}

impl ServerGrant {
    fn grant(&self, rules: &Rules) -> Grant {
        Grant {
            name: self.id.clone(),
            realm: self.realm.clone(),
            tenant: self.tenant.clone(),
            choice: Choice::Free { ttl: rules.ttl.min(rules.max_ttl), max_ttl: rules.max_ttl },
        }
    }
}

impl BrowserGrant {
    fn name(&self) -> String {
        format!("browser:{}", self.user)
    }

    /// An origin is compared as browsers write it (RFC 6454 section 6.2): all of it.
    fn is_for(&self, origin: &str) -> bool {
        self.origins.iter().any(|entry| entry == "*" || entry == origin)
    }

    fn grant(&self, rules: &Rules, visitor: &str) -> Grant {
        Grant {
            name: self.name(),
            realm: self.realm.clone(),
            tenant: self.tenant.clone(),
            choice: Choice::Fixed {
                user: format!("{}-{visitor}", self.user),
                ttl: self.ttl.unwrap_or(rules.ttl).min(rules.max_ttl),
            },
        }
    }
}

impl Guesses {
    fn of(&mut self, by: By) -> &mut Attempts {
        match by {
            By::Authorization => &mut self.authorization,
            By::ApiKey => &mut self.api_key,
        }
    }
}

impl Refusal {
    const WORDS: [&str; 8] = [
        "rate",
        "held_back",
        "no_key",
        "wrong_key",
        "no_origin",
        "foreign_origin",
        "server_key_in_page",
        "browser_key",
    ];

    const fn word(self) -> &'static str {
        let [rate, held_back, no_key, wrong_key, no_origin, foreign_origin, in_page, browser] =
            Self::WORDS;
        match self {
            Self::TooOften(_) => rate,
            Self::HeldBack(_) => held_back,
            Self::NoKey => no_key,
            Self::WrongKey => wrong_key,
            Self::NoOrigin => no_origin,
            Self::ForeignOrigin => foreign_origin,
            Self::ServerKeyInPage => in_page,
            Self::NeedsServerKey => browser,
        }
    }
}

impl fmt::Debug for CredentialKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules();
        f.debug_struct("CredentialKeys")
            .field("server_keys", &rules.server.len())
            .field("browser_keys", &rules.browser.len())
            .finish_non_exhaustive()
    }
}
