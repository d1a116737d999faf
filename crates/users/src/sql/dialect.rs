//! Where SQLite, PostgreSQL and MySQL differ: placeholders, replacing a row, listing tables.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    /// MariaDB too.
    MySql,
}

impl Dialect {
    /// A statement with `?` for its values, as this database takes it.
    pub(super) fn statement(self, statement: &'static str) -> Cow<'static, str> {
        match self {
            Self::Sqlite | Self::MySql => Cow::Borrowed(statement),
            Self::Postgres => Cow::Owned(numbered(statement)),
        }
    }

    /// Adds a row, or changes its last column where the others, its key, are there already.
    pub(super) fn upsert(self, table: &str, columns: &[&str], keys: usize) -> String {
        let list = columns.join(", ");
        let marks = vec!["?"; columns.len()].join(", ");
        let mut text = format!("INSERT INTO {table} ({list}) VALUES ({marks})");
        let (key, rest) = columns.split_at(keys.min(columns.len()));
        // Without other columns the row is what it was; one of its own values says so everywhere.
        let changed = if rest.is_empty() { key } else { rest };
        let set = |new: fn(&str) -> String| {
            let pairs = changed.iter().map(|column| format!("{column} = {}", new(column)));
            pairs.collect::<Vec<_>>().join(", ")
        };
        let _ = match self {
            Self::Sqlite | Self::Postgres => {
                let set = set(|column| format!("excluded.{column}"));
                write!(text, " ON CONFLICT ({}) DO UPDATE SET {set}", key.join(", "))
            }
            Self::MySql => {
                let set = set(|column| format!("VALUES({column})"));
                write!(text, " ON DUPLICATE KEY UPDATE {set}")
            }
        };
        if self == Self::Postgres { numbered(&text) } else { text }
    }

    /// The names of the tables that can be read.
    pub(super) const fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
            // What is not on the search path is not found by its name, and what may not be read
            // is not listed.
            Self::Postgres => {
                "SELECT table_name::text FROM information_schema.tables \
                 WHERE table_schema = ANY (current_schemas(false)) \
                 AND (table_name LIKE 'turn%' OR table_name LIKE '%\\_peer\\_ip' \
                 OR table_name IN ('oauth_key', 'admin_user'))"
            }
            Self::MySql => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
        }
    }

    /// What a table of ours ends with.
    pub(super) const fn table_options(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Postgres => "",
            Self::MySql => " CHARACTER SET utf8mb4",
        }
    }

    /// The type of a text that is compared and sorted byte by byte, in a table of ours.
    pub(super) fn exact_text(self, length: u16) -> String {
        match self {
            Self::Sqlite => format!("varchar({length})"),
            Self::Postgres => format!("varchar({length}) COLLATE \"C\""),
            // Every text type ignores blanks at the end, whatever its collation.
            Self::MySql => format!("varbinary({length})"),
        }
    }
}

/// `$1`, `$2` ... in the place of each `?`.
fn numbered(statement: &str) -> String {
    let mut text = String::with_capacity(statement.len() + 8);
    for (number, part) in statement.split('?').enumerate() {
        if number > 0 {
            let _ = write!(text, "${number}");
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_for_postgres_alone() {
        let statement = "SELECT a FROM b WHERE c = ? AND d = ?";
        assert_eq!(Dialect::Sqlite.statement(statement), statement);
        assert_eq!(Dialect::MySql.statement(statement), statement);
        assert_eq!(
            Dialect::Postgres.statement(statement),
            "SELECT a FROM b WHERE c = $1 AND d = $2"
        );
    }

    #[test]
    fn a_row_is_replaced_in_each_dialect() {
        let columns = ["realm", "name", "hmackey"];
        assert_eq!(
            Dialect::Postgres.upsert("t", &columns, 2),
            "INSERT INTO t (realm, name, hmackey) VALUES ($1, $2, $3) \
             ON CONFLICT (realm, name) DO UPDATE SET hmackey = excluded.hmackey"
        );
        assert_eq!(
            Dialect::MySql.upsert("t", &columns, 2),
            "INSERT INTO t (realm, name, hmackey) VALUES (?, ?, ?) \
             ON DUPLICATE KEY UPDATE hmackey = VALUES(hmackey)"
        );
        assert_eq!(
            Dialect::Sqlite.upsert("t", &["realm", "value"], 2),
            "INSERT INTO t (realm, value) VALUES (?, ?) \
             ON CONFLICT (realm, value) DO UPDATE SET realm = excluded.realm, value = excluded.value"
        );
    }
}
