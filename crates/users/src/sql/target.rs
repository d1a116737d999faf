//! What a URL says of a database: where it is, how it is reached, and what logs call it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use reqwest::Url;
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::connection::Connection;
use crate::store::StoreError;

/// How long a reader waits for a writer of the same SQLite file.
const READER_PATIENCE: Duration = Duration::from_millis(500);
/// How long a writer waits for others.
const WRITER_PATIENCE: Duration = Duration::from_secs(5);

/// Parameters that the driver knows. An unknown one is refused: a misspelt `sslmode` would
/// otherwise mean no TLS.
const POSTGRES_PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
const MYSQL_PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "charset",
    "collation",
    "statement-cache-capacity",
    "socket",
    "timezone",
    "time-zone",
];
/// Of coturn's connection strings; our own times hold.
const IGNORED_PARAMETERS: &[&str] = &["connect_timeout", "timeout", "read_timeout"];

/// A database that can be connected to.
#[derive(Clone)]
pub(super) struct Target {
    name: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Sqlite { path: PathBuf, is_writable: bool },
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
}

impl Target {
    /// Reads a URL of one of our schemes.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", rest)) => sqlite(rest),
            Some((scheme @ ("postgres" | "postgresql"), _)) => {
                let server = Server::parse(url, scheme, POSTGRES_PARAMETERS)?;
                server.postgres().map_err(|error| unusable(scheme, error))
            }
            Some((scheme @ ("mysql" | "mariadb"), _)) => {
                let server = Server::parse(url, scheme, MYSQL_PARAMETERS)?;
                server.mysql().map_err(|error| unusable(scheme, error))
            }
            _ => Err(refused("a store's URL has no scheme of a database", SCHEMES)),
        }
    }

    /// What logs call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The same for writing, where that makes a difference: an SQLite file is opened for reading
    /// alone otherwise.
    pub(super) fn for_writing(&self) -> Option<Self> {
        let Place::Sqlite { path, .. } = &self.place else {
            return None;
        };
        let place = Place::Sqlite { path: path.clone(), is_writable: true };
        Some(Self { name: self.name.clone(), place })
    }

    /// The file of an SQLite database.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite { path, .. } => Some(path),
            Place::Postgres(_) | Place::MySql(_) => None,
        }
    }

    /// A new connection; the caller sets the time.
    pub(super) async fn connect(&self) -> sqlx::Result<Connection> {
        Ok(match &self.place {
            Place::Sqlite { path, is_writable } => {
                let patience = if *is_writable { WRITER_PATIENCE } else { READER_PATIENCE };
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .read_only(!is_writable)
                    .busy_timeout(patience)
                    .thread_name(|_| "store-sqlite".to_owned())
                    .disable_statement_logging();
                Connection::Sqlite(options.connect().await?)
            }
            Place::Postgres(options) => Connection::Postgres(options.connect().await?),
            Place::MySql(options) => Connection::MySql(options.connect().await?),
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name).finish()
    }
}

/// The URL of a database server, with parameters that are all known.
struct Server {
    url: Url,
    name: String,
}

