//! The SQLite file: rows of days, the allocation log, and which thresholds were passed.
//!
//! Everything is added to what is there, so two processes that share the file for a while (one
//! drains, its successor runs) both count.

mod crossings;
mod read;
mod schema;
mod write;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use crate::UsageError;

/// How long a statement waits for somebody else's write.
const BUSY: Duration = Duration::from_secs(2);

/// How long somebody waits for a connection; a long query may hold one.
const ACQUIRE: Duration = Duration::from_secs(30);

/// One writes, the others read.
const CONNECTIONS: u32 = 3;

/// An open database. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
}

impl Database {
    /// Opens the file, or one in memory.
    ///
    /// # Errors
    /// [`UsageError::Open`]; the file is left as it is.
    pub(crate) async fn open(path: Option<&Path>) -> Result<Self, UsageError> {
        let Some(path) = path else {
            let options: SqliteConnectOptions = "sqlite::memory:".parse()?;
            // The database is its only connection.
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options.disable_statement_logging())
                .await?;
            schema::prepare(&pool).await?;
            return Ok(Self { pool });
        };
        create(path).map_err(|error| UsageError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
            help: help_of(&error),
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(BUSY)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE);
        let opened = async {
            let pool = pool.connect_with(options).await?;
            schema::prepare(&pool).await?;
            Ok::<_, UsageError>(Self { pool })
        };
        opened.await.map_err(|error| UsageError::Open {
            path: path.to_owned(),
            reason: match error {
                UsageError::Unavailable(reason) => reason,
                UsageError::Open { .. }
                | UsageError::Thread(_)
                | UsageError::TooSlow(_)
                | UsageError::Ended => error.to_string(),
            },
            help: "repair it with sqlite3, move it away, or name another file in usage.path",
        })
    }

    /// Writes the log of SQLite into the file and closes it.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes the file, for its owner only, where it is missing.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        // It is not opened here: closing it again would end the locks of SQLite in this process.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn help_of(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        "make the directory and give it to the user of the server, or set usage.path"
    } else {
        "let the user of the server write there, set usage.path to another file, or to \"off\""
    }
}

/// A counter as SQLite keeps it.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A counter as it was kept.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
