//! Debian's coturn server: the oracle that shows what a test says about another server, and the
//! other side of benches.

use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::ports::{free_port, free_ports};
use super::process::{Running, coturn, until};

/// How many relay ports it gets.
const RELAY_PORTS: u16 = 400;

/// How often it is started anew on other ports when one was taken in the meantime.
const TRIES: usize = 3;

/// A running coturn server. It relays to loopback: it serves tests on one machine.
#[derive(Debug)]
pub struct Oracle {
    address: SocketAddr,
    process: Running,
    /// Where the process that serves tells its id, when it is not the one that was started.
    pidfile: Option<PathBuf>,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let Some(pidfile) = &self.pidfile else { return };
        let Ok(id) = fs::read_to_string(pidfile) else { return };
        let _ = Command::new("kill").arg(id.trim()).status();
        let _ = until(Duration::from_secs(5), || !answers_binding(self.address));
    }
}

impl Oracle {
    /// Starts one with static users, each `(name, password)`, on an address of this machine.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    pub fn with_users(address: IpAddr, users: &[(&str, &str)]) -> Self {
        let users = users
            .iter()
            .flat_map(|(name, password)| ["--user".into(), format!("{name}:{password}").into()])
            .collect();
        Self::start(address, users)
    }

    /// Starts one with a shared secret for time-limited credentials.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    pub fn with_secret(address: IpAddr, secret: &str) -> Self {
        let secret = ["--use-auth-secret".into(), "--static-auth-secret".into(), secret.into()];
        Self::start(address, secret.to_vec())
    }

    /// Starts one with options of its own, beside the ports, the realm and the lab switches.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    pub fn start(address: IpAddr, options: Vec<OsString>) -> Self {
        for _ in 0..TRIES {
            let mut oracle = Self::launch(address, &options);
            let address = oracle.address;
            let answers = || !oracle.process.is_running() || answers_binding(address);
            let waited = until(Duration::from_secs(15), answers);
            if waited.is_ok() && oracle.process.is_running() {
                return oracle;
            }
            eprintln!("coturn on {address} does not answer: {}", oracle.process.output());
        }
        panic!("coturn's server did not start in {TRIES} tries")
    }

    /// Starts one with a configuration file as it is, on the paths and ports that it names: in
    /// namespaces of the test's own. `address` is where it answers.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    pub fn with_file(file: &Path, address: SocketAddr) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let mut command = coturn("turnserver");
        command.arg("-c").arg(file);
        let mut oracle = Self {
            address,
            process: Running::start_in(directory, &mut command),
            pidfile: pidfile_of_daemon(file),
        };
        let forks = oracle.pidfile.is_some();
        let answers = || !(forks || oracle.process.is_running()) || answers_binding(address);
        let waited = until(Duration::from_secs(15), answers);
        let is_up = waited.is_ok() && (forks || oracle.process.is_running());
        assert!(is_up, "coturn does not answer on {address}: {}", oracle.process.output());
        oracle
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for its log and its figures.
    pub fn process(&self) -> &Running {
        &self.process
    }

    fn launch(address: IpAddr, options: &[OsString]) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let port = free_port(address);
        let relay = free_ports(address, RELAY_PORTS);
        let ip = address.to_string();
        let mut command = coturn("turnserver");
        // No file of the machine is read or written: `-n` is "no configuration file".
        command.args(["-n", "--listening-ip", &ip, "--relay-ip", &ip]);
        command.args(["--listening-port", &port.to_string()]);
        command.args(["--min-port", &relay.to_string()]);
        command.args(["--max-port", &(relay + RELAY_PORTS - 1).to_string()]);
        command.args(["--realm", "oracle.example", "--lt-cred-mech", "--allow-loopback-peers"]);
        command.args(["--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout"]);
        command.args(["--pidfile", "turnserver.pid", "--userdb", "turndb"]);
        command.args(options);
        let process = Running::start_in(directory, &mut command);
        Self { address: SocketAddr::new(address, port), process, pidfile: None }
    }
}

/// The `pidfile` of a file that says `daemon`.
fn pidfile_of_daemon(file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let forks = text.lines().any(|line| line == "daemon");
    let path = text.lines().find_map(|line| line.strip_prefix("pidfile="));
    path.filter(|_| forks).map(|path| PathBuf::from(path.trim_matches('"')))
}

/// Whether a Binding request gets an answer.
pub(crate) fn answers_binding(server: SocketAddr) -> bool {
    let attempt = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((server.ip(), 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(server)?;
        socket.send(b"\x00\x01\x00\x00\x21\x12\xa4\x42are you up??")?;
        let mut reply = [0; 128];
        let length = socket.recv(&mut reply)?;
        Ok(reply.get(..length).is_some_and(|reply| reply.starts_with(b"\x01\x01")))
    };
    attempt().unwrap_or(false)
}
