//! Our server with every way in, on both loopback addresses, with certificates of an authority of
//! its own.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;
use turn_client::{Client, TlsOptions};

use super::authority::{Authority, KeyKind, Leaf, PemFiles};
use super::daemon::{Daemon, Stopped};
use super::scripted::user;
use crate::foreign::free_port;
use crate::lab::{IPV4, IPV6};

/// What differs from one test to another.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// Shards.
    pub shards: u32,
    /// Transports of each listener.
    pub transports: &'a [&'a str],
    /// The kind of key of the certificate.
    pub keys: KeyKind,
    /// More lines of each `[[listen]]`.
    pub listen: &'a str,
    /// More lines of `[relay]`.
    pub relay: &'a str,
    /// Lines of `[limits]`.
    pub limits: &'a str,
}

/// A running server; dropped, it is stopped.
#[derive(Debug)]
pub struct Site {
    daemon: Daemon,
    authority: Authority,
    leaf: Leaf,
    files: PemFiles,
    directory: TempDir,
    addresses: [SocketAddr; 2],
}

/// The names of its certificate.
const NAMES: &[&str] = &["turn.example.org", "localhost", "127.0.0.1", "::1"];

impl Default for Terms<'_> {
    fn default() -> Self {
        Self {
            shards: 1,
            transports: &["udp", "tcp", "tls"],
            keys: KeyKind::Ecdsa,
            listen: "",
            relay: "",
            limits: "",
        }
    }
}

impl Site {
    /// The shared secret of its time-limited credentials; its user is [`user`].
    pub const SECRET: &'static str = "shared";

    /// The name that its certificate is for, beside those of loopback.
    pub const NAME: &'static str = "turn.example.org";

    /// Starts one; when this returns it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(terms: &Terms<'_>) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let authority = Authority::new(terms.keys);
        let leaf = authority.leaf(NAMES);
        let files = leaf.write_to(directory.path(), "server");
        authority.write_to(directory.path());
        let addresses = [IPV4, IPV6].map(|ip| SocketAddr::new(ip, free_port(ip)));
        let mut toml = terms.file(&addresses);
        if terms.transports.iter().any(|transport| matches!(*transport, "tls" | "dtls")) {
            toml.push_str(&PemFiles::table(std::slice::from_ref(&files)));
        }
        let daemon = Daemon::with_file(&toml);
        Self { daemon, authority, leaf, files, directory, addresses }
    }

    /// Where it listens on 127.0.0.1, over every transport.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where it listens on a loopback address.
    ///
    /// # Panics
    /// When it is none.
    pub fn address_on(&self, ip: IpAddr) -> SocketAddr {
        let mut addresses = self.addresses.iter();
        *addresses.find(|address| address.ip() == ip).expect("a loopback address")
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Who has signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The certificate that it was started with.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Where certificate and key lie.
    pub fn files(&self) -> &PemFiles {
        &self.files
    }

    /// A directory of the test's own, with `authority.pem` in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client's view: trusts the authority and asks for [`NAME`](Self::NAME).
    pub fn tls_options(&self) -> TlsOptions {
        TlsOptions::new(Self::NAME, vec![self.authority.der()])
    }

    /// A client of [`user`] over TCP.
    ///
    /// # Panics
    /// When it cannot connect.
    pub fn connect_tcp(&self) -> Client {
        let local = SocketAddr::new(IPV4, 0);
        let client = Client::connect_tcp(local, self.address(), user());
        client.unwrap_or_else(|error| panic!("no TCP connection: {error}"))
    }

    /// A client of [`user`] over TLS.
    ///
    /// # Panics
    /// When it cannot connect.
    pub fn connect_tls(&self) -> Client {
        let local = SocketAddr::new(IPV4, 0);
        let client = Client::connect_tls(local, self.address(), &self.tls_options(), user());
        client.unwrap_or_else(|error| panic!("no TLS connection: {error}"))
    }

    /// Sends a signal by name and waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(self, signal: &str) -> Stopped {
        self.daemon.stop(signal)
    }
}

impl Terms<'_> {
    /// The configuration file, without `[tls]`.
    fn file(&self, addresses: &[SocketAddr]) -> String {
        let mut toml = format!("shards = {}\n", self.shards);
        let transports = self.transports.join("\", \"");
        for address in addresses {
            let listen = format!("[[listen]]\naddress = \"{address}\"\n");
            toml.push_str(&listen);
            let _ = writeln!(toml, "transports = [\"{transports}\"]\n{}", self.listen);
        }
        let relay = format!("[relay]\naddresses = [\"{IPV4}\", \"{IPV6}\"]\n{}\n", self.relay);
        toml.push_str(&relay);
        let auth = format!(
            "[auth]\nusers = {{ ann = \"secret\" }}\nsecrets = [\"{}\"]\n[limits]\n{}\n",
            Site::SECRET,
            self.limits
        );
        toml.push_str(&auth);
        toml.push_str("[lab]\nloopback_peers = true\n");
        toml
    }
}
