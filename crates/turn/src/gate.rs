//! The gate: nobody reaches a handler without having proven who they are.
//!
//! RFC 8489 section 9.2.4, receiving a request with long-term credentials. The
//! gate alone makes an [`Authenticated`], and every handler takes one by
//! value. Authentication is judged before anything else in a message `[S3]`.
//!
//! The order of checks: attributes present, nonce, bid-down, user, integrity.
//! The nonce comes early: it is one MAC without any look-up, and what passes it
//! owns its source address. Whom only a credential store can know is judged in two
//! rounds: the first ends before integrity, the second comes with the store's answer
//! and repeats every check.

use std::hash::{BuildHasher, RandomState};

use turn_codec::attribute::{
    Nonce, PasswordAlgorithm, PasswordAlgorithmId, PasswordAlgorithms, Realm, Userhash, Username,
};
use turn_codec::{IntegrityError, Message, StatusCode};
use turn_credentials::{KeyAlgorithm, LongTermKey};

use crate::allocation::{Account, Owner};
use crate::auth_failure::AuthFailure;
use crate::buckets::Purpose;
use crate::found_user::KeyAnswer;
use crate::id::{RealmId, TenantId};
use crate::keyring::{Candidate, Candidates, Keyring, UserId};
use crate::link::{Link, SourcePrefix};
use crate::nonce::{Bearer, Features, NonceVerdict, Nonces};
use crate::rate::Rate;
use crate::reply::{Asked, Integrity, Signer};
use crate::settings::{Limits, Settings};
use crate::shared::Shared;
use crate::time::Now;

/// A request whose sender has proven itself, and how its response is signed.
#[derive(Debug)]
pub(crate) struct Authenticated<'m> {
    message: Message<'m>,
    asked: Asked,
    owner: Owner,
    signer: Signer,
}

/// How far a request has come.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(crate) enum Admission<'m> {
    /// Its sender has proven itself.
    Passed(Authenticated<'m>),
    /// A credential store must say first whose name this is.
    Asks(Box<str>),
}

/// What a request is judged by beside its own bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'e> {
    /// Who made the allocation of its 5-tuple: their stored key serves for as long as the
    /// allocation lives, whatever became of the credential since.
    pub(crate) live: Option<&'e Owner>,
    /// What a credential store has said of its name, if that was asked.
    pub(crate) answer: Option<&'e KeyAnswer>,
}

/// Why a request did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 401: no credentials, the first half of every exchange.
    Challenge,
    /// What it has brought is not good.
    Failed(AuthFailure, Source),
}

/// What is known of the source address of a refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It sent a nonce that only it can have: a reply cannot hit a third party.
    Proven,
    /// It may be spoofed.
    Unproven,
}

/// Judges requests of one shard.
#[derive(Debug)]
pub(crate) struct Gate {
    nonces: Nonces,
    /// Stands in where no key is known, so that a stranger costs the same time
    /// as a user `[H25]`.
    nobody: LongTermKey,
    accounts: RandomState,
}

impl Gate {
    /// `accounts` is the same in every shard, since quotas are shared.
    pub(crate) fn new(nonces: Nonces, accounts: RandomState) -> Self {
        Self { nonces, nobody: LongTermKey::md5("nobody", "", ""), accounts }
    }

