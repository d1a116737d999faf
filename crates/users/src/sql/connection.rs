//! One connection, whichever database it leads to, and the rows that come out of it.

use std::borrow::Cow;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, MySql, Postgres, Row as _, Sqlite};

use super::dialect::Dialect;

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

/// What stands for a `?`.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(Option<&'a str>),
    Whole(Option<i64>),
}

/// What a statement gave.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    MySql(MySqlRow),
}

/// Runs one of sqlx's methods on a connection of either kind. The text is ours, its values are
/// bound: nothing that a client has sent is ever part of a statement.
macro_rules! run {
    ($connection:expr, $database:ty, $text:expr, $values:expr, $method:ident) => {{
        let mut query = sqlx::query::<$database>(AssertSqlSafe($text));
        for value in $values {
            query = match *value {
                Value::Text(text) => query.bind(text),
                Value::Whole(number) => query.bind(number),
            };
        }
        query.$method($connection).await
    }};
}

impl Connection {
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
        }
    }

    /// The rows of a statement.
    pub(super) async fn rows(
        &mut self,
        text: Cow<'static, str>,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let rows = run!(connection, Sqlite, text, values, fetch_all)?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(connection) => {
                let rows = run!(connection, Postgres, text, values, fetch_all)?;
                rows.into_iter().map(Row::Postgres).collect()
            }
            Self::MySql(connection) => {
                let rows = run!(connection, MySql, text, values, fetch_all)?;
                rows.into_iter().map(Row::MySql).collect()
            }
        })
    }

    /// How many rows a statement has changed.
    pub(super) async fn execute(
        &mut self,
        text: Cow<'static, str>,
        values: &[Value<'_>],
    ) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(connection) => {
                run!(connection, Sqlite, text, values, execute)?.rows_affected()
            }
            Self::Postgres(connection) => {
                run!(connection, Postgres, text, values, execute)?.rows_affected()
            }
            Self::MySql(connection) => {
                run!(connection, MySql, text, values, execute)?.rows_affected()
            }
        })
    }
}

impl Row {
    /// The text in a column; nothing for NULL.
    ///
    /// Types are not checked: databases of long standing have these columns as `char`, `varchar`,
    /// `text` and their binary kinds.
    pub(super) fn text(&self, column: usize) -> sqlx::Result<Option<String>> {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(column),
            Self::Postgres(row) => row.try_get_unchecked(column),
            Self::MySql(row) => row.try_get_unchecked(column),
        }
    }

    /// The whole number in a column of a table of ours; nothing for NULL.
    pub(super) fn whole(&self, column: usize) -> sqlx::Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(column),
            Self::Postgres(row) => row.try_get_unchecked(column),
            Self::MySql(row) => row.try_get_unchecked(column),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::from(Some(number))
    }
}

impl From<Option<u64>> for Value<'_> {
    /// Numbers that no `bigint` holds are as good as its largest.
    fn from(number: Option<u64>) -> Self {
        Self::Whole(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    }
}
