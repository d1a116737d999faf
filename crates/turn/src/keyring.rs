//! Who may allocate: static users and shared secrets of a realm, and whether credential stores
//! know others.
//!
//! RFC 8489 section 9.2 (long-term credentials) and the TURN REST convention
//! (time-limited names, password = base64(HMAC-SHA1(secret, name))). Keys are
//! kept, passwords are not `[A17]`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use turn_credentials::{
    CLOCK_SKEW_GRACE, KeyAlgorithm, LongTermKey, TimeLimitedName, UnixSeconds, prepare,
    shared_secret_password, userhash,
};

use crate::auth_failure::AuthFailure;
use crate::found_user::{FoundUser, Marks, UserLimits};
use crate::id::TenantId;

/// The credentials of a realm.
#[derive(Clone, Default)]
pub struct Keyring {
    users: HashMap<Box<str>, UserKeys>,
    by_hash: HashMap<[u8; 32], Box<str>>,
    secrets: Vec<SharedSecret>,
    stores: Option<Stores>,
    rules: TimeLimitedRules,
}

/// There are credential stores, which the host asks for whom nobody here knows.
#[derive(Debug, Clone, Copy)]
struct Stores {
    /// The operator's word that every user of theirs has a SHA-256 key.
    have_sha256: bool,
}

/// How time-limited credentials are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimitedRules {
    /// Stands between expiry and userid; coturn's `rest-api-separator`.
    pub separator: char,
    /// Longest time to live that is accepted, in seconds.
    pub max_ttl: Option<u64>,
    /// An allocation ends with its credential.
    pub strict_expiry: bool,
}

impl Default for TimeLimitedRules {
    fn default() -> Self {
        Self { separator: ':', max_ttl: None, strict_expiry: false }
    }
}

/// The keys of a static user, one for each algorithm that is known for it.
#[derive(Debug, Clone)]
struct UserKeys {
    md5: Option<LongTermKey>,
    sha256: Option<LongTermKey>,
}

/// What time-limited credentials are made with.
#[derive(Clone)]
struct SharedSecret {
    secret: Box<[u8]>,
    tenant: Option<TenantId>,
}

/// A static user's credential as it is written in the configuration.
#[derive(Clone)]
pub enum UserSecret<'a> {
    /// A password: yields both keys.
    Password(&'a str),
    /// A key: serves its own algorithm only.
    Key(LongTermKey),
}

/// A candidate for a name: its key, and what the name says.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) key: LongTermKey,
    /// Whose quota the allocation counts toward.
    pub(crate) userid: UserId,
    pub(crate) tenant: Option<TenantId>,
    /// When the credential ends, for `strict_expiry`.
    pub(crate) expiry: Option<UnixSeconds>,
    /// What a credential store has for this user alone.
    pub(crate) limits: UserLimits,
    pub(crate) marks: Option<Arc<Marks>>,
}

/// The keys that could belong to a name.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// In the order to try them; empty for a stranger, so that whoever judges must take care to
    /// spend the same time `[H25]`.
    pub(crate) keys: Vec<Candidate>,
    /// Why the name does not pass where none of the keys fits.
    pub(crate) otherwise: AuthFailure,
    /// Nobody here knows the name, and a credential store may: as it is asked for there.
    pub(crate) ask: Option<Box<str>>,
}

/// The user behind a name, for quotas `[H27]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum UserId {
    /// A name of the configuration.
    Static(Box<str>),
    /// The userid of a time-limited name, without its expiry.
    TimeLimited(Box<str>),
    /// Time-limited names without a userid, all together.
    Bare,
    /// Everybody, where no credentials are asked for.
    Anonymous,
}