    /// Judges a request.
    pub(crate) fn admit<'m>(
        &mut self,
        settings: &Settings,
        shared: &Shared,
        now: Now,
        link: Link,
        message: Message<'m>,
        evidence: Evidence<'_>,
    ) -> Result<Admission<'m>, Refusal> {
        let Evidence { live, answer } = evidence;
        let asked = Asked::of(link, &message);
        // [A20] The realm that the client speaks to, whatever the message names.
        let realm = settings.realm(link.realm);
        // What a user has made stays that user's, though a reload has opened the realm since.
        let is_of_user = live.is_some_and(|owner| owner.key.is_some());
        if realm.anonymous && !realm.is_removed && !is_of_user {
            let signer = Signer { key: None, integrity: Integrity::Sha1 };
            let owner = self.anonymous(link.realm);
            return Ok(Admission::Passed(Authenticated { message, asked, owner, signer }));
        }
        // [A1] RFC 8489 section 9.2.4: no integrity, no USERNAME needed: 401.
        let integrity = match (message.has_integrity_sha256(), message.has_integrity()) {
            // [A12] Both present: SHA-256 decides.
            (true, _) => Integrity::Sha256,
            (false, true) => Integrity::Sha1,
            (false, false) => return Err(Refusal::Challenge),
        };
        let given = Given::read(&message)?;
        match self.nonces.judge(
            given.nonce,
            &realm.name,
            Bearer::of(&link.tuple),
            now.unix,
            settings.nonce_lifetime,
        ) {
            NonceVerdict::Fresh => {}
            NonceVerdict::Aged => {
                return Err(Refusal::Failed(AuthFailure::StaleNonce, Source::Proven));
            }
            NonceVerdict::Foreign => {
                return Err(Refusal::Failed(AuthFailure::StaleNonce, Source::Unproven));
            }
        }
        let algorithm = chosen_algorithm(&message, given.nonce)?;
        let name = match given.name {
            Name::Plain(name) => Some(name),
            Name::Hashed(hash) => realm.keyring.name_of(hash),
        };
        let verify = |key: &LongTermKey| match integrity {
            Integrity::Sha1 => message.verify_integrity(key.as_bytes()),
            Integrity::Sha256 => message.verify_integrity_sha256(key.as_bytes()),
        };
        let pass = |owner: Owner, key: LongTermKey| {
            Ok(Admission::Passed(Authenticated {
                message,
                asked,
                owner,
                signer: Signer { key: Some(key), integrity },
            }))
        };

        // [R16] The maker of a live allocation is known by the key that it was made with.
        let maker = live.filter(|owner| {
            owner.key.is_some()
                && name == Some(&*owner.name)
                && owner.account.realm == link.realm
                && given.realm == &*realm.name
                && !realm.keyring.has_ended(owner.expiry, now.unix)
        });
        if let Some(owner) = maker
            && let Some(key) = &owner.key
            && verify(key).is_ok()
        {
            return pass(owner.clone(), key.clone());
        }
        // [H24]
        if !self.may_try(settings, shared, now, link, name) {
            return Err(Refusal::Failed(AuthFailure::TooManyAttempts, Source::Proven));
        }
        let mut candidates = match name {
            // [A20] The users of a realm are nobody in another.
            Some(name) if given.realm == &*realm.name => {
                realm.keyring.candidates(name, &realm.name, algorithm, now.unix)
            }
            Some(_) => Candidates::none(AuthFailure::WrongRealm),
            None => Candidates::NOBODY,
        };
        let malformed = Refusal::Failed(AuthFailure::Malformed, Source::Proven);
        // [R16] Nobody is asked about the maker of a live allocation.
        if maker.is_some() && candidates.ask.take().is_some() {
            candidates.otherwise = AuthFailure::WrongPassword;
        }
        // A name of digits, as a telephone's, may be of a secret or of a store.
        let is_of_secret = |keys: &[Candidate]| keys.iter().any(|it| verify(&it.key).is_ok());
        if let Some(name) = candidates.ask.take().filter(|_| !is_of_secret(&candidates.keys)) {
            match answer {
                None if self.may_ask(settings, shared, now, link) => {
                    return Ok(Admission::Asks(name));
                }
                None => return Err(Refusal::Failed(AuthFailure::TooManyAttempts, Source::Proven)),
                Some(KeyAnswer::Found(user)) => {
                    candidates = Keyring::candidates_of(user, &name, algorithm, now.unix);
                }
                Some(KeyAnswer::Unknown) => self.note_unknown(settings, shared, now, link),
                Some(KeyAnswer::Unavailable) => {
                    return Err(Refusal::Failed(AuthFailure::StoreUnavailable, Source::Proven));
                }
            }
        }
        // [H25, A4] A stranger costs the same time as a user and gets the same answers.
        if candidates.keys.is_empty() && verify(&self.nobody) == Err(IntegrityError::BadLength) {
            return Err(malformed);
        }
        for candidate in candidates.keys {
            match verify(&candidate.key) {
                Ok(()) => {
                    let key = candidate.key.clone();
                    let name = name.unwrap_or_default();
                    return pass(self.owner(link.realm, name, candidate), key);
                }
                // [A11] RFC 8489 section 14.6: TURN does not truncate.
                Err(IntegrityError::BadLength) => return Err(malformed),
                Err(IntegrityError::Missing | IntegrityError::Mismatch) => {}
            }
        }
        self.note_failure(settings, shared, now, link, name);
        // [A4, A5] Unknown user and bad integrity: the same answer.
        Err(Refusal::Failed(candidates.otherwise, Source::Proven))
    }

    pub(crate) const fn nonces(&mut self) -> &mut Nonces {
        &mut self.nonces
    }

    fn owner(&self, realm: RealmId, name: &str, candidate: Candidate) -> Owner {
        let account = self.account(realm, candidate.tenant, &candidate.userid);
        Owner {
            name: name.into(),
            account,
            key: Some(candidate.key),
            expiry: candidate.expiry,
            limits: candidate.limits.shared(),
            marks: candidate.marks,
        }
    }

    fn anonymous(&self, realm: RealmId) -> Owner {
        Owner {
            name: "".into(),
            account: self.account(realm, None, &UserId::Anonymous),
            key: None,
            expiry: None,
            limits: None,
            marks: None,
        }
    }

    /// The account of a static or stored user.
    pub(crate) fn account_of(&self, realm: RealmId, user: &str) -> Account {
        self.account(realm, None, &UserId::Static(user.into()))
    }

    fn account(&self, realm: RealmId, tenant: Option<TenantId>, userid: &UserId) -> Account {
        Account {
            // [H27] The same userid in another realm, or of another tenant, is another user.
            hash: self.accounts.hash_one((realm, tenant, userid)),
            realm,
            tenant,
            is_time_limited: matches!(userid, UserId::TimeLimited(_)),
        }
    }

    /// Ten failures a minute for a name from a source, then silence: passwords
    /// are not guessed at line rate, and nobody elsewhere is shut out `[H24]`.
    fn may_try(
        &self,
        settings: &Settings,
        shared: &Shared,
        now: Now,
        link: Link,
        name: Option<&str>,
    ) -> bool {
        settings.limits.exempts(link.tuple.client.ip())
            || shared.buckets.has(
                Purpose::FailedAttempts,
                self.attempt(link, name),
                attempts(),
                1,
                now.mono,
            )
    }

    fn note_failure(
        &self,
        settings: &Settings,
        shared: &Shared,
        now: Now,
        link: Link,
        name: Option<&str>,
    ) {
        if !settings.limits.exempts(link.tuple.client.ip()) {
            shared.buckets.take(
                Purpose::FailedAttempts,
                self.attempt(link, name),
                attempts(),
                1,
                now.mono,
            );
        }
    }

    /// A hundred names a minute from a source that no store knows, then silence: random names are
    /// no lever on a database `[H24]`.
    fn may_ask(&self, settings: &Settings, shared: &Shared, now: Now, link: Link) -> bool {
        let (source, rate) = (SourcePrefix::of(link.tuple.client.ip()).bits(), unknown_names());
        settings.limits.exempts(link.tuple.client.ip())
            || shared.buckets.has(Purpose::UnknownNames, source, rate, 1, now.mono)
    }

    fn note_unknown(&self, settings: &Settings, shared: &Shared, now: Now, link: Link) {
        if !settings.limits.exempts(link.tuple.client.ip()) {
            let (source, rate) = (SourcePrefix::of(link.tuple.client.ip()).bits(), unknown_names());
            shared.buckets.take(Purpose::UnknownNames, source, rate, 1, now.mono);
        }
    }

    fn attempt(&self, link: Link, name: Option<&str>) -> u64 {
        self.accounts.hash_one((SourcePrefix::of(link.tuple.client.ip()), link.realm, name))
    }
}

