//! Answers to queries.

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row, query_as};

use super::{Database, signed, unsigned};
use crate::threshold::Subject;
use crate::totals::Totals;
use crate::{
    By, Day, LogCursor, LogEntry, LogPage, LogQuery, Party, Per, Query, Threshold, Traffic,
    UsageError, UsageRow, UsageRows,
};

impl Database {
    /// Usage of some days, grouped.
    pub(crate) async fn usage(&self, query: Query) -> Result<UsageRows, UsageError> {
        let mut by = Vec::new();
        for column in query.by {
            if !by.contains(&column) {
                by.push(column);
            }
        }
        let columns = by.iter().map(|by| by.as_str()).collect::<Vec<_>>().join(", ");
        let mut statement = QueryBuilder::<Sqlite>::new("select ");
        if !by.is_empty() {
            statement.push(&columns).push(", ");
        }
        statement.push(
            "sum(up_packets) as up_packets, sum(up_bytes) as up_bytes, \
             sum(down_packets) as down_packets, sum(down_bytes) as down_bytes, \
             sum(allocations) as allocations, sum(seconds) as seconds from usage where day >= ",
        );
        statement.push_bind(i64::from(query.from.number()));
        statement.push(" and day <= ").push_bind(i64::from(query.to.number()));
        for (column, value) in query.filters.given() {
            statement.push(" and ").push(column.as_str()).push(" = ").push_bind(value);
        }
        if !by.is_empty() {
            statement.push(" group by ").push(&columns).push(" order by ").push(&columns);
        }
        let most = query.most.min(UsageRows::MOST);
        // A sum over no rows at all is one row of nothing.
        statement.push(" having count(*) > 0".repeat(usize::from(by.is_empty())));
        let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        statement.push(" limit ").push_bind(limit);
        statement.push(" offset ").push_bind(signed(query.offset));
        let found = statement.build().persistent(false).fetch_all(&self.pool).await?;
        let is_truncated = found.len() > most;
        let rows = found.iter().take(most).map(|row| usage_row(row, &by));
        Ok(UsageRows { rows: rows.collect::<Result<_, _>>()?, is_truncated })
    }

    /// A page of the allocation log.
    pub(crate) async fn log(&self, query: LogQuery) -> Result<LogPage, UsageError> {
        let most = query.most.clamp(1, LogPage::MOST);
        let after = query.after.unwrap_or(LogCursor { ended_at: 0, sequence: 0 });
        let statement = sqlx::query(
            "select * from allocation_log where ended_at >= ? and ended_at < ? \
             and (ended_at, sequence) > (?, ?) order by ended_at, sequence limit ?",
        );
        let found = statement
            .bind(signed(query.from.starts_at()).max(after.ended_at))
            .bind(signed(query.to.ends_at()))
            .bind(after.ended_at)
            .bind(after.sequence)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        let next = match found.last() {
            Some(last) if found.len() == most => Some(LogCursor {
                ended_at: last.try_get("ended_at")?,
                sequence: last.try_get("sequence")?,
            }),
            Some(_) | None => None,
        };
        let entries = found.iter().map(log_entry).collect::<Result<_, _>>()?;
        Ok(LogPage { entries, next })
    }

