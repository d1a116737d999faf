//! What was relayed for whom, by day, and the log of allocations.
//!
//! ```text
//! observe (every 5 s) --+                                      +-- usage, log (queries)
//! ended (each end)    --+-> ledger (differences) --5 s--> SQLite
//!                                    |                         |
//!                                    +--> totals --passed--> webhook, once
//! ```
//!
//! A [`Recorder`] has a thread of its own and never lets its caller wait. It counts what is live
//! every few seconds, so that a crash loses only what came since the last look and the last commit.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )
)]

mod database;
mod day;
mod error;
#[cfg(test)]
mod fake_webhook;
mod ledger;
mod log;
mod observed;
mod options;
mod party;
mod query;
mod recorder;
mod threshold;
mod totals;
mod webhook;
mod worker;

pub use day::{Day, NotADay};
pub use error::UsageError;
pub use log::{LogCursor, LogEntry, LogPage, LogQuery, NotACursor};
pub use observed::{AllocationKey, Ended, Live};
pub use options::Options;
pub use party::{Party, Traffic};
pub use query::{By, Filters, NotAColumn, Query, UsageRow, UsageRows};
pub use recorder::Recorder;
pub use threshold::{Per, Period, Threshold};

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
