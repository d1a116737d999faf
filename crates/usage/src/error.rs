//! What can go wrong with the usage database.

use std::path::PathBuf;

/// Why usage is not recorded or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The file cannot be used; nothing was changed in it.
    #[error(
        "usage.path: {} cannot be used: {reason}\n  = help: {help}",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite says.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// No thread could be started.
    #[error("usage: no thread for it: {0}")]
    Thread(String),
    /// The database does not answer now; what was counted waits in memory.
    #[error("usage: the database does not answer: {0}")]
    Unavailable(String),
    /// A query took too long.
    #[error("usage: the query took longer than {0} s; ask for fewer days or columns")]
    TooSlow(u64),
    /// The recorder has ended.
    #[error("usage: the recorder has ended")]
    Ended,
}

impl From<sqlx::Error> for UsageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
