//! What the server does for those who ask: the one trait that the binary implements.

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::credentials::Issuer;
use crate::figures::Figures;
use crate::managed::{Accounts, UsageBook};
use crate::status::{AllocationRow, DrainStatus, ReloadReport, Status, Version};

/// A future that is known by what it yields.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The server, as seen from its admin doors. What changes something is run to
/// its end even if whoever asked goes away.
pub trait Control: Send + Sync + 'static {
    /// What serves, and how it is.
    fn status(&self) -> BoxFuture<'_, Status>;

    /// Every live allocation.
    fn allocations(&self) -> BoxFuture<'_, Vec<AllocationRow>>;

    /// Ends one allocation.
    fn end_allocation(&self, id: String) -> BoxFuture<'_, Ended>;

    /// Begins to drain, or tells how it goes where that has begun.
    fn drain(&self) -> BoxFuture<'_, DrainStatus>;

    /// Reads the configuration again and applies all of it.
    ///
    /// # Errors
    /// Every mistake that was found; nothing has changed then.
    fn reload(&self) -> BoxFuture<'_, Result<ReloadReport, Vec<String>>>;

    /// Everything that the metrics show.
    fn metrics(&self) -> BoxFuture<'_, Figures>;

    /// Whether new clients should be sent here: listening and not draining.
    fn is_ready(&self) -> bool;

    /// Why it is not ready; asked for only then.
    fn not_ready_because(&self) -> &'static str {
        "draining"
    }

    /// Whether every shard still turns.
    fn is_alive(&self) -> bool;

    /// What runs.
    fn version(&self) -> Version;

    /// Who keeps managed credentials; none where no store can be written.
    fn accounts(&self) -> Option<Arc<dyn Accounts>> {
        None
    }

    /// Who knows what was used; none where `usage.path` is off.
    fn usage(&self) -> Option<Arc<dyn UsageBook>> {
        None
    }

    /// Who makes time-limited credentials; none where nobody can.
    fn issuer(&self) -> Option<Arc<dyn Issuer>> {
        None
    }
}

/// What came of the wish to end an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It has ended.
    Done,
    /// No live allocation has this id.
    Unknown,
    /// The text is no id.
    NotAnId,
}