impl Keyring {
    /// An empty keyring: nobody may allocate.
    pub fn new(rules: TimeLimitedRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Adds a static user of `realm`; a name that OpaqueString refuses is
    /// given back as an error.
    ///
    /// # Errors
    /// The name or the password holds characters that RFC 8265 forbids.
    pub fn add_user(
        &mut self,
        realm: &str,
        name: &str,
        secret: &UserSecret<'_>,
    ) -> Result<(), turn_credentials::PrepareError> {
        let name = prepare(name)?;
        let keys = match secret {
            // [A17] The password becomes keys and is kept nowhere.
            UserSecret::Password(password) => {
                let password = prepare(password)?;
                UserKeys {
                    md5: Some(LongTermKey::md5(&name, realm, &password)),
                    sha256: Some(LongTermKey::sha256(&name, realm, &password)),
                }
            }
            UserSecret::Key(key) => match key.algorithm() {
                KeyAlgorithm::Md5 => UserKeys { md5: Some(key.clone()), sha256: None },
                KeyAlgorithm::Sha256 => UserKeys { md5: None, sha256: Some(key.clone()) },
            },
        };
        self.by_hash.insert(userhash(&name, realm), name.as_ref().into());
        self.users.insert(name.as_ref().into(), keys);
        Ok(())
    }

    /// Adds a shared secret; each is tried in turn, so that secrets rotate. Whoever proves to be
    /// made with it is of `tenant`.
    pub fn add_secret(&mut self, secret: &[u8], tenant: Option<TenantId>) {
        self.secrets.push(SharedSecret { secret: secret.into(), tenant });
    }

    /// Has the host asked for names that nobody here knows; `sha256` is the operator's word that
    /// every user of the stores has a SHA-256 key.
    pub fn ask_stores(&mut self, sha256: bool) {
        self.stores = Some(Stores { have_sha256: sha256 });
    }

    /// Whether the host is asked for names that nobody here knows.
    pub const fn asks_stores(&self) -> bool {
        self.stores.is_some()
    }

    /// Whether nobody at all may allocate.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.secrets.is_empty() && self.stores.is_none()
    }

    /// RFC 8489 SHA-256 keys are offered only where every credential has one.
    pub(crate) fn offers_sha256(&self) -> bool {
        // [A10b]
        !self.is_empty()
            && self.users.values().all(|keys| keys.sha256.is_some())
            && self.stores.is_none_or(|stores| stores.have_sha256)
    }

    /// USERHASH is offered only where each user can be found by it: not with
    /// secrets or stores, whose names nobody knows in advance; and only beside SHA-256, so
    /// that the cookie never makes a challenge longer on its own `[H10]`.
    pub(crate) fn offers_userhash(&self) -> bool {
        // [A13]
        self.offers_sha256() && self.secrets.is_empty() && self.stores.is_none()
    }

    /// The name behind a USERHASH.
    pub(crate) fn name_of(&self, hash: &[u8; 32]) -> Option<&str> {
        self.by_hash.get(hash).map(AsRef::as_ref)
    }

    /// The keys that could belong to this name.
    pub(crate) fn candidates(
        &self,
        name: &str,
        realm: &str,
        algorithm: KeyAlgorithm,
        now: UnixSeconds,
    ) -> Candidates {
        // [A14] Control characters are refused, NUL ends nothing.
        let Ok(prepared) = prepare(name) else { return Candidates::NOBODY };
        if let Some(keys) = self.users.get(prepared.as_ref()) {
            let key = match algorithm {
                KeyAlgorithm::Md5 => keys.md5.clone(),
                KeyAlgorithm::Sha256 => keys.sha256.clone(),
            };
            let userid = UserId::Static(prepared.as_ref().into());
            let keys = key.into_iter().map(|key| Candidate::new(key, userid.clone(), None));
            let keys = keys.collect();
            return Candidates { keys, ..Candidates::none(AuthFailure::WrongPassword) };
        }
        let mut candidates = self.time_limited(name, realm, algorithm, now);
        if self.stores.is_some() && !self.is_of_secrets(name) {
            candidates.ask = Some(prepared.as_ref().into());
        }
        candidates
    }

