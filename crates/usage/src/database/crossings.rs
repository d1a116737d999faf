//! Which thresholds were passed, and whether somebody was told.

use std::sync::Arc;

use sqlx::{query, query_as};

use super::{Database, signed, unsigned};
use crate::threshold::Subject;
use crate::totals::Crossing;
use crate::{Day, Threshold, UsageError};

impl Database {
    /// Remembers these; gives back those that nobody has recorded before.
    pub(crate) async fn record(&self, crossings: &[Crossing]) -> Result<Vec<Crossing>, UsageError> {
        let mut new = Vec::new();
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        for crossing in crossings {
            let done = query(
                "insert into usage_threshold (mark, start, realm, name, bytes, passed_at) \
                 values (?, ?, ?, ?, ?, ?) on conflict do nothing",
            )
            .bind(crossing.threshold.mark())
            .bind(i64::from(crossing.start.number()))
            .bind(&crossing.subject.realm)
            .bind(&crossing.subject.name)
            .bind(signed(crossing.bytes))
            .bind(signed(crossing.at))
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 1 {
                new.push(crossing.clone());
            }
        }
        transaction.commit().await?;
        Ok(new)
    }

    /// The webhook was called.
    pub(crate) async fn delivered(
        &self,
        crossing: &Crossing,
        unix_now: u64,
    ) -> Result<(), UsageError> {
        query(
            "update usage_threshold set called_at = ? \
             where mark = ? and start = ? and realm = ? and name = ?",
        )
        .bind(signed(unix_now))
        .bind(crossing.threshold.mark())
        .bind(i64::from(crossing.start.number()))
        .bind(&crossing.subject.realm)
        .bind(&crossing.subject.name)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was recorded in this period and nobody was told of.
    pub(crate) async fn undelivered(
        &self,
        threshold: &Arc<Threshold>,
        start: Day,
    ) -> Result<Vec<Crossing>, UsageError> {
        let rows: Vec<(String, String, i64, i64)> = query_as(
            "select realm, name, bytes, passed_at from usage_threshold \
             where mark = ? and start = ? and called_at is null order by passed_at",
        )
        .bind(threshold.mark())
        .bind(i64::from(start.number()))
        .fetch_all(&self.pool)
        .await?;
        let crossing = |(realm, name, bytes, at)| Crossing {
            threshold: Arc::clone(threshold),
            subject: Subject { realm, name },
            start,
            bytes: unsigned(bytes),
            at: unsigned(at),
        };
        Ok(rows.into_iter().map(crossing).collect())
    }
}
