//! What a credential store is: whom it knows, and what else it says of a realm.
//!
//! coturn's databases hold five things: keys of users (RFC 8489 section 9.2), shared secrets of
//! time-limited credentials, peer rules, options of realms and which origin leads to which realm.
//! Keys are asked for one by one; the rest is small and read as a whole, again and again: a
//! [`Catalog`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use turn_credentials::LongTermKey;
use zeroize::Zeroizing;

/// What an asynchronous method gives.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where users are kept. Asked by the resolver's thread alone, never on the way of a packet.
pub trait Store: Send + Sync + fmt::Debug {
    /// What logs call it: scheme, host and database, never a password.
    fn name(&self) -> &str;

    /// The user of this realm, if there is one. The caller sets the time and may drop the future.
    ///
    /// [`StoreError::Malformed`] is about this user alone, not about the store.
    fn find<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredUser>, StoreError>>;

    /// Everything that is not asked for one by one.
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog, StoreError>>;

    /// How to write to it; nothing where that is not ours to do (an HTTP callback).
    fn writer(&self) -> Option<&dyn Writer>;
}

/// A user as a store knows it.
#[derive(Clone)]
pub struct StoredUser {
    /// MD5 of user:realm:password.
    pub md5: Option<LongTermKey>,
    /// SHA-256 of the same; coturn's tables have none.
    pub sha256: Option<LongTermKey>,
    /// The credential ends then (Unix seconds); afterwards it is unknown.
    pub expires_at: Option<u64>,
    /// Limits of its own.
    pub limits: StoredLimits,
    /// What usage is counted under, beside the name.
    pub label: Option<String>,
    /// It is a managed credential.
    pub is_managed: bool,
}

/// Limits of one user; nothing: those of the realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredLimits {
    /// Allocations at a time.
    pub allocations: Option<u32>,
    /// Payload each direction, in bytes a second.
    pub bandwidth: Option<u64>,
    /// Payload of one allocation each direction, in bytes a second.
    pub bandwidth_per_allocation: Option<u64>,
}

/// What a store says of realms, and which managed credentials it has switched off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// By the name of the realm. Peers under the empty name hold for every realm, options under it
    /// for the default realm; secrets have no such realm: as coturn reads its tables.
    pub realms: BTreeMap<String, StoredRealm>,
    /// Origins and their realms (coturn's `turn_origin_to_realm`).
    pub origins: BTreeMap<String, String>,
    /// Managed credentials that are disabled or deleted: realm and user name. Their allocations
    /// end on every server that reads this store. At most 10,000, the latest ones.
    pub ended: Vec<(String, String)>,
}

/// A realm as a store has it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoredRealm {
    /// Shared secrets of time-limited credentials.
    pub secrets: Vec<Zeroizing<String>>,
    /// Ranges as they are written: `a-b`, CIDR or one address. coturn allows before it denies.
    pub allowed_peers: Vec<String>,
    /// Ranges that are denied.
    pub denied_peers: Vec<String>,
    /// coturn's `max-bps`: bytes a second of one allocation.
    pub max_bps: Option<u64>,
    /// coturn's `total-quota`: allocations of the realm.
    pub total_quota: Option<u64>,
    /// coturn's `user-quota`: allocations of one user.
    pub user_quota: Option<u64>,
}

/// Why a store could not answer. Texts name the store and never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or does not answer in time.
    #[error("{store}: {reason}")]
    Unavailable {
        /// The store's [`name`](Store::name).
        store: String,
        /// What the driver says.
        reason: String,
    },
    /// Its answer makes no sense: a key that is none, a column that is missing.
    #[error("{store}: {what}")]
    Malformed {
        /// The store's [`name`](Store::name).
        store: String,
        /// What was read, without its value.
        what: String,
    },
    /// The URL cannot be used.
    #[error("auth.stores: {what}\n  = help: {help}")]
    Url {
        /// What is wrong with it; no password.
        what: String,
        /// What to write.
        help: String,
    },
    /// A user or a credential of that name is there already.
    #[error("{store}: {what}")]
    Taken {
        /// The store's [`name`](Store::name).
        store: String,
        /// What is there, without its name.
        what: String,
    },
    /// This store cannot be written by us, or not this.
    #[error("{store}: {what}")]
    ReadOnly {
        /// The store's [`name`](Store::name).
        store: String,
        /// What was asked for.
        what: String,
    },
}

