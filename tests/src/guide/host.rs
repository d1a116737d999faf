//! The host of the guides: `turnserver` with a guide's file as /etc/turnserver.toml, certificates where
//! certbot puts them, and clients that come by URL. All of it is in a root and a network of the test's
//! own ([`inside_root`](crate::system::inside_root) with [`HOST`]).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use turn_client::{AllocateOptions, Client, Credentials, Error, TlsOptions};

use crate::foreign::Finished;
use crate::system::{Authority, Daemon, KeyKind};

/// The public address of the guides.
pub const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// The network of the guides' host: one address, a default route.
pub const HOST: &[&str] = &[
    "ip link add uplink type veth peer name router",
    "ip link set uplink addrgenmode none",
    "ip link set router addrgenmode none",
    "ip address add 203.0.113.7/24 dev uplink",
    "ip link set uplink up",
    "ip link set router up",
    "ip route add default via 203.0.113.1",
];

/// The name of the guides' host.
const NAME: &str = "turn.example.org";

/// Where certbot puts its certificate.
const LIVE: &str = "/etc/letsencrypt/live/turn.example.org";

const FILE: &str = "/etc/turnserver.toml";

/// The host, with its server running.
#[derive(Debug)]
pub struct GuideHost {
    daemon: Daemon,
    authority: Authority,
}

impl GuideHost {
    /// Takes a guide's lines as they stand there and starts the server.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(toml: &str) -> Self {
        let authority = Self::prepare(toml);
        let daemon = Daemon::with(&mut Daemon::command());
        Self { daemon, authority }
    }

    /// `turnserver check` on a guide's lines.
    pub fn check(toml: &str) -> Finished {
        let _authority = Self::prepare(toml);
        Daemon::run(["check"])
    }

    /// The process.
    pub const fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Who has signed the host's certificate, in PEM, in a file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn authority_file(&self) -> String {
        self.authority.write_to(Path::new("/etc")).display().to_string()
    }

    /// Does what a browser does with an URL: a Binding for `stun:`, an allocation for `turn:` and
    /// `turns:`. Returns the address that it is given.
    ///
    /// # Errors
    /// What the server or the way to it says.
    ///
    /// # Panics
    /// When the URL is none of this host.
    pub fn try_url(
        &self,
        url: &str,
        username: &str,
        credential: &str,
    ) -> Result<SocketAddr, Error> {
        let (scheme, rest) = url.split_once(':').expect("an URL has a scheme");
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = place.split_once(':').expect("the guides name every port");
        assert!([NAME, "203.0.113.7"].contains(&host), "{url}");
        let server = SocketAddr::new(PUBLIC, port.parse().expect("a port"));
        let local = SocketAddr::new(PUBLIC, 0);
        let credentials = match username {
            "" => Credentials::anonymous(),
            name => Credentials::password(name, credential),
        };
        let mut client = match (scheme, query) {
            ("stun" | "turn", "" | "transport=udp") => Client::connect(local, server, credentials)?,
            ("turn", "transport=tcp") => Client::connect_tcp(local, server, credentials)?,
            ("turns", "transport=tcp") => {
                let options = TlsOptions::new(NAME, vec![self.authority.der()]);
                Client::connect_tls(local, server, &options, credentials)?
            }
            _ => panic!("{url} is no URL of the guides"),
        };
        if scheme == "stun" {
            return client.binding();
        }
        client.allocate(&AllocateOptions::default()).map(|allocation| allocation.relayed)
    }

    /// The same, and that it works.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect_url(&self, url: &str, username: &str, credential: &str) {
        let given = self.try_url(url, username, credential);
        let given = given.unwrap_or_else(|error| panic!("{url} for {username}: {error}"));
        assert_eq!(given.ip(), PUBLIC, "{url}");
    }

    fn prepare(toml: &str) -> Authority {
        let authority = Authority::new(KeyKind::Ecdsa);
        let leaf = authority.leaf(&[NAME]);
        let write = |path: &str, text: &str| {
            let written = fs::write(path, text);
            written.unwrap_or_else(|error| panic!("{path}: {error}"));
        };
        fs::create_dir_all(LIVE).expect("the root is the test's own");
        write(&format!("{LIVE}/fullchain.pem"), &leaf.certificate);
        write(&format!("{LIVE}/privkey.pem"), &leaf.key);
        write(FILE, toml);
        let closed = Command::new("chmod").args(["600", FILE]).status();
        assert!(closed.is_ok_and(|status| status.success()), "chmod");
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        if !hosts.contains(NAME) {
            write("/etc/hosts", &format!("{hosts}\n127.0.0.1 localhost\n{PUBLIC} {NAME}\n"));
        }
        authority
    }
}
