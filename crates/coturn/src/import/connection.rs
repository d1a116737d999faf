//! coturn's connection strings, `host=db dbname=turn user=turn password=secret`, as URLs.
//!
//! PostgreSQL's are those of libpq (a URL of it is taken as it is); MySQL's and Redis's look alike
//! and know neither quotes nor blanks in values. No message repeats a value.

use std::fmt::Write as _;
use std::path::Path;

/// Which database a string leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Postgres,
    Mysql,
    Redis,
}

/// A URL made of a connection string, and the keys of it that mean nothing here.
pub(super) struct Connection {
    pub(super) url: String,
    pub(super) left_out: Vec<String>,
}

impl Database {
    /// The URL of the database that `text` leads to.
    ///
    /// # Errors
    /// What is wrong with it, without its values.
    pub(super) fn connection(self, text: &str) -> Result<Connection, String> {
        let text = text.trim();
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if self == Self::Postgres && is_url {
            return Ok(Connection { url: text.to_owned(), left_out: Vec::new() });
        }
        let pairs = match self {
            Self::Postgres => libpq_pairs(text)?,
            Self::Mysql | Self::Redis => plain_pairs(text)?,
        };
        let mut parts = Parts::default();
        for (key, value) in pairs {
            self.take(&mut parts, &key, value)?;
        }
        let url = match self {
            Self::Postgres => parts.postgres(),
            Self::Mysql => parts.mysql()?,
            Self::Redis => parts.redis()?,
        };
        Ok(Connection { url, left_out: parts.left_out })
    }

    fn take(self, parts: &mut Parts, key: &str, value: String) -> Result<(), String> {
        let is_libpq = self == Self::Postgres;
        let field = match key {
            "host" | "hostaddr" => &mut parts.host,
            "ip" | "addr" | "ipaddr" if !is_libpq => &mut parts.host,
            "dbname" => &mut parts.database,
            "db" | "database" if !is_libpq => &mut parts.database,
            "user" => &mut parts.user,
            "uname" | "name" | "username" if !is_libpq => &mut parts.user,
            "password" => &mut parts.password,
            "pwd" | "passwd" | "secret" if !is_libpq => &mut parts.password,
            "port" => &mut parts.port,
            "p" if !is_libpq => &mut parts.port,
            "sslmode" | "sslrootcert" | "sslcert" | "sslkey" if is_libpq => {
                parts.query.push((key.to_owned(), value));
                return Ok(());
            }
            "ca" | "ssl-ca" | "cert" | "ssl-cert" | "key" | "ssl-key" if self == Self::Mysql => {
                let name = format!("ssl-{}", key.trim_start_matches("ssl-"));
                parts.query.push((name, value));
                return Ok(());
            }
            "tls" | "ssl" if self == Self::Redis => {
                parts.has_tls = !["", "0", "no", "off", "false"].contains(&value.as_str());
                return Ok(());
            }
            // Deadlines are the server's own.
            "connect_timeout" | "timeout" | "read_timeout" => return Ok(()),
            other => {
                parts.left_out.push(other.escape_debug().to_string());
                return Ok(());
            }
        };
        if key == "port" || key == "p" {
            let is_port = value.parse::<u16>().is_ok_and(|port| port != 0);
            if !is_port && !value.is_empty() && value != "0" {
                return Err("its port is none; write 1 to 65535".to_owned());
            }
        }
        *field = Some(value).filter(|value| !(value.is_empty() || value == "0" && key == "port"));
        Ok(())
    }
}

/// The URL of the store that an option of this name leads to: `userdb` with the path of a file,
/// `psql-userdb`, `mysql-userdb` or `redis-userdb` with a connection string. Relative paths start
/// from `directory`.
///
/// # Errors
/// What is wrong with the value, which is not repeated, or that there is no such store.
pub fn store_url(option: &str, value: &str, directory: &Path) -> Result<String, String> {
    let database = match option {
        "userdb" | "db" => return Ok(sqlite_url(&directory.join(value))),
        "psql-userdb" | "sql-userdb" => Database::Postgres,
        "mysql-userdb" => Database::Mysql,
        "redis-userdb" => Database::Redis,
        _ => return Err("no store that is known here".to_owned()),
    };
    database.connection(value).map(|connection| connection.url)
}

/// The URL of a file from the root on.
pub(super) fn sqlite_url(path: &Path) -> String {
    let path = path.to_string_lossy();
    let encoded: Vec<String> = path.split('/').map(encoded).collect();
    format!("sqlite://{}", encoded.join("/"))
}

/// What a connection string says.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    query: Vec<(String, String)>,
    has_tls: bool,
    left_out: Vec<String>,
}

impl Parts {
    fn postgres(&mut self) -> String {
        let user = self.user.clone();
        // As libpq: the database is called as its user, and lives behind a socket of this host.
        let database = self.database.clone().or_else(|| user.clone()).unwrap_or_default();
        let socket = match &self.host {
            None => Some("/var/run/postgresql".to_owned()),
            Some(host) => host.starts_with('/').then(|| host.clone()),
        };
        let Some(socket) = socket else {
            return self.url("postgres", &database);
        };
        // No URL has a user without a host.
        let mut query = vec![("host".to_owned(), socket)];
        query.extend(self.port.clone().map(|port| ("port".to_owned(), port)));
        query.extend(user.map(|user| ("user".to_owned(), user)));
        query.extend(self.password.clone().map(|password| ("password".to_owned(), password)));
        query.append(&mut self.query);
        format!("postgres:///{}{}", encoded(&database), query_text(&query))
    }

