//! The `[credentials]` listener of the real server: what it gives out opens the same server's relay, and
//! to nobody who should not have it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod door;
mod pages;
mod shapes;
mod tenants;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use turn_client::TlsOptions;
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Authority, Daemon, HttpRequest, HttpResponse, IceServer, KeyKind, PemFiles,
};

const SECOND: Duration = Duration::from_secs(1);

/// The name in the certificate.
const NAME: &str = "turn.example.org";

/// A server key by its id, and one of another tenant.
const APP: (&str, &str) = ("app", "a-server-key-of-the-app");
const OTHER: (&str, &str) = ("other", "a-server-key-of-others");

/// What the credentials of [`APP`] are made from.
const SECRET: &[u8] = b"a long random text of app";

/// A browser key.
const PAGE_KEY: &str = "page-key-1";

/// The longest that a credential may live.
const MAX_TTL: u64 = 7_200;

/// A server that gives out credentials.
struct Issuing {
    daemon: Daemon,
    server: SocketAddr,
    door: SocketAddr,
    metrics: SocketAddr,
    socket: PathBuf,
    tls: TlsOptions,
    directory: TempDir,
    /// Whether the door speaks TLS.
    over_tls: bool,
}

/// What differs from one test to another.
#[derive(Debug, Clone, Copy, Default)]
struct Terms<'t> {
    over_tls: bool,
    /// The origin of the browser key; a default where it is empty.
    origin: &'t str,
    /// More lines of `[credentials]`.
    more: &'t str,
}

impl Issuing {
    fn start(terms: Terms<'_>) -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new(KeyKind::Ecdsa);
        authority.write_to(directory.path());
        let files = authority.leaf(&[NAME, "127.0.0.1"]).write_to(directory.path(), "server");
        let [server, door, metrics] = [(); 3].map(|()| SocketAddr::new(IPV4, free_port(IPV4)));
        let origin = if terms.origin.is_empty() { "https://app.example.org" } else { terms.origin };
        let toml = format!(
            r#"realm = "example.org"
shards = 2
[[listen]]
address = "{server}"
transports = ["udp", "tcp", "tls"]
[relay]
addresses = ["{IPV4}"]
[auth]
secrets = [
    {{ secret = "a long random text of app", tenant = "app" }},
    {{ secret = "a long random text of web", tenant = "web" }},
    "a long random text of nobody",
]
[credentials]
address = "{door}"
tls = {}
max_ttl = "{MAX_TTL}s"
server_keys = [
    {{ id = "app", key = "{}", tenant = "app" }},
    {{ id = "other", key = "{}" }},
]
browser_keys = [{{ key = "{PAGE_KEY}", origins = ["{origin}"], user = "web", ttl = "10m", tenant = "web" }}]
{}
[usage]
path = "{dir}/usage.db"
[metrics]
address = "{metrics}"
[admin]
socket = "{dir}/admin.sock"
[lab]
loopback_peers = true
{}"#,
            terms.over_tls,
            APP.1,
            OTHER.1,
            terms.more,
            PemFiles::table(&[files]),
            dir = directory.path().display(),
        );
        fs::write(directory.path().join("turnserver.toml"), toml).unwrap();
        let file = directory.path().join("turnserver.toml");
        let daemon = Daemon::with(Daemon::command().arg("--config").arg(file));
        Self {
            daemon,
            server,
            door,
            metrics,
            socket: directory.path().join("admin.sock"),
            tls: TlsOptions::new(NAME, vec![authority.der()]),
            directory,
            over_tls: terms.over_tls,
        }
    }

    /// Asks the door.
    fn ask(&self, request: &HttpRequest) -> HttpResponse {
        let answer = match self.over_tls {
            true => request.to_tls(self.door, &self.tls),
            false => request.to(self.door),
        };
        answer.unwrap()
    }

    /// The credential that the application gets, as an entry of its own.
    #[track_caller]
    fn of_app(&self, query: &str) -> IceServer {
        let answer = self.ask(&HttpRequest::get(format!("/v1/credentials?{query}")).bearer(APP.1));
        assert_eq!(answer.status, 200, "{answer:?}");
        relay(&IceServer::read_all(answer.json().get("iceServers").unwrap()))
    }

    fn url(&self) -> String {
        let scheme = if self.over_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.door)
    }

    /// Who has signed its certificate, in PEM.
    fn authority_file(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("turnserver.toml")
    }

    /// `turnserver COMMAND` over its socket.
    #[track_caller]
    fn command(&self, command: &str) {
        let socket: &Path = &self.socket;
        let done = Daemon::run([command.as_ref(), "--socket".as_ref(), socket.as_os_str()]);
        assert_eq!(done.exit, Some(0), "{}", done.output);
    }
}

/// The entry with the relays.
fn relay(servers: &[IceServer]) -> IceServer {
    servers.iter().find(|server| server.username.is_some()).unwrap().clone()
}