    /// The keys of a user of a credential store.
    pub(crate) fn candidates_of(
        user: &FoundUser,
        prepared: &str,
        algorithm: KeyAlgorithm,
        now: UnixSeconds,
    ) -> Candidates {
        if user.expiry.is_some_and(|expiry| expiry <= now) {
            return Candidates::none(AuthFailure::Expired);
        }
        let candidate = user.key(algorithm).map(|key| Candidate {
            expiry: user.expiry,
            limits: user.limits,
            marks: user.marks.clone(),
            ..Candidate::new(key.clone(), UserId::Static(prepared.into()), None)
        });
        let keys = candidate.into_iter().collect();
        Candidates { keys, ..Candidates::none(AuthFailure::WrongPassword) }
    }

    /// Whether `strict_expiry` ends what this credential made.
    pub(crate) fn has_ended(&self, expiry: Option<UnixSeconds>, now: UnixSeconds) -> bool {
        self.rules.strict_expiry && self.seconds_left(expiry, now) == Some(0)
    }

    /// Seconds that `strict_expiry` leaves a credential, grace included.
    pub(crate) fn seconds_left(
        &self,
        expiry: Option<UnixSeconds>,
        now: UnixSeconds,
    ) -> Option<u64> {
        if !self.rules.strict_expiry {
            return None;
        }
        expiry.map(|expiry| expiry.0.saturating_add(CLOCK_SKEW_GRACE).saturating_sub(now.0))
    }

    /// Whether a name is a time-limited one, which no store is asked for: it begins or ends with a
    /// time of this age. Another number, as of a telephone, may be anybody's name.
    fn is_of_secrets(&self, name: &str) -> bool {
        let is_time = |limited: TimeLimitedName<'_>| TIMES.contains(&limited.expiry.0);
        !self.secrets.is_empty()
            && TimeLimitedName::parse(name, self.rules.separator).is_some_and(is_time)
    }

    fn time_limited(
        &self,
        name: &str,
        realm: &str,
        algorithm: KeyAlgorithm,
        now: UnixSeconds,
    ) -> Candidates {
        if self.secrets.is_empty() {
            return Candidates::NOBODY;
        }
        let Some(parsed) = TimeLimitedName::parse(name, self.rules.separator) else {
            return Candidates::NOBODY;
        };
        let too_long = self.rules.max_ttl.is_some_and(|most| {
            parsed.expiry.0 > now.0.saturating_add(most).saturating_add(CLOCK_SKEW_GRACE)
        });
        if parsed.is_expired(now) {
            return Candidates::none(AuthFailure::Expired);
        }
        if too_long {
            return Candidates::none(AuthFailure::TooLongLived);
        }
        // [H27]
        let userid =
            parsed.userid.map_or(UserId::Bare, |userid| UserId::TimeLimited(userid.into()));
        let candidate = |SharedSecret { secret, tenant }: &SharedSecret| {
            let password = shared_secret_password(secret, name);
            let key = match algorithm {
                KeyAlgorithm::Md5 => LongTermKey::md5(name, realm, password.as_str()),
                KeyAlgorithm::Sha256 => LongTermKey::sha256(name, realm, password.as_str()),
            };
            let expiry = Some(parsed.expiry);
            Candidate { expiry, ..Candidate::new(key, userid.clone(), *tenant) }
        };
        let keys = self.secrets.iter().map(candidate).collect();
        Candidates { keys, ..Candidates::none(AuthFailure::WrongSecret) }
    }
}

impl Candidates {
    /// No key at all: a stranger.
    pub(crate) const NOBODY: Self = Self::none(AuthFailure::UnknownUser);

    pub(crate) const fn none(otherwise: AuthFailure) -> Self {
        Self { keys: Vec::new(), otherwise, ask: None }
    }
}

impl Candidate {
    const fn new(key: LongTermKey, userid: UserId, tenant: Option<TenantId>) -> Self {
        let limits =
            UserLimits { allocations: None, bandwidth: None, bandwidth_per_allocation: None };
        Self { key, userid, tenant, expiry: None, limits, marks: None }
    }
}

