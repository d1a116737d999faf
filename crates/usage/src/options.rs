//! What can change while a recorder runs.

use std::time::Duration;

use crate::Threshold;

/// How long things are kept, and of what somebody is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the rows of a day are kept; counted in whole days.
    pub keep: Duration,
    /// How long the allocation log is kept.
    pub keep_log: Duration,
    /// Amounts that call a webhook.
    pub thresholds: Vec<Threshold>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: days(400), keep_log: days(30), thresholds: Vec::new() }
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}
