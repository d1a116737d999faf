//! Questions for usage and their answers.

use std::str::FromStr;

use serde::Serialize;

use crate::{Day, Traffic};

/// Which usage is asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The first day.
    pub from: Day,
    /// The last day, included.
    pub to: Day,
    /// What gets a row of its own; nothing: one row for all.
    pub by: Vec<By>,
    /// Only what is equal in these.
    pub filters: Filters,
    /// Rows to leave out: those of the pages before.
    pub offset: u64,
    /// Rows at most; never more than [`UsageRows::MOST`].
    pub most: usize,
}

/// What has to be equal; an empty text: only rows that have none.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// The realm.
    pub realm: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The label.
    pub label: Option<String>,
    /// The managed credential.
    pub credential: Option<String>,
}

/// What usage is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The day.
    Day,
    /// The realm.
    Realm,
    /// The tenant.
    Tenant,
    /// The user.
    User,
    /// The label.
    Label,
    /// The managed credential.
    Credential,
}

/// A text that is no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("usage is grouped by day, realm, tenant, user, label or credential")]
pub struct NotAColumn;

/// What one group amounts to. A column is there where it was asked for and has a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UsageRow {
    /// The day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// The realm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The managed credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What was relayed.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Allocations that were made.
    pub allocations: u64,
    /// Seconds that allocations lived.
    pub seconds: u64,
}

/// The answer to a [`Query`], sorted by its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UsageRows {
    /// At most [`UsageRows::MOST`].
    pub rows: Vec<UsageRow>,
    /// There are more behind them.
    pub is_truncated: bool,
}

impl UsageRows {
    /// Rows of an answer at most.
    pub const MOST: usize = 100_000;
}

impl By {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Day, Self::Realm, Self::Tenant, Self::User, Self::Label, Self::Credential];

    /// Its name, in queries and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Realm => "realm",
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Label => "label",
            Self::Credential => "credential",
        }
    }
}

impl FromStr for By {
    type Err = NotAColumn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or(NotAColumn)
    }
}

impl Filters {
    /// Those that are given, with their columns.
    pub(crate) fn given(self) -> impl Iterator<Item = (By, String)> {
        [
            (By::Realm, self.realm),
            (By::Tenant, self.tenant),
            (By::User, self.user),
            (By::Label, self.label),
            (By::Credential, self.credential),
        ]
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)))
    }
}
