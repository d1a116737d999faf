//! At most four connections to a database, none of which is waited for for long.
//!
//! ```text
//!   lease --> idle connection ----+--> statement --> answered: back to the idle ones
//!        \--> connecting, <= 5 s -+             \--> failed, late, dropped: thrown away
//! ```
//!
//! Invariants:
//! - a connection is kept only when its last statement was answered: one that hangs, since its
//!   server is stopped or a firewall has forgotten it, is never handed out again;
//! - connecting goes on when nobody waits for it any more, so that a handshake slower than a
//!   look-up may be still serves the next one;
//! - a permit is held for as long as a connection, or the thread of a hanging SQLite file, exists
//!   outside the idle ones: both are bounded whatever hangs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Row, Value};
use super::dialect::Dialect;
use super::failure::Failure;
use super::target::Target;

const MOST_CONNECTIONS: usize = 4;
/// Name, TCP, TLS and authentication together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Firewalls and servers forget connections that are idle for longer.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// Connections to one database.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    permits: Arc<Semaphore>,
    idle: Idle,
}

#[derive(Debug, Clone, Default)]
struct Idle(Arc<Mutex<Vec<Resting>>>);

#[derive(Debug)]
struct Resting {
    connection: Connection,
    since: Instant,
    file: Option<FileId>,
}

/// Device and inode: a file that was replaced is another one, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

/// A connection in use.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    held: Held,
    /// It may have died at rest: its first statement may be tried again on another one.
    is_unproven: bool,
}

#[derive(Debug)]
struct Held {
    /// Nothing only while it is exchanged or dropped.
    connection: Option<Connection>,
    file: Option<FileId>,
    /// A statement has been sent and not been answered.
    is_asked: bool,
    /// Before the permit, so that the idle ones and those in use are never too many.
    idle: Idle,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        Self { target, permits, idle: Idle::default() }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// A connection, an idle one where there is one. The caller sets the time.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Failure> {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(Failure::Driver(sqlx::Error::PoolClosed));
        };
        let (permit, file) = self.look(permit).await?;
        if let Some(resting) = self.idle.take(file) {
            let held = Held {
                connection: Some(resting.connection),
                file,
                is_asked: false,
                idle: self.idle.clone(),
                permit: Some(permit),
            };
            return Ok(Lease { pool: self, held, is_unproven: true });
        }
        let held = self.connect(permit, file).await?;
        Ok(Lease { pool: self, held, is_unproven: false })
    }

    /// Which file the database is at this time. Looking may hang as long as a network's file
    /// system does, and holds the permit for as long.
    async fn look(
        &self,
        permit: OwnedSemaphorePermit,
    ) -> Result<(OwnedSemaphorePermit, Option<FileId>), Failure> {
        let Some(path) = self.target.file().map(ToOwned::to_owned) else {
            return Ok((permit, None));
        };
        let seen = tokio::task::spawn_blocking(move || {
            let seen = fs::metadata(&path);
            (permit, seen.map_err(|error| Failure::File(path, error)))
        });
        let Ok((permit, seen)) = seen.await else {
            return Err(Failure::Driver(sqlx::Error::WorkerCrashed));
        };
        seen.map(|seen| (permit, Some(FileId(seen.dev(), seen.ino()))))
    }

    async fn connect(
        &self,
        permit: OwnedSemaphorePermit,
        file: Option<FileId>,
    ) -> Result<Held, Failure> {
        let (target, idle) = (self.target.clone(), self.idle.clone());
        let (give, take) = oneshot::channel();
        tokio::spawn(async move {
            let connected = if target.file().is_some() {
                // Its thread cannot be stopped, so it is waited for.
                target.connect().await.map_err(Failure::Driver)
            } else {
                match timeout(CONNECT_LIMIT, target.connect()).await {
                    Ok(connected) => connected.map_err(Failure::Driver),
                    Err(_) => Err(Failure::Late(CONNECT_LIMIT)),
                }
            };
            // Where nobody waits any more, the connection goes to the idle ones when it is dropped.
            let _ = give.send(connected.map(|connection| Held {
                connection: Some(connection),
                file,
                is_asked: false,
                idle,
                permit: Some(permit),
            }));
        });
        take.await.unwrap_or(Err(Failure::Driver(sqlx::Error::WorkerCrashed)))
    }
}