/// Writing to a store: the command line and managed credentials. The server itself only reads.
pub trait Writer: Send + Sync {
    /// Makes the tables that are missing, coturn's own as coturn makes them, and ours.
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Adds a user or replaces its keys.
    fn put_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        keys: &'a Keys,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Whether it was there.
    fn delete_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
    /// Realm and name, sorted; of one realm or of all.
    fn users<'a>(
        &'a self,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreError>>;
    /// Adds a shared secret.
    fn add_secret<'a>(
        &'a self,
        realm: &'a str,
        secret: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Deletes one secret, or all of the realm; how many there were.
    fn delete_secrets<'a>(
        &'a self,
        realm: &'a str,
        secret: Option<&'a str>,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;
    /// Sets `max-bps`, `total-quota` or `user-quota` of a realm; nothing removes it.
    fn set_option<'a>(
        &'a self,
        realm: &'a str,
        option: RealmOption,
        value: Option<u64>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Origin to realm; nothing removes it.
    fn set_origin<'a>(
        &'a self,
        origin: &'a str,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Adds a managed credential; its name must be new, otherwise it is
    /// [`Taken`](StoreError::Taken).
    fn create_credential<'a>(
        &'a self,
        new: &'a NewCredential,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Managed credentials of a realm or all, by name, from behind the name `after`, at most `most`;
    /// a last name that several realms have is listed for all of them.
    fn credentials<'a>(
        &'a self,
        realm: Option<&'a str>,
        after: Option<&'a str>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<ManagedCredential>, StoreError>>;
    /// One managed credential.
    fn credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<ManagedCredential>, StoreError>>;
    /// The password of a managed credential, for its `iceServers`.
    fn password<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Zeroizing<String>>, StoreError>>;
    /// Disables or enables one; whether it is there.
    fn set_disabled<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        is_disabled: bool,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
    /// Deletes one; whether it was there. Its name stays among [`Catalog::ended`] for a day, and is
    /// [`Taken`](StoreError::Taken) for 15 s, until every server has seen the end.
    fn delete_credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// The keys of a user.
#[derive(Clone)]
pub struct Keys {
    /// MD5 of user:realm:password.
    pub md5: LongTermKey,
    /// SHA-256 of the same, kept in a table of our own; used only while coturn's table has this
    /// very MD5 key, since coturn's tools change passwords without knowing of ours.
    pub sha256: Option<LongTermKey>,
}

/// What coturn's `turn_realm_option` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealmOption {
    /// `max-bps`
    MaxBps,
    /// `total-quota`
    TotalQuota,
    /// `user-quota`
    UserQuota,
}

/// A credential to be made.
#[derive(Clone)]
pub struct NewCredential {
    /// What everybody may know of it.
    pub shown: ManagedCredential,
    /// Its keys.
    pub keys: Keys,
    /// Its password, so that its `iceServers` can be asked for again.
    pub password: Zeroizing<String>,
}

/// A managed credential: a user that an application has made through the admin interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedCredential {
    /// Its realm.
    pub realm: String,
    /// Its user name.
    pub user: String,
    /// What its maker calls it.
    pub label: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds; nothing: it does not expire.
    pub expires_at: Option<u64>,
    /// Nobody may use it.
    pub is_disabled: bool,
    /// Limits of its own.
    pub limits: StoredLimits,
}

impl RealmOption {
    /// As coturn writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxBps => "max-bps",
            Self::TotalQuota => "total-quota",
            Self::UserQuota => "user-quota",
        }
    }
}

impl fmt::Debug for StoredUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredUser").field("label", &self.label).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRealm")
            .field("secrets", &self.secrets.len())
            .field("allowed_peers", &self.allowed_peers)
            .field("denied_peers", &self.denied_peers)
            .finish_non_exhaustive()
    }
}