impl Server {
    fn parse(text: &str, scheme: &str, known: &[&str]) -> Result<Self, StoreError> {
        let shape = format!("{scheme}://user:password@host:port/database?sslmode=...");
        let mut url = Url::parse(text)
            .map_err(|error| refused(format!("a {scheme} URL is none: {error}"), &shape))?;
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = url.query_pairs().collect();
        let is_known = |key: &str| known.contains(&key) || IGNORED_PARAMETERS.contains(&key);
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !is_known(key)) {
            let what = format!("a {scheme} URL has the unknown parameter {key:?}");
            return Err(refused(what, &format!("these are known: {}", known.join(", "))));
        }
        let has_database = url.path().len() > 1 || pairs.iter().any(|(key, _)| key == "dbname");
        if !has_database {
            return Err(refused(format!("a {scheme} URL names no database"), &shape));
        }
        let socket = pairs.iter().find(|(key, value)| {
            matches!(key.as_ref(), "host" | "hostaddr" | "socket") && !value.is_empty()
        });
        let host = match (socket, url.host_str(), url.port()) {
            (Some((_, place)), ..) => place.to_string(),
            (None, Some(host), Some(port)) => format!("{host}:{port}"),
            (None, Some(host), None) => host.to_owned(),
            (None, None, _) => String::new(),
        };
        let name = format!("{scheme}://{host}{}", url.path());
        let kept: Vec<(String, String)> = pairs
            .into_iter()
            .filter(|(key, _)| !IGNORED_PARAMETERS.contains(&key.as_ref()))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        if kept.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(kept);
        }
        Ok(Self { url, name })
    }

    fn postgres(self) -> sqlx::Result<Target> {
        let mut options = PgConnectOptions::from_str(self.url.as_str())?;
        if let Some(address) = self.bracketed_address() {
            options = options.host(address);
        }
        if options.get_application_name().is_none() {
            options = options.application_name("turnserver");
        }
        let options = Box::new(options.disable_statement_logging());
        Ok(Target { name: self.name, place: Place::Postgres(options) })
    }

    fn mysql(self) -> sqlx::Result<Target> {
        let mut options = MySqlConnectOptions::from_str(self.url.as_str())?;
        if let Some(address) = self.bracketed_address() {
            options = options.host(address);
        }
        let options = Box::new(options.disable_statement_logging());
        Ok(Target { name: self.name, place: Place::MySql(options) })
    }

    /// An IPv6 address as sockets want it, which the driver leaves in its brackets.
    fn bracketed_address(&self) -> Option<&str> {
        self.url.host_str()?.strip_prefix('[')?.strip_suffix(']')
    }
}

/// `sqlite:///absolute/path`, percent-decoded; `?`, `%` and `#` in a path must be encoded.
fn sqlite(rest: &str) -> Result<Target, StoreError> {
    const HELP: &str = "write sqlite:///absolute/path, with three slashes";
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains('?') {
        return Err(refused("an SQLite URL takes no parameters", HELP));
    }
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{path}"))
        .map_err(|error| refused(format!("an SQLite URL has an unusable path: {error}"), HELP))?;
    let file = options.get_filename();
    if !path.starts_with('/') || !file.is_absolute() || path.ends_with('/') {
        return Err(refused("an SQLite URL has no absolute path of a file", HELP));
    }
    Ok(Target {
        name: format!("sqlite://{}", file.display()),
        place: Place::Sqlite { path: file.to_path_buf(), is_writable: false },
    })
}

const SCHEMES: &str = "sqlite:///path, postgres://... or mysql://...";

fn unusable(scheme: &str, error: sqlx::Error) -> StoreError {
    refused(format!("a {scheme} URL cannot be used: {error}"), "see the parameters in the manual")
}

fn refused(what: impl Into<String>, help: &str) -> StoreError {
    StoreError::Url { what: what.into(), help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Target::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn names_have_no_password() {
        for (url, name) in [
            (
                "postgres://ann:secret@db.example:5433/turn?sslmode=require",
                "postgres://db.example:5433/turn",
            ),
            ("postgresql:///turn?host=/run/pg&user=a&password=secret", "postgresql:///run/pg/turn"),
            ("mysql://ann:secret@[::1]/turn", "mysql://[::1]/turn"),
            ("mariadb://ann:secret@db/turn?connect_timeout=5", "mariadb://db/turn"),
            ("sqlite:///var/lib/turn%20db", "sqlite:///var/lib/turn db"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.name(), name);
            assert!(!format!("{target:?}").contains("secret"));
        }
    }

    #[test]
    fn misspelt_parameters_are_refused_by_name() {
        let error = refusal("postgres://ann:secret@db/turn?sslmod=require");
        assert!(error.contains("\"sslmod\"") && error.contains("sslmode"), "{error}");
        let error = refusal("mysql://ann:secret@db/turn?ssl=1");
        assert!(error.contains("\"ssl\"") && !error.contains("secret"), "{error}");
        let error = refusal("postgres://ann:secret@db/turn?sslmode=always");
        assert!(error.contains("always") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_database_must_be_named() {
        for url in ["postgres://ann:secret@db", "mysql://ann:secret@db/", "postgres://"] {
            let error = refusal(url);
            assert!(error.contains("help") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn sqlite_wants_an_absolute_path_alone() {
        for url in
            ["sqlite://users.db", "sqlite:users.db", "sqlite:", "sqlite:///", "sqlite::memory:"]
        {
            assert!(refusal(url).contains("sqlite:///absolute/path"), "{url}");
        }
        assert!(refusal("sqlite:///var/lib/users.db?mode=rwc").contains("no parameters"));
    }
}
