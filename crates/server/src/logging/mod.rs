//! Logs: where they go, what they may show, and what becomes of an engine's reports.
//!
//! ```text
//! event -> filter (level) -> text or JSON -> before the banner: straight to the Sink
//!                                            afterwards: bounded queue -> thread -> Sink
//! ```
//!
//! A shard must never wait for whoever reads the log, so once the server serves, lines go through
//! the queue and are dropped when it is full. What the start has to say is written at once: nobody
//! waits for it, and it stands above the banner.

mod auth_failures;
mod denied_peers;
mod histogram;
mod logger;
mod observer;
mod redaction;
mod sink;
mod syslog;
mod tally;

pub use denied_peers::PeerHints;
pub use histogram::Histogram;
pub use logger::{Logger, start};
pub use observer::LogObserver;
pub(crate) use observer::transport;
pub use redaction::{Redaction, Shown};
pub use sink::{Sink, SinkError};
pub use tally::{Account, AccountTally, Tally, is_used};
