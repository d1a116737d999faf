//! Database servers of Debian's packages, each alone in a directory, on a free port of 127.0.0.1.
//!
//! `cargo xtask tools` takes them out of their packages. Under root they run as nobody, since
//! PostgreSQL refuses root. They are stopped like a hanging machine ([`Database::freeze`]) or
//! killed, come back with what they had, and are gone when their value is dropped.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::foreign::{Finished, Running, free_port, until};

/// nobody, nogroup.
const UID: u32 = 65_534;
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long making a database, starting it or asking it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL; user `postgres`, no password, database `turn`.
    Postgres,
    /// MariaDB; user `turn`, password `turn`, database `turn`.
    MariaDb,
    /// Redis; no password.
    Redis,
}

/// A running database server; dropped, it is gone with its data.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    port: u16,
    data: TempDir,
    has_tls: bool,
    process: Option<Running>,
}

impl Database {
    /// Makes one and starts it.
    ///
    /// # Panics
    /// When it cannot be made or does not answer within a minute.
    pub fn start(kind: Kind) -> Self {
        Self::start_with(kind, None)
    }

    /// The same with a certificate and its key, in PEM.
    ///
    /// # Panics
    /// As [`start`](Self::start), and with Redis, which is not taught this here.
    pub fn start_with_tls(kind: Kind, certificate: &str, key: &str) -> Self {
        assert!(kind != Kind::Redis, "no TLS for Redis");
        Self::start_with(kind, Some((certificate, key)))
    }

    fn start_with(kind: Kind, tls: Option<(&str, &str)>) -> Self {
        let data = TempDir::new().expect("a temporary directory can be made");
        if is_root() {
            chown(data.path(), Some(UID), Some(UID)).expect("the directory can be given away");
        }
        let has_tls = tls.is_some();
        let mut database = Self { kind, port: free_port(HOST), data, has_tls, process: None };
        if let Some((certificate, key)) = tls {
            database.write("certificate.pem", certificate);
            database.write("key.pem", key);
        }
        database.initialise();
        database.resume();
        match kind {
            Kind::Postgres => {
                database.ask("CREATE DATABASE turn", "postgres");
            }
            Kind::MariaDb => {
                database.ask(
                    "CREATE DATABASE turn CHARACTER SET utf8mb4; \
                     CREATE USER turn@'127.0.0.1' IDENTIFIED BY 'turn'; \
                     GRANT ALL ON turn.* TO turn@'127.0.0.1'",
                    "mysql",
                );
            }
            Kind::Redis => {}
        }
        database
    }