    /// Who has a row of this day.
    pub(crate) async fn parties(&self, day: Day, most: usize) -> Result<Vec<Party>, UsageError> {
        let statement = sqlx::query(
            "select realm, tenant, user, label, credential from usage where day = ? limit ?",
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let found =
            statement.bind(i64::from(day.number())).bind(most).fetch_all(&self.pool).await?;
        Ok(found.iter().map(party).collect::<Result<_, _>>()?)
    }

    /// The bytes of a period for everybody whom a threshold watches, and who has passed it.
    pub(crate) async fn sums(
        &self,
        threshold: &Threshold,
        start: Day,
    ) -> Result<(Vec<(Subject, u64)>, Vec<Subject>), UsageError> {
        let statement = match threshold.per {
            Per::User => {
                "select realm, user, sum(up_bytes + down_bytes) as bytes from usage \
                 where day >= ? and user not in ('', ?) group by 1, 2 order by 3 desc limit ?"
            }
            Per::Credential => {
                "select realm, credential, sum(up_bytes + down_bytes) as bytes from usage \
                 where day >= ? and credential not in ('', ?) group by 1, 2 order by 3 desc limit ?"
            }
            Per::Label => {
                "select '', label, sum(up_bytes + down_bytes) as bytes from usage \
                 where day >= ? and label not in ('', ?) group by 1, 2 order by 3 desc limit ?"
            }
            Per::Tenant => {
                "select '', tenant, sum(up_bytes + down_bytes) as bytes from usage \
                 where day >= ? and tenant not in ('', ?) group by 1, 2 order by 3 desc limit ?"
            }
            Per::Realm => {
                "select '', realm, sum(up_bytes + down_bytes) as bytes from usage \
                 where day >= ? and realm not in ('', ?) group by 1, 2 order by 3 desc limit ?"
            }
        };
        let nobody = if threshold.per == Per::User { Party::OTHERS } else { "" };
        let start = i64::from(start.number());
        let most = i64::try_from(Totals::MOST_SUBJECTS).unwrap_or(i64::MAX);
        let sums: Vec<(String, String, i64)> =
            query_as(statement).bind(start).bind(nobody).bind(most).fetch_all(&self.pool).await?;
        let passed: Vec<(String, String)> =
            query_as("select realm, name from usage_threshold where mark = ? and start = ?")
                .bind(threshold.mark())
                .bind(start)
                .fetch_all(&self.pool)
                .await?;
        let sums = sums
            .into_iter()
            .map(|(realm, name, bytes)| (Subject { realm, name }, unsigned(bytes)))
            .collect();
        let passed = passed.into_iter().map(|(realm, name)| Subject { realm, name }).collect();
        Ok((sums, passed))
    }
}

fn usage_row(row: &SqliteRow, by: &[By]) -> Result<UsageRow, sqlx::Error> {
    let mut answer = UsageRow {
        traffic: traffic(row)?,
        allocations: number(row, "allocations")?,
        seconds: number(row, "seconds")?,
        ..UsageRow::default()
    };
    for by in by {
        match by {
            By::Day => {
                let day = u32::try_from(row.try_get::<i64, _>("day")?).ok();
                answer.day = day.and_then(Day::from_number);
            }
            By::Realm => answer.realm = text(row, "realm")?,
            By::Tenant => answer.tenant = text(row, "tenant")?,
            By::User => answer.user = text(row, "user")?,
            By::Label => answer.label = text(row, "label")?,
            By::Credential => answer.credential = text(row, "credential")?,
        }
    }
    Ok(answer)
}

fn log_entry(row: &SqliteRow) -> Result<LogEntry, sqlx::Error> {
    let list = |column| {
        let texts: String = row.try_get(column)?;
        Ok::<_, sqlx::Error>(texts.split_whitespace().map(str::to_owned).collect())
    };
    Ok(LogEntry {
        allocation: row.try_get("allocation")?,
        party: party(row)?,
        started_at: number(row, "started_at")?,
        ended_at: number(row, "ended_at")?,
        seconds: number(row, "seconds")?,
        reason: row.try_get("reason")?,
        client: row.try_get("client")?,
        transport: row.try_get("transport")?,
        relayed: list("relayed")?,
        peers: list("peers")?,
        traffic: traffic(row)?,
    })
}

fn party(row: &SqliteRow) -> Result<Party, sqlx::Error> {
    Ok(Party {
        realm: row.try_get("realm")?,
        tenant: text(row, "tenant")?,
        user: row.try_get("user")?,
        label: text(row, "label")?,
        credential: text(row, "credential")?,
    })
}

fn traffic(row: &SqliteRow) -> Result<Traffic, sqlx::Error> {
    Ok(Traffic {
        up_packets: number(row, "up_packets")?,
        up_bytes: number(row, "up_bytes")?,
        down_packets: number(row, "down_packets")?,
        down_bytes: number(row, "down_bytes")?,
    })
}

fn number(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(unsigned)
}

fn text(row: &SqliteRow, column: &str) -> Result<Option<String>, sqlx::Error> {
    Ok(Some(row.try_get::<String, _>(column)?).filter(|text| !text.is_empty()))
}
