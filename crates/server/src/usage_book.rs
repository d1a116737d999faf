//! Usage, as the admin doors ask for it.

use turn_admin::{
    BoxFuture, LogPage, LogQuery, UsageBook, UsageBy, UsageError, UsageFilter, UsageQuery, UsageRow,
};
use turn_usage::{By, Day, Filters, Query, Recorder};

/// The usage of a running server.
#[derive(Debug)]
pub(crate) struct Book(pub(crate) Recorder);

impl UsageBook for Book {
    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, UsageError>> {
        Box::pin(async move {
            let days = day(query.from).zip(day(query.to));
            let (from, to) = days.ok_or_else(out_of_range)?;
            let UsageFilter { realm, tenant, user, label, credential } = query.of;
            let filters = Filters { realm, tenant, user, label, credential };
            let by = query.by.iter().copied().map(column).collect();
            let asked = query.by;
            let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
            let query = Query { from, to, by, filters, offset: query.offset, most };
            let found = self.0.usage(query).await.map_err(usage_error)?;
            Ok(found.rows.into_iter().map(|it| row(it, &asked)).collect())
        })
    }

    fn allocation_log(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, UsageError>> {
        Box::pin(async move {
            let days = day(query.from).zip(day(query.to));
            let (from, to) = days.ok_or_else(out_of_range)?;
            let after = query.after.as_deref().map(str::parse).transpose();
            let after = after.map_err(|_| UsageError::Unavailable("no such page".to_owned()))?;
            let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
            let query = turn_usage::LogQuery { from, to, after, most };
            let page = self.0.log(query).await.map_err(usage_error)?;
            let line = |entry| serde_json::to_string(&entry).ok();
            Ok(LogPage {
                lines: page.entries.iter().filter_map(line).collect(),
                next: page.next.map(|next| next.to_string()),
            })
        })
    }
}

fn day(day: turn_admin::Day) -> Option<Day> {
    u32::try_from(day.days_since_1970()).ok().and_then(Day::from_number)
}

fn out_of_range() -> UsageError {
    UsageError::Unavailable("a day is out of range".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn usage_error(error: turn_usage::UsageError) -> UsageError {
    UsageError::Unavailable(error.to_string())
}

fn column(by: UsageBy) -> By {
    match by {
        UsageBy::Day => By::Day,
        UsageBy::Realm => By::Realm,
        UsageBy::Tenant => By::Tenant,
        UsageBy::User => By::User,
        UsageBy::Label => By::Label,
        UsageBy::Credential => By::Credential,
    }
}

fn row(row: turn_usage::UsageRow, asked: &[UsageBy]) -> UsageRow {
    // Who has none is empty, and who was not asked for is not there.
    let name = |by, name: Option<String>| asked.contains(&by).then(|| name.unwrap_or_default());
    UsageRow {
        day: row.day.map(|day| day.to_string()),
        realm: name(UsageBy::Realm, row.realm),
        tenant: name(UsageBy::Tenant, row.tenant),
        user: name(UsageBy::User, row.user),
        label: name(UsageBy::Label, row.label),
        credential: name(UsageBy::Credential, row.credential),
        up_bytes: row.traffic.up_bytes,
        down_bytes: row.traffic.down_bytes,
        up_packets: row.traffic.up_packets,
        down_packets: row.traffic.down_packets,
        allocations: row.allocations,
        seconds: row.seconds,
    }
}
