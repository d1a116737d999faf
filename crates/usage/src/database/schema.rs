//! Tables. An absent tenant, label or credential is an empty text, so that a row has one key.

use sqlx::sqlite::SqlitePool;
use sqlx::{query, query_scalar};

use crate::UsageError;

/// The version of the tables below.
const VERSION: i64 = 1;

const TABLES: [&str; 6] = [
    "create table if not exists usage_schema (version integer not null)",
    "create table if not exists usage (
        day integer not null,
        realm text not null,
        tenant text not null,
        user text not null,
        label text not null,
        credential text not null,
        up_packets integer not null,
        up_bytes integer not null,
        down_packets integer not null,
        down_bytes integer not null,
        allocations integer not null,
        seconds integer not null,
        primary key (day, realm, tenant, user, label, credential)
    ) without rowid",
    "create table if not exists allocation_log (
        sequence integer primary key,
        ended_at integer not null,
        started_at integer not null,
        seconds integer not null,
        allocation text not null,
        realm text not null,
        tenant text not null,
        user text not null,
        label text not null,
        credential text not null,
        reason text not null,
        client text not null,
        transport text not null,
        relayed text not null,
        peers text not null,
        up_packets integer not null,
        up_bytes integer not null,
        down_packets integer not null,
        down_bytes integer not null
    )",
    "create index if not exists allocation_log_by_end on allocation_log (ended_at)",
    "create table if not exists usage_threshold (
        mark integer not null,
        start integer not null,
        realm text not null,
        name text not null,
        bytes integer not null,
        passed_at integer not null,
        called_at integer,
        primary key (mark, start, realm, name)
    ) without rowid",
    "insert into usage_schema select 1 where not exists (select * from usage_schema)",
];

/// Makes what is missing.
pub(super) async fn prepare(pool: &SqlitePool) -> Result<(), UsageError> {
    // A write lock from the beginning: two servers that start at once do not meet halfway.
    let mut transaction = pool.begin_with("begin immediate").await?;
    for table in TABLES {
        query(table).execute(&mut *transaction).await?;
    }
    let newest = query_scalar("select max(version) from usage_schema");
    let version: i64 = newest.fetch_one(&mut *transaction).await?;
    if version > VERSION {
        return Err(UsageError::Unavailable(format!(
            "its tables are of version {version}, and this turnserver knows {VERSION}; \
             a newer turnserver has written it"
        )));
    }
    transaction.commit().await?;
    Ok(())
}
