//! What was used by whom: figures by day, and the log of allocations.

use serde::{Deserialize, Serialize};

use crate::control::BoxFuture;
use crate::day::Day;

/// Knows what was used. Days are those of UTC.
pub trait UsageBook: Send + Sync + 'static {
    /// Sums, one row for each value of [`UsageQuery::by`], in the order of these
    /// values; from behind `offset`, at most `limit`.
    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, UsageError>>;

    /// A page of the allocation log, oldest first.
    fn allocation_log(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, UsageError>>;
}

/// Which sums are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// From this day on.
    pub from: Day,
    /// Up to and with this day; never before `from`.
    pub to: Day,
    /// A row for each value of these; none: one row for everything.
    pub by: Vec<UsageBy>,
    /// Only of these.
    pub of: UsageFilter,
    /// Rows to leave out.
    pub offset: u64,
    /// So many rows at most.
    pub limit: u64,
}

/// By what usage is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// The day of UTC.
    Day,
    /// The realm.
    Realm,
    /// The tenant.
    Tenant,
    /// The user.
    User,
    /// The label of a managed credential, or the tag of a time-limited one.
    Label,
    /// The managed credential.
    Credential,
}

/// Whose usage; none: everybody's. An empty text means those that have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of this realm.
    pub realm: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this user.
    pub user: Option<String>,
    /// With this label.
    pub label: Option<String>,
    /// Of this managed credential.
    pub credential: Option<String>,
}

/// One sum. Of the names, those by which usage was asked are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// As in 2026-11-30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The realm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The tenant; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The label; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The managed credential; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Payload from clients to peers.
    pub up_bytes: u64,
    /// Payload from peers to clients.
    pub down_bytes: u64,
    /// Datagrams from clients to peers.
    pub up_packets: u64,
    /// Datagrams from peers to clients.
    pub down_packets: u64,
    /// Allocations that began.
    pub allocations: u64,
    /// How long allocations have lived, together.
    pub seconds: u64,
}

/// Some of the sums: the answer of `GET /api/v1/usage`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRows {
    /// From this day on.
    pub from: String,
    /// Up to and with this day.
    pub to: String,
    /// The sums.
    pub rows: Vec<UsageRow>,
    /// The `offset` of the next page; none behind the last.
    pub next: Option<u64>,
}

/// Which part of the allocation log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Allocations that ended on this day or later.
    pub from: Day,
    /// Up to and with this day; never before `from`.
    pub to: Day,
    /// From behind this place: [`LogPage::next`] of the page before, which only the
    /// book can read.
    pub after: Option<String>,
    /// So many lines at most.
    pub limit: u64,
}

/// Some lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// One JSON object each, without the end of the line.
    pub lines: Vec<String>,
    /// Where the next page begins, in 64 bytes at most; none behind the last.
    pub next: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The book cannot be read.
    #[error("usage cannot be read: {0}")]
    Unavailable(String),
}

impl UsageBy {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Day, Self::Realm, Self::Tenant, Self::User, Self::Label, Self::Credential];

    /// As queries spell it.
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

    /// Reads one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }
}