    /// Where a store finds it.
    pub fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::Postgres => format!("postgres://postgres@127.0.0.1:{port}/turn"),
            Kind::MariaDb => format!("mysql://turn:turn@127.0.0.1:{port}/turn"),
            Kind::Redis => format!("redis://127.0.0.1:{port}/0"),
        }
    }

    /// coturn's option and connection string for it.
    pub fn coturn(&self) -> [String; 2] {
        let port = self.port;
        match self.kind {
            Kind::Postgres => [
                "--psql-userdb".to_owned(),
                format!("host=127.0.0.1 port={port} dbname=turn user=postgres"),
            ],
            Kind::MariaDb => [
                "--mysql-userdb".to_owned(),
                format!("host=127.0.0.1 port={port} dbname=turn user=turn password=turn"),
            ],
            Kind::Redis => {
                ["--redis-userdb".to_owned(), format!("ip=127.0.0.1 dbname=0 port={port}")]
            }
        }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What its own client says to statements (words of a command with Redis).
    ///
    /// # Panics
    /// When they fail.
    pub fn run(&self, statements: &str) -> String {
        self.ask(statements, "turn")
    }

    /// Stops it, with all of its processes, as a machine that hangs: connections stay open, and
    /// new ones are accepted by the kernel.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Kills it with all of its processes.
    pub fn kill(&mut self) {
        self.signal("KILL");
        if let Some(mut process) = self.process.take() {
            process.wait(LIMIT);
        }
    }

    /// Starts it again after [`kill`](Self::kill), with what it had.
    ///
    /// # Panics
    /// When it does not answer within a minute.
    pub fn resume(&mut self) {
        let mut process = Running::start(&mut self.server());
        let ready = until(LIMIT, || {
            let word = if self.kind == Kind::Redis { "PING" } else { "SELECT 1" };
            let mut client = self.client(word, self.kind.first_database());
            !process.is_running() || client.output().is_ok_and(|output| output.status.success())
        });
        let words = process.output();
        assert!(ready.is_ok() && process.is_running(), "{:?} does not start:\n{words}", self.kind);
        self.process = Some(process);
    }

    /// A file for the server's eyes alone.
    fn write(&self, name: &str, text: &str) {
        let path = self.data.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it can be closed");
        if is_root() {
            chown(&path, Some(UID), Some(UID)).expect("it can be given away");
        }
    }

    fn ask(&self, statements: &str, database: &str) -> String {
        let Finished { exit, output, .. } =
            Running::start(&mut self.client(statements, database)).finish(LIMIT);
        assert_eq!(exit, Some(0), "{:?}: {statements}\n{output}", self.kind);
        output
    }

    fn initialise(&self) {
        let data = self.data.path();
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut command = self.program("postgresql/bin/initdb");
                command.args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]);
                command.args(["--locale=C.UTF-8", "-D"]).arg(data.join("data"));
                command
            }
            Kind::MariaDb => {
                let tree = tree("mariadb/usr");
                let mut command = self.program("mariadb/usr/bin/mariadb-install-db");
                command
                    .args(["--no-defaults", "--skip-name-resolve", "--skip-test-db"])
                    .arg("--auth-root-authentication-method=normal")
                    .arg(format!("--basedir={}", tree.display()))
                    .arg(format!("--datadir={}", data.join("data").display()));
                command
            }
            Kind::Redis => return,
        };
        let Finished { exit, output, .. } = Running::start(&mut command).finish(LIMIT);
        assert_eq!(exit, Some(0), "{:?} cannot be made:\n{output}", self.kind);
    }

    fn server(&self) -> Command {
        let (data, port) = (self.data.path(), self.port.to_string());
        match self.kind {
            Kind::Postgres => {
                let mut command = self.program("postgresql/bin/postgres");
                // Without waiting for disks: what a killed process wrote is in the page cache.
                command.args(["-h", "127.0.0.1", "-F", "-p", &port]);
                command.arg("-k").arg(data).arg("-D").arg(data.join("data"));
                if self.has_tls {
                    let file = |name| data.join(name).display().to_string();
                    command.args(["-c", "ssl=on"]);
                    command.args(["-c", &format!("ssl_cert_file={}", file("certificate.pem"))]);
                    command.args(["-c", &format!("ssl_key_file={}", file("key.pem"))]);
                }
                command
            }
            Kind::MariaDb => {
                let mut command = self.program("mariadb/usr/sbin/mariadbd");
                command
                    .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
                    .arg("--innodb-buffer-pool-size=16M")
                    .arg(format!("--port={port}"))
                    .arg(format!("--basedir={}", tree("mariadb/usr").display()))
                    .arg(format!("--datadir={}", data.join("data").display()))
                    .arg(format!("--socket={}", data.join("socket").display()));
                if self.has_tls {
                    let file = |name| data.join(name).display().to_string();
                    command.arg(format!("--ssl-cert={}", file("certificate.pem")));
                    command.arg(format!("--ssl-key={}", file("key.pem")));
                }
                command
            }
            Kind::Redis => {
                let mut command = self.program("redis/usr/bin/redis-server");
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                command.arg("--dir").arg(data);
                command
            }
        }
    }

    fn client(&self, statements: &str, database: &str) -> Command {
        let port = self.port.to_string();
        match self.kind {
            Kind::Postgres => {
                let mut command = self.program("postgresql/bin/psql");
                command.args(["-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-p", &port]);
                command.args(["-v", "ON_ERROR_STOP=1"]);
                command.args(["-U", "postgres", "-d", database, "-c", statements]);
                command
            }
            Kind::MariaDb => {
                let mut command = self.program("mariadb/usr/bin/mariadb");
                // Root comes through the socket, the account of tests over TCP.
                command.args(["--no-defaults", "--batch", "--skip-column-names", "-u", "root"]);
                command.arg(format!("--socket={}", self.data.path().join("socket").display()));
                command.args(["-e", statements, database]);
                command
            }
            Kind::Redis => {
                let mut command = self.program("redis/usr/bin/redis-cli");
                command.args(["-h", "127.0.0.1", "-p", &port]).args(statements.split(' '));
                command
            }
        }
    }

    /// A program in the directory of the data, as whom that belongs to; it ends when the thread
    /// does that started it.
    fn program(&self, path: &str) -> Command {
        let program = tree(path);
        assert!(program.is_file(), "{} is missing; run: cargo xtask tools", program.display());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if is_root() {
            command.arg(format!("--reuid={UID}")).arg(format!("--regid={UID}"));
            command.arg("--clear-groups");
        }
        command.args(["env", "-C"]).arg(self.data.path()).arg(program);
        command
    }

    /// Sends a signal to the server and to its children, which PostgreSQL gives sessions of their
    /// own.
    fn signal(&self, name: &str) {
        let Some(process) = &self.process else {
            return;
        };
        let mut family = vec![process.id()];
        family.extend(children(process.id()));
        let mut command = Command::new("kill");
        command.arg(format!("-{name}")).args(family.iter().map(u32::to_string));
        // One of the children may have ended in between.
        let _ = command.output();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Nothing of its data is wanted, and what is frozen hears nothing else.
        self.kill();
    }
}

impl Kind {
    const fn first_database(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mysql",
            Self::Redis => "",
        }
    }
}

/// Runs Debian's `turnadmin` with its words.
///
/// # Panics
/// When it is not there or fails.
pub fn turnadmin<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let program = tree("coturn/usr/bin/turnadmin");
    assert!(program.is_file(), "coturn's turnadmin is missing; run: cargo xtask tools");
    let mut command = Command::new(program);
    command.args(words);
    let Finished { exit, output, .. } = Running::start(&mut command).finish(LIMIT);
    // It logs wherever it may write, and cannot be told otherwise.
    for log in output.split("log file opened: ").skip(1).filter_map(|rest| rest.lines().next()) {
        if log.contains("/turn_") {
            let _ = fs::remove_file(log.trim());
        }
    }
    assert_eq!(exit, Some(0), "{command:?}\n{output}");
    output
}

/// coturn's `schema.sql`.
///
/// # Panics
/// When it is not there.
pub fn coturn_schema() -> String {
    let path = tree("coturn/usr/share/coturn/schema.sql");
    match fs::read_to_string(&path) {
        Ok(schema) => schema,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{} is missing; run: cargo xtask tools", path.display())
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign").join(path)
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let list = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output();
    let list = list.expect("ps is there");
    String::from_utf8_lossy(&list.stdout)
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