impl<'m> Authenticated<'m> {
    pub(crate) const fn message(&self) -> &Message<'m> {
        &self.message
    }

    pub(crate) const fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(crate) const fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) const fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(crate) const fn link(&self) -> &Link {
        &self.asked.link
    }

    pub(crate) fn into_owner(self) -> (Asked, Owner, Signer) {
        (self.asked, self.owner, self.signer)
    }
}

/// The credentials of a request, as they stand in it.
struct Given<'m> {
    name: Name<'m>,
    realm: &'m str,
    nonce: &'m str,
}

enum Name<'m> {
    Plain(&'m str),
    Hashed(&'m [u8; 32]),
}

impl<'m> Given<'m> {
    /// RFC 8489 section 9.2.4: integrity without USERNAME or USERHASH, REALM or
    /// NONCE: 400 `[A3]`; so is one that is too long `[S13]`.
    fn read(message: &Message<'m>) -> Result<Self, Refusal> {
        // [S13] A text that is too long is an error and is never cut.
        let malformed = Refusal::Failed(AuthFailure::Malformed, Source::Unproven);
        let bad = |_| malformed;
        let plain = message.get::<Username<'m>>().map_err(bad)?.map(|name| Name::Plain(name.0));
        let hashed = message.get::<Userhash<'m>>().map_err(bad)?.map(|hash| Name::Hashed(hash.0));
        let realm = message.get::<Realm<'m>>().map_err(bad)?;
        let nonce = message.get::<Nonce<'m>>().map_err(bad)?;
        // [A3]
        match (plain.or(hashed), realm, nonce) {
            (Some(name), Some(realm), Some(nonce)) => {
                Ok(Self { name, realm: realm.0, nonce: nonce.0 })
            }
            (None, _, _) | (_, None, _) | (_, _, None) => Err(malformed),
        }
    }
}

/// RFC 8489 section 9.2.4, protection against bid-down: with the cookie's bit
/// set, PASSWORD-ALGORITHMS must come back as it was offered and
/// PASSWORD-ALGORITHM must be one of it; neither means MD5 `[A9]`.
fn chosen_algorithm(message: &Message<'_>, nonce: &str) -> Result<KeyAlgorithm, Refusal> {
    if !Features::of(nonce).password_algorithms {
        return Ok(KeyAlgorithm::Md5);
    }
    let bad = Refusal::Failed(AuthFailure::Malformed, Source::Proven);
    let list = message.get::<PasswordAlgorithms<'_>>().map_err(|_| bad)?;
    let choice = message.get::<PasswordAlgorithm<'_>>().map_err(|_| bad)?;
    match (list, choice) {
        (None, None) => Ok(KeyAlgorithm::Md5),
        // "PASSWORD-ALGORITHMS matches the value sent in the response that sent this NONCE";
        // only one list goes with the bit, whatever a reload has changed since.
        (Some(list), Some(choice)) if list == OFFER => match choice.algorithm {
            PasswordAlgorithmId::MD5 => Ok(KeyAlgorithm::Md5),
            PasswordAlgorithmId::SHA256 => Ok(KeyAlgorithm::Sha256),
            PasswordAlgorithmId(_) => Err(bad),
        },
        // [A9]
        (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => Err(bad),
    }
}

/// What PASSWORD-ALGORITHMS offers, where it offers anything.
const OFFER: PasswordAlgorithms<'static> = PasswordAlgorithms::SHA256_MD5;

pub(crate) fn offer(keyring: &Keyring) -> Option<PasswordAlgorithms<'static>> {
    // [A10b]
    keyring.offers_sha256().then_some(OFFER)
}

/// The features that a nonce announces `[A8]`.
pub(crate) fn features(keyring: &Keyring) -> Features {
    Features {
        // [A8]
        password_algorithms: keyring.offers_sha256(),
        username_anonymity: keyring.offers_userhash(),
    }
}

impl Refusal {
    /// The code of the answer; `None`: not even that.
    pub(crate) const fn code(self) -> Option<StatusCode> {
        // [A16] Nothing but these before authentication.
        match self {
            Self::Challenge => Some(StatusCode::UNAUTHENTICATED),
            Self::Failed(failure, _) => match failure {
                AuthFailure::UnknownUser
                | AuthFailure::WrongPassword
                | AuthFailure::WrongSecret
                | AuthFailure::Expired
                | AuthFailure::TooLongLived
                | AuthFailure::WrongRealm => Some(StatusCode::UNAUTHENTICATED),
                AuthFailure::StaleNonce => Some(StatusCode::STALE_NONCE),
                AuthFailure::Malformed => Some(StatusCode::BAD_REQUEST),
                // Nobody has been judged: 401 would have a client throw its credentials away.
                AuthFailure::StoreUnavailable => Some(StatusCode::SERVER_ERROR),
                AuthFailure::TooManyAttempts => None,
            },
        }
    }

    pub(crate) const fn source(self) -> Source {
        match self {
            Self::Challenge => Source::Unproven,
            Self::Failed(_, source) => source,
        }
    }

    pub(crate) const fn failure(self) -> Option<AuthFailure> {
        match self {
            Self::Challenge => None,
            Self::Failed(failure, _) => Some(failure),
        }
    }
}

fn unknown_names() -> Rate {
    Rate::new(Limits::UNKNOWN_NAMES, std::time::Duration::from_secs(60), Limits::UNKNOWN_NAMES)
}

fn attempts() -> Rate {
    Rate::new(Limits::FAILED_ATTEMPTS, std::time::Duration::from_secs(60), Limits::FAILED_ATTEMPTS)
}
