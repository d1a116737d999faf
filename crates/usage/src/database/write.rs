//! Adding what was counted, and deleting what is old.

use std::time::Duration;

use sqlx::sqlite::Sqlite;
use sqlx::{QueryBuilder, query};

use super::{Database, signed};
use crate::ledger::{Count, Pending};
use crate::{Day, Ended, Party, UsageError};

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 500;

/// Rows that are deleted at a time, so that nobody waits long for the lock.
const STEP: i64 = 10_000;

/// Days that passed thresholds are remembered for: more than a month.
const THRESHOLDS: u32 = 62;

const INSERT_USAGE: &str = "insert into usage (day, realm, tenant, user, label, credential, \
     up_packets, up_bytes, down_packets, down_bytes, allocations, seconds) ";

const ADD_USAGE: &str = " on conflict do update set \
     up_packets = up_packets + excluded.up_packets, up_bytes = up_bytes + excluded.up_bytes, \
     down_packets = down_packets + excluded.down_packets, \
     down_bytes = down_bytes + excluded.down_bytes, \
     allocations = allocations + excluded.allocations, seconds = seconds + excluded.seconds";

const INSERT_LOG: &str = "insert into allocation_log (ended_at, started_at, seconds, allocation, \
     realm, tenant, user, label, credential, reason, client, transport, relayed, peers, \
     up_packets, up_bytes, down_packets, down_bytes) ";

impl Database {
    /// Adds all of it or nothing.
    pub(crate) async fn write(&self, pending: &Pending) -> Result<(), UsageError> {
        if pending.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        let counts: Vec<_> = pending.rows().collect();
        for rows in counts.chunks(ROWS) {
            usage(rows).build().persistent(false).execute(&mut *transaction).await?;
        }
        for entries in pending.log.chunks(ROWS) {
            log(entries).build().persistent(false).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes what is older than it is to be kept.
    pub(crate) async fn prune(
        &self,
        today: Day,
        unix_now: u64,
        keep: Duration,
        keep_log: Duration,
    ) -> Result<(), UsageError> {
        let days = u32::try_from(keep.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX);
        let first = i64::from(today.before(days).number());
        let delete = "delete from usage where (day, realm, tenant, user, label, credential) in \
             (select day, realm, tenant, user, label, credential from usage where day < ? limit ?)";
        self.delete(delete, first).await?;
        let delete = "delete from allocation_log where sequence in \
             (select sequence from allocation_log where ended_at < ? limit ?)";
        self.delete(delete, signed(unix_now.saturating_sub(keep_log.as_secs()))).await?;
        let delete = "delete from usage_threshold where start < ?";
        let first = i64::from(today.before(THRESHOLDS).number());
        query(delete).bind(first).execute(&self.pool).await?;
        query("pragma incremental_vacuum").execute(&self.pool).await?;
        Ok(())
    }

    /// Deletes in steps what is before `first`.
    async fn delete(&self, statement: &'static str, first: i64) -> Result<(), UsageError> {
        loop {
            let done = query(statement).bind(first).bind(STEP).execute(&self.pool).await?;
            if done.rows_affected() < STEP.unsigned_abs() {
                return Ok(());
            }
        }
    }
}

fn usage(rows: &[(Day, &Party, &Count)]) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(INSERT_USAGE);
    statement.push_values(rows, |mut row, (day, party, count)| {
        row.push_bind(i64::from(day.number()))
            .push_bind(&party.realm)
            .push_bind(party.tenant.as_deref().unwrap_or_default())
            .push_bind(&party.user)
            .push_bind(party.label.as_deref().unwrap_or_default())
            .push_bind(party.credential.as_deref().unwrap_or_default())
            .push_bind(signed(count.traffic.up_packets))
            .push_bind(signed(count.traffic.up_bytes))
            .push_bind(signed(count.traffic.down_packets))
            .push_bind(signed(count.traffic.down_bytes))
            .push_bind(signed(count.allocations))
            .push_bind(signed(count.seconds));
    });
    statement.push(ADD_USAGE);
    statement
}

fn log(entries: &[Ended]) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(INSERT_LOG);
    statement.push_values(entries, |mut row, entry| {
        let relayed: Vec<_> = entry.relayed.iter().map(ToString::to_string).collect();
        row.push_bind(signed(entry.ended_at))
            .push_bind(signed(entry.started_at))
            .push_bind(signed(entry.age.as_secs()))
            .push_bind(entry.id.to_string())
            .push_bind(&entry.party.realm)
            .push_bind(entry.party.tenant.as_deref().unwrap_or_default())
            .push_bind(&entry.party.user)
            .push_bind(entry.party.label.as_deref().unwrap_or_default())
            .push_bind(entry.party.credential.as_deref().unwrap_or_default())
            .push_bind(entry.reason)
            .push_bind(&entry.client)
            .push_bind(entry.transport)
            .push_bind(relayed.join(" "))
            .push_bind(entry.peers.join(" "))
            .push_bind(signed(entry.traffic.up_packets))
            .push_bind(signed(entry.traffic.up_bytes))
            .push_bind(signed(entry.traffic.down_packets))
            .push_bind(signed(entry.traffic.down_bytes));
    });
    statement
}
