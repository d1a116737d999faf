//! Users in SQLite, PostgreSQL, MySQL and MariaDB: coturn's tables as they are.
//!
//! Reading needs no more than SELECT on coturn's tables. Two tables of ours are read where they
//! are there, and made by the [`Writer`] alone: `turnserver_sha256_key`, the keys of RFC 8489
//! that coturn does not know, and `turnserver_credential`, managed credentials.
//!
//! Invariants:
//! - every value is bound; no statement holds what somebody sent;
//! - names are compared byte by byte, whatever the collation of the database;
//! - an SQLite file is opened for reading alone, and never made, except by the writer.

mod connection;
mod credentials;
mod dialect;
mod failure;
mod pool;
mod read;
mod schema;
mod target;
mod write;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use self::failure::Failure;
use self::pool::{Lease, Pool};
use self::schema::Tables;
use self::target::Target;
use crate::store::{BoxFuture, Catalog, Store, StoreError, StoredUser, Writer};

/// Shorter than what a look-up may take in all, so that the reason is ours.
const FIND_LIMIT: Duration = Duration::from_millis(750);
const CATALOG_LIMIT: Duration = Duration::from_secs(5);
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// For how long the tables are taken to be those that were there.
const TABLES_LIMIT: Duration = Duration::from_secs(10);

/// A store in an SQL database.
#[derive(Debug)]
struct SqlStore {
    reader: Pool,
    /// Of its own where reading and writing open the database differently.
    writer: Option<Pool>,
    tables: Mutex<Option<(Instant, Tables)>>,
}

/// Makes the store of a `sqlite:`, `postgres:`, `postgresql:`, `mysql:` or `mariadb:` URL, without
/// connecting.
///
/// # Errors
///
/// [`StoreError::Url`], with what to write instead.
pub(crate) fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let target = Target::parse(url)?;
    let writer = target.for_writing().map(Pool::new);
    Ok(Arc::new(SqlStore { reader: Pool::new(target), writer, tables: Mutex::default() }))
}

impl Store for SqlStore {
    fn name(&self) -> &str {
        self.reader.target().name()
    }

    fn find<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredUser>, StoreError>> {
        Box::pin(self.within(FIND_LIMIT, self.read_user(realm, user)))
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog, StoreError>> {
        Box::pin(self.within(CATALOG_LIMIT, self.read_catalog()))
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl SqlStore {
    /// A connection to write with.
    async fn writing(&self) -> Result<Lease<'_>, Failure> {
        self.writer.as_ref().unwrap_or(&self.reader).lease().await
    }

    /// Which tables there are, as of a few seconds ago: asking for one that is not there fills
    /// the logs of a database server.
    async fn known_tables(&self, lease: &mut Lease<'_>) -> Result<Tables, Failure> {
        let known = *self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((since, tables)) if since.elapsed() < TABLES_LIMIT => Ok(tables),
            Some(_) | None => self.read_tables(lease).await,
        }
    }

    async fn read_tables(&self, lease: &mut Lease<'_>) -> Result<Tables, Failure> {
        let tables = Tables::read(lease).await?;
        *self.tables.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), tables));
        Ok(tables)
    }

    fn forget_tables(&self) {
        *self.tables.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What a method gives, or an error that names the store, in time.
    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let done = timeout(limit, work).await.unwrap_or(Err(Failure::Late(limit)));
        done.map_err(|failure| failure.of(self.name()))
    }
}