/// Ten digits: from 2001 to 2286.
const TIMES: std::ops::Range<u64> = 1_000_000_000..10_000_000_000;

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("users", &self.users.len())
            .field("secrets", &self.secrets.len())
            .field("stores", &self.stores)
            .field("rules", &self.rules)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const REALM: &str = "example.org";

    fn with_secrets(secrets: &[&str], rules: TimeLimitedRules) -> Keyring {
        let mut keyring = Keyring::new(rules);
        secrets.iter().for_each(|secret| keyring.add_secret(secret.as_bytes(), None));
        keyring
    }

    fn candidates(keyring: &Keyring, name: &str) -> Vec<Candidate> {
        keyring.candidates(name, REALM, KeyAlgorithm::Md5, NOW).keys
    }

    #[test]
    fn a10b_md5_only_user_withdraws_the_sha256_offer() {
        let mut keyring = Keyring::default();
        assert!(!keyring.offers_sha256());
        keyring.add_user(REALM, "ann", &UserSecret::Password("secret")).expect("plain names");
        assert!(keyring.offers_sha256());
        let key = LongTermKey::md5("bob", REALM, "other");
        keyring.add_user(REALM, "bob", &UserSecret::Key(key)).expect("plain names");
        assert!(!keyring.offers_sha256());
    }

    #[test]
    fn a13_userhash_is_offered_only_where_every_name_is_known() {
        let mut keyring = Keyring::default();
        keyring.add_user(REALM, "ann", &UserSecret::Password("secret")).expect("plain names");
        assert!(keyring.offers_userhash());
        assert_eq!(keyring.name_of(&userhash("ann", REALM)), Some("ann"));
        assert_eq!(keyring.name_of(&userhash("bob", REALM)), None);
        keyring.add_secret(b"secret", None);
        assert!(!keyring.offers_userhash());
    }

    #[test]
    fn each_secret_is_a_candidate_so_that_secrets_rotate() {
        let keyring = with_secrets(&["old", "new"], TimeLimitedRules::default());
        assert_eq!(candidates(&keyring, "1800000600:ann").len(), 2);
        assert_eq!(candidates(&keyring, "ann:1800000600").len(), 2);
        assert_eq!(candidates(&keyring, "1800000600").len(), 2);
        assert!(candidates(&keyring, "ann").is_empty());
    }

    #[test]
    fn h27_quota_goes_by_userid_and_not_by_the_whole_name() {
        let keyring = with_secrets(&["one"], TimeLimitedRules::default());
        let userid =
            |name: &str| candidates(&keyring, name).pop().map(|candidate| candidate.userid);
        assert_eq!(userid("1800000600:ann"), userid("1800000700:ann"));
        assert_eq!(userid("1800000600:ann"), Some(UserId::TimeLimited("ann".into())));
        assert_eq!(userid("1800000600"), Some(UserId::Bare));
    }

    #[test]
    fn expired_name_has_a_grace_of_300_seconds_for_clocks_that_differ() {
        let keyring = with_secrets(&["one"], TimeLimitedRules::default());
        assert_eq!(candidates(&keyring, &format!("{}:ann", NOW.0 - 299)).len(), 1);
        assert_eq!(candidates(&keyring, &format!("{}:ann", NOW.0 - 301)).len(), 0);
    }

    #[test]
    fn name_that_lives_too_long_is_refused_where_a_cap_is_set() {
        let rules = TimeLimitedRules { max_ttl: Some(86_400), ..TimeLimitedRules::default() };
        let keyring = with_secrets(&["one"], rules);
        assert_eq!(candidates(&keyring, &format!("{}:ann", NOW.0 + 86_400)).len(), 1);
        assert_eq!(candidates(&keyring, &format!("{}:ann", NOW.0 + 90_000)).len(), 0);
    }

    #[test]
    fn a17_debug_output_holds_no_secret() {
        let mut keyring = with_secrets(&["hunter2"], TimeLimitedRules::default());
        keyring.add_user(REALM, "ann", &UserSecret::Password("hunter3")).expect("plain names");
        let shown = format!("{keyring:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