    fn mysql(&mut self) -> Result<String, String> {
        let database = self.database.clone().ok_or("it names no database; add dbname=NAME")?;
        if self.query.iter().any(|(key, _)| key == "ssl-ca") {
            self.query.push(("ssl-mode".to_owned(), "VERIFY_CA".to_owned()));
        }
        Ok(self.url("mysql", &database))
    }

    fn redis(&mut self) -> Result<String, String> {
        let database = self.database.clone().unwrap_or_else(|| "0".to_owned());
        if database.parse::<u32>().is_err() {
            return Err("its database is none; write dbname=NUMBER, such as dbname=2".to_owned());
        }
        Ok(self.url(if self.has_tls { "rediss" } else { "redis" }, &database))
    }

    fn url(&self, scheme: &str, database: &str) -> String {
        let mut url = format!("{scheme}://");
        let user = self.user.as_deref().map(encoded).unwrap_or_default();
        let password = self.password.as_deref().map(encoded);
        // Writing to a String cannot fail.
        let _ = match password {
            Some(password) => write!(url, "{user}:{password}@"),
            None if user.is_empty() => Ok(()),
            None => write!(url, "{user}@"),
        };
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.contains(':') {
            true => url.extend(["[", host, "]"]),
            false => url.push_str(&encoded(host)),
        }
        if let Some(port) = &self.port {
            let _ = write!(url, ":{port}");
        }
        url + "/" + &encoded(database) + &query_text(&self.query)
    }
}

fn query_text(query: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Percent-encoded but for what every URL takes as it is (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"._~-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// `key=value` between blanks.
fn plain_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    let pair = |word: &str| {
        let (key, value) = word.split_once('=').ok_or(FORM)?;
        Ok((key.to_owned(), value.to_owned()))
    };
    words.map(pair).collect()
}

/// libpq's: blanks around `=`, quotes around values, and backslashes in them.
fn libpq_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=').ok_or(FORM)?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(FORM.to_owned());
        }
        let behind = behind.trim_start();
        let quoted = behind.strip_prefix('\'');
        let mut characters = quoted.unwrap_or(behind).chars();
        let mut value = String::new();
        loop {
            match characters.next() {
                None if quoted.is_some() => return Err("a quote in it is not closed".to_owned()),
                None => break,
                Some('\'') if quoted.is_some() => break,
                Some(blank) if quoted.is_none() && blank.is_whitespace() => break,
                Some('\\') => value.extend(characters.next()),
                Some(other) => value.push(other),
            }
        }
        pairs.push((key.to_owned(), value));
        rest = characters.as_str().trim_start();
    }
    Ok(pairs)
}

const FORM: &str =
    "not a connection string such as \"host=HOST dbname=NAME user=USER password=...\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn url(database: Database, text: &str) -> String {
        database.connection(text).map_or_else(|error| error, |it| it.url)
    }

    #[test]
    fn libpqs_strings_become_urls() {
        let url = |text| url(Database::Postgres, text);
        assert_eq!(
            url("host=db.example dbname=coturn user=turn password=turn connect_timeout=30"),
            "postgres://turn:turn@db.example/coturn"
        );
        assert_eq!(
            url(
                r"host = '::1' port=5433 dbname='my db' user=u password='it\'s @ \\ home' sslmode=require"
            ),
            "postgres://u:it%27s%20%40%20%5C%20home@[::1]:5433/my%20db?sslmode=require"
        );
        assert_eq!(
            url("dbname=turn user=turn password=p"),
            "postgres:///turn?host=%2Fvar%2Frun%2Fpostgresql&user=turn&password=p"
        );
        assert_eq!(url("postgresql://a:b@h/d?x=y"), "postgresql://a:b@h/d?x=y");
        assert_eq!(url("host=h password='hunter2"), "a quote in it is not closed");
        assert!(url("hunter2").starts_with("not a connection string"));
        assert!(url("host=h port=x").contains("its port is none"));
    }

    #[test]
    fn mysqls_and_rediss_strings_become_urls() {
        assert_eq!(
            url(
                Database::Mysql,
                "host=localhost dbname=coturn user=turn password=a/b:c port=3307 connect_timeout=60 read_timeout=60"
            ),
            "mysql://turn:a%2Fb%3Ac@localhost:3307/coturn"
        );
        assert_eq!(
            url(Database::Mysql, "ip=10.0.0.1 db=d uname=u pwd=p p=1 ca=/etc/ca.pem cipher=x"),
            "mysql://u:p@10.0.0.1:1/d?ssl-ca=%2Fetc%2Fca.pem&ssl-mode=VERIFY_CA"
        );
        assert!(url(Database::Mysql, "host=h user=u").contains("names no database"));
        assert_eq!(
            url(
                Database::Redis,
                "ip=127.0.0.1 dbname=2 password=turn port=6380 connect_timeout=30"
            ),
            "redis://:turn@127.0.0.1:6380/2"
        );
        assert_eq!(url(Database::Redis, "ip=::1"), "redis://[::1]/0");
        assert!(url(Database::Redis, "dbname=turn").contains("dbname=NUMBER"));
        let at = |value| store_url("userdb", value, Path::new("/var"));
        assert_eq!(at("my db").as_deref(), Ok("sqlite:///var/my%20db"));
        assert_eq!(at("/a").as_deref(), Ok("sqlite:///a"));
        let left_out = Database::Mysql.connection("dbname=d cipher=x").map(|it| it.left_out);
        assert_eq!(left_out, Ok(vec!["cipher".to_owned()]));
    }
}
