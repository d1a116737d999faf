//! The allocation log: one entry for each allocation that ended.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{Day, Party, Traffic};

/// An allocation that ended, as the log keeps it and as its JSON lines show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// Its name in the server's logs: unique while one process ran.
    pub allocation: String,
    /// For whom.
    #[serde(flatten)]
    pub party: Party,
    /// Unix seconds.
    pub started_at: u64,
    /// Unix seconds.
    pub ended_at: u64,
    /// How long it lived.
    pub seconds: u64,
    /// Why it ended.
    pub reason: String,
    /// The client's transport address.
    pub client: String,
    /// How the client came: udp, tcp, tls or dtls.
    pub transport: String,
    /// Its relayed transport addresses.
    pub relayed: Vec<String>,
    /// Addresses of its peers, as far as they were known.
    pub peers: Vec<String>,
    /// What went through it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// Which part of the log is asked for; by the day of the end.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// The first day.
    pub from: Day,
    /// The last day, included.
    pub to: Day,
    /// Behind this entry; nothing: from the first one.
    pub after: Option<LogCursor>,
    /// Entries at most; never more than [`LogPage::MOST`].
    pub most: usize,
}

/// Some of the log, by the time of the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// Where the next page begins; nothing: there is none.
    pub next: Option<LogCursor>,
}

/// A place in the log; as text `ENDED-SEQUENCE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    pub(crate) ended_at: i64,
    pub(crate) sequence: i64,
}

/// A text that is no place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the allocation log; give the one of the page before, as 1795348800-42")]
pub struct NotACursor;

impl LogPage {
    /// Entries of a page at most.
    pub const MOST: usize = 1_000;
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ended_at, self.sequence)
    }
}

impl FromStr for LogCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or(NotACursor)
        };
        let (ended_at, sequence) = text.split_once('-').ok_or(NotACursor)?;
        Ok(Self { ended_at: number(ended_at)?, sequence: number(sequence)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_travels_as_text() {
        let cursor = LogCursor { ended_at: 1_795_348_800, sequence: 42 };
        assert_eq!(cursor.to_string(), "1795348800-42");
        assert_eq!("1795348800-42".parse(), Ok(cursor));
        for wrong in ["", "-", "1", "1-", "-1-2", "1--2", "+1-2", "1-2-3", "1-99999999999999999999"]
        {
            assert_eq!(wrong.parse::<LogCursor>(), Err(NotACursor), "{wrong}");
        }
    }
}
