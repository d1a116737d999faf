//! The bounds of a resolver.

use std::time::Duration;

/// The bounds of a resolver. The defaults are meant for production; tests choose their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// From the first question to the answer, all stores together.
    pub deadline: Duration,
    /// Names that the stores are asked for at the same time. A quarter is kept for names that
    /// were found before, so that a flood of invented names does not shut them out.
    pub asked_at_once: usize,
    /// Names that wait to be asked for; the same quarter.
    pub waiting: usize,
    /// Questions without an answer yet, several for one name included.
    pub callers: usize,
    /// How long a found user is served from memory.
    pub found_for: Duration,
    /// How long an unknown name stays unknown.
    pub unknown_for: Duration,
    /// Found users in memory, and as many unknown names.
    pub cached: usize,
    /// How long a name counts as found before.
    pub remembered_for: Duration,
    /// Between two readings of a store's catalogue; a fifth more or less, at random.
    pub poll_every: Duration,
    /// How long one reading may take.
    pub poll_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(800),
            asked_at_once: 64,
            waiting: 1024,
            callers: 65_536,
            found_for: Duration::from_secs(10),
            unknown_for: Duration::from_secs(5),
            cached: 10_000,
            remembered_for: Duration::from_secs(3600),
            poll_every: Duration::from_secs(5),
            poll_within: Duration::from_secs(4),
        }
    }
}
