//! Why a database did not do what it was asked, in words that an operator can use.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::StoreError;

/// How much of a driver's text is kept.
const LONGEST_REASON: usize = 300;

/// MySQL's errors that quote values: a duplicate entry, data that does not fit.
const QUOTING: [&str; 4] = ["1062", "1366", "1406", "1292"];

/// Anything that can go wrong.
#[derive(Debug)]
pub(super) enum Failure {
    /// As the driver has it.
    Driver(sqlx::Error),
    /// It took longer than this.
    Late(Duration),
    /// There is no such file, or it cannot be looked at.
    File(PathBuf, std::io::Error),
    /// What was read makes no sense.
    Malformed(String),
    /// The name is in use.
    Taken(&'static str),
}

impl Failure {
    /// The same for the caller.
    pub(super) fn of(self, store: &str) -> StoreError {
        let store = store.to_owned();
        match self {
            Self::Driver(error) => StoreError::Unavailable { store, reason: reason(&error) },
            Self::Late(limit) => StoreError::Unavailable {
                store,
                reason: format!("no answer within {} ms", limit.as_millis()),
            },
            Self::File(path, error) => StoreError::Unavailable {
                store,
                reason: format!(
                    "{}: {error}; make it with `turnserver users add`, or correct the URL",
                    path.display()
                ),
            },
            Self::Malformed(what) => StoreError::Malformed { store, what },
            Self::Taken(what) => StoreError::Taken { store, what: what.to_owned() },
        }
    }

    /// Whether a text that was asked for is none that this database could hold, in its Latin-1 for
    /// example: then nobody has that name.
    pub(super) fn is_foreign_text(&self) -> bool {
        let Self::Driver(error) = self else {
            return false;
        };
        let Some(error) = error.as_database_error() else {
            return false;
        };
        match error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            // Illegal mixes of collations, an invalid text, one that cannot be converted.
            Some(error) => matches!(error.number(), 1267 | 1270 | 1271 | 1300 | 3854),
            // PostgreSQL: untranslatable_character, character_not_in_repertoire
            None => error.code().is_some_and(|code| matches!(code.as_ref(), "22P05" | "22021")),
        }
    }

    /// Whether a row of this key is there already.
    pub(super) fn is_duplicate(&self) -> bool {
        match self {
            Self::Driver(sqlx::Error::Database(error)) => error.is_unique_violation(),
            Self::Driver(_)
            | Self::Late(_)
            | Self::File(..)
            | Self::Malformed(_)
            | Self::Taken(_) => false,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// One line, without values, with what to do where that is known.
fn reason(error: &sqlx::Error) -> String {
    let text = error.to_string();
    let mut text = match error.as_database_error() {
        Some(database) => {
            let number = database
                .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                .map(|error| error.number().to_string());
            match number {
                Some(number) if QUOTING.contains(&number.as_str()) => {
                    format!("MySQL error {number}: a value does not fit or is there already")
                }
                Some(_) | None => database.message().to_owned(),
            }
        }
        None => text,
    };
    text =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    if let Some(help) = help(error, &text) {
        text.push_str("; ");
        text.push_str(help);
    }
    text
}

fn help(error: &sqlx::Error, text: &str) -> Option<&'static str> {
    if text.contains("RSA auth backend") {
        return Some(
            "the account uses caching_sha2_password, which is not sent without TLS: add \
             ?ssl-mode=REQUIRED to the URL, or give the account mysql_native_password",
        );
    }
    let database = error.as_database_error()?;
    database.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    match database.code()?.parse::<i32>().ok()? & 0xFF {
        // SQLITE_READONLY, SQLITE_CANTOPEN
        8 | 14 => Some(
            "the file, and with a WAL or after a crash of its writer its directory too, must be \
             accessible to the server's user",
        ),
        // SQLITE_BUSY, SQLITE_LOCKED
        5 | 6 => Some("another process has kept it locked for too long"),
        // SQLITE_NOTADB
        26 => Some("correct the path in auth.stores"),
        _ => None,
    }
}