impl Lease<'_> {
    pub(super) fn dialect(&self) -> Dialect {
        self.held.connection.as_ref().map_or(Dialect::Sqlite, Connection::dialect)
    }

    /// The rows of a statement with `?` for its values.
    pub(super) async fn rows(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let text = self.dialect().statement(statement);
        let was_unproven = std::mem::take(&mut self.is_unproven);
        match self.held.rows(text.clone(), values).await {
            Err(error) if was_unproven && is_lost(&error) => {
                // The others have rested on the same server.
                self.pool.idle.clear();
                self.reconnect().await?;
                Ok(self.held.rows(text, values).await?)
            }
            answered => Ok(answered?),
        }
    }

    /// How many rows a statement has changed.
    pub(super) async fn execute(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        let text = self.dialect().statement(statement);
        self.prove().await?;
        Ok(self.held.execute(text, values).await?)
    }

    /// Adds a row or changes what is behind the first `keys` columns of it.
    pub(super) async fn upsert(
        &mut self,
        table: &str,
        columns: &[&str],
        keys: usize,
        values: &[Value<'_>],
    ) -> Result<(), Failure> {
        let text = self.dialect().upsert(table, columns, keys);
        self.prove().await?;
        self.held.execute(text.into(), values).await?;
        Ok(())
    }

    /// Runs a statement of the schema.
    pub(super) async fn define(&mut self, text: String) -> Result<(), Failure> {
        self.prove().await?;
        self.held.execute(text.into(), &[]).await?;
        Ok(())
    }

    /// What changes something is sent once: whether a connection that has rested is alive is found
    /// out before.
    async fn prove(&mut self) -> Result<(), Failure> {
        if self.is_unproven {
            self.rows("SELECT 1", &[]).await?;
        }
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Failure> {
        let Some(permit) = self.held.permit.take() else {
            return Err(Failure::Driver(sqlx::Error::PoolClosed));
        };
        self.held.connection = None;
        self.held = self.pool.connect(permit, self.held.file).await?;
        Ok(())
    }
}

impl Held {
    async fn rows(
        &mut self,
        text: std::borrow::Cow<'static, str>,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<Row>> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        self.is_asked = true;
        let rows = connection.rows(text, values).await?;
        self.is_asked = false;
        Ok(rows)
    }

    async fn execute(
        &mut self,
        text: std::borrow::Cow<'static, str>,
        values: &[Value<'_>],
    ) -> sqlx::Result<u64> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        self.is_asked = true;
        let changed = connection.execute(text, values).await?;
        self.is_asked = false;
        Ok(changed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if !self.is_asked {
            self.idle.put(Resting { connection, since: Instant::now(), file: self.file });
            return;
        }
        // A socket is closed at once; a thread ends when its statement does.
        if let (Connection::Sqlite(connection), Ok(runtime)) = (connection, Handle::try_current()) {
            let permit = self.permit.take();
            runtime.spawn(async move {
                let _ = sqlx::Connection::close(connection).await;
                drop(permit);
            });
        }
    }
}

impl Idle {
    /// The connection that was used last, if it is to the same file. The rest is thrown away with
    /// it when it has become too old.
    fn take(&self, file: Option<FileId>) -> Option<Resting> {
        let mut resting = self.lock();
        resting.retain(|one| one.since.elapsed() < IDLE_LIMIT && one.file == file);
        resting.pop()
    }

    fn put(&self, one: Resting) {
        self.lock().push(one);
    }

    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the connection is at fault and another one may do better.
fn is_lost(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        // PostgreSQL: shutdown, crash, cannot connect now; connection exceptions.
        Some(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
                || error
                    .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                    // Shutdown, killed, idle for too long.
                    .is_some_and(|error| matches!(error.number(), 1053 | 1927 | 4031))
        }
        None => matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::WorkerCrashed
        ),
    }
}
