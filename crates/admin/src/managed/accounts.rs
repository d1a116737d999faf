//! Managed credentials: users that an application makes, lists, disables and
//! deletes over the admin doors, kept in a store that the binary knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::control::BoxFuture;

/// Keeps managed credentials. What changes something is run to its end even if
/// whoever asked goes away.
pub trait Accounts: Send + Sync + 'static {
    /// Makes one, with a password of the keeper's choice.
    fn create(&self, new: NewAccount) -> BoxFuture<'_, Result<CreatedAccount, AccountError>>;

    /// Some of them, in the order of their names.
    fn list(&self, filter: AccountFilter) -> BoxFuture<'_, Result<Vec<Account>, AccountError>>;

    /// One of them.
    fn get(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>>;

    /// Nobody may use it from now on, and its live allocations end.
    fn disable(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>>;

    /// It may be used again.
    fn enable(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>>;

    /// It is gone, and its live allocations end.
    fn delete(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>>;

    /// Its password again, with the URLs where it is good.
    fn ice_servers(&self, name: AccountName) -> BoxFuture<'_, Result<AccountIce, AccountError>>;
}

/// Which managed credential is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName {
    /// Its realm; none: the default one.
    pub realm: Option<String>,
    /// Its user name.
    pub username: String,
}

/// A credential to be made: the body of `POST /api/v1/credentials`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// What its maker calls it; usage is counted under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its user name; none: one is made up.
    #[serde(default, alias = "user", skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its realm; none: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// When it ends, in seconds since 1970; none: it does not, unless `ttl` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The same as seconds from now. The doors turn it into `expires_at`: an
    /// implementation sees none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// Limits of its own.
    #[serde(default)]
    pub limits: AccountLimits,
}

/// Limits of one credential; none: those of the realm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountLimits {
    /// Allocations at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u32>,
    /// Payload each direction, in bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// Payload of one allocation each direction, in bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_per_allocation: Option<u64>,
}

/// What everybody at the door may know of a managed credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its user name.
    pub username: String,
    /// Its realm.
    pub realm: String,
    /// What its maker calls it.
    pub label: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// When it ends, in seconds since 1970; none: it does not.
    pub expires_at: Option<u64>,
    /// Nobody may use it.
    pub disabled: bool,
    /// Limits of its own.
    #[serde(default)]
    pub limits: AccountLimits,
}

/// A new one. Its Debug form has no password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedAccount {
    /// What may be asked for later.
    #[serde(flatten)]
    pub account: Account,
    /// Its password.
    pub password: String,
}

/// One that nobody may use any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAccount {
    /// As it was left.
    #[serde(flatten)]
    pub account: Account,
    /// Live allocations that ended with it, on this server.
    pub ended_allocations: u64,
}

/// A credential with the URLs where it is good. Its Debug form has no password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountIce {
    /// What the client sends as its USERNAME.
    pub username: String,
    /// The password.
    pub credential: String,
    /// When it ends, in seconds since 1970; none: it does not.
    pub expires_at: Option<u64>,
    /// `stun:` URLs.
    pub stun: Vec<String>,
    /// `turn:` and `turns:` URLs.
    pub turn: Vec<String>,
}

/// Which managed credentials are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Of this realm; none: the default one.
    pub realm: Option<String>,
    /// With this label; none: with any or no label.
    pub label: Option<String>,
    /// From behind this user name.
    pub after: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// Some of the managed credentials: the answer of `GET /api/v1/credentials`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPage {
    /// In the order of their names.
    pub credentials: Vec<Account>,
    /// The `after` of the next page; none behind the last.
    pub next: Option<String>,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is none of this name.
    #[error("no managed credential has this name in this realm")]
    Unknown,
    /// The name is taken.
    #[error("the realm has a user of this name already")]
    Exists,
    /// There is no such realm.
    #[error("the server has no such realm")]
    NoRealm,
    /// Something asked for cannot be had.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// The store does not answer. Names the store, never a secret.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
}

impl fmt::Debug for CreatedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedAccount").field("account", &self.account).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccountIce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountIce").field("username", &self.username).finish_non_exhaustive()
    }
}
