//! A guide's configuration: Debian's coturn and ours on the same file, and ours on its import.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use turn_client::Credentials;
use turn_credentials::UnixSeconds;
use turn_tests::foreign::{Oracle, listening};
use turn_tests::system::{Authority, Daemon, KeyKind, Look, Syslog};

use crate::listeners::every_listener_relays;
use crate::peers::{
    PEERS, clients_reach_each_other_whatever_is_denied, media_servers_are_reached_or_named,
    ranges_that_coturn_opens_and_we_do_not,
};
use crate::{FILE, ip};

/// What a fixture needs beside its file, and where ours and coturn part.
pub(crate) struct Fixture {
    /// Its name in `crates/coturn/tests/fixtures`.
    pub(crate) name: &'static str,
    /// Where its clients are sent to.
    pub(crate) server: &'static str,
    /// What only coturn listens on, with the reason.
    pub(crate) only_coturn: &'static [(&'static str, &'static str)],
    /// What only ours listens on, with the reason.
    pub(crate) only_ours: &'static [(&'static str, &'static str)],
    /// What coturn is given of the file, where it does not take it as it is.
    pub(crate) coturn_reads: fn(&str) -> String,
}

/// What a server is like on a file.
#[derive(Debug, PartialEq, Eq)]
struct View {
    listening: BTreeSet<String>,
    look: Look,
}

impl Fixture {
    /// One in which all is as with coturn.
    pub(crate) fn new(name: &'static str, server: &'static str) -> Self {
        Self { name, server, only_coturn: &[], only_ours: &[], coturn_reads: str::to_owned }
    }

    fn text(&self) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../crates/coturn/tests/fixtures")
            .join(format!("{}.conf", self.name));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn server(&self) -> SocketAddr {
        self.server.parse().unwrap()
    }

    /// Runs both servers on the file, one after the other, and ours on what it makes of it.
    pub(crate) fn compare(&self) {
        let text = self.text();
        place_certificate(&text);
        let credentials = credentials(&text);

        fs::write(FILE, (self.coturn_reads)(&text)).unwrap();
        let coturn = {
            let _oracle = Oracle::with_file(Path::new(FILE), self.server());
            self.view(&credentials)
        };
        eprintln!("coturn: {coturn:?}");
        fs::write(FILE, &text).unwrap();
        let ours = {
            let _syslog = Syslog::start();
            let _daemon = Daemon::with(Daemon::command().args(["-c", FILE]));
            let view = self.view(&credentials);
            every_listener_relays(&view.listening, &text, &credentials);
            view
        };
        eprintln!("ours: {ours:?}");
        let toml = import(&[]);
        let imported = {
            let _daemon = Daemon::with(Daemon::command().args(["-c", &toml]));
            self.view(&credentials)
        };
        assert_eq!(ours, imported, "the imported TOML does not do the same");
        self.compare_listeners(&coturn, &ours);
        self.compare_looks(&coturn.look, &ours.look);
    }

    /// Runs ours alone, with media servers on addresses of the relay and of its private network.
    pub(crate) fn reaches_or_names(&self, media: &[&str]) {
        let text = self.text();
        place_certificate(&text);
        fs::write(FILE, &text).unwrap();
        let syslog = Syslog::start();
        let daemon = Daemon::with(Daemon::command().args(["-c", FILE]));
        let log = Log { daemon: &daemon, file: option(&text, "log-file"), syslog: &syslog };
        media_servers_are_reached_or_named(self.server(), &credentials(&text), media, &log);
    }

    fn view(&self, credentials: &Credentials) -> View {
        let peers = PEERS.map(ip);
        let listening = listening().iter().flat_map(|socket| each_address(socket)).collect();
        View { listening, look: Look::at(self.server(), credentials, &peers) }
    }

    fn compare_listeners(&self, coturn: &View, ours: &View) {
        for (found, other, listed, whose) in [
            (&coturn.listening, &ours.listening, self.only_coturn, "coturn"),
            (&ours.listening, &coturn.listening, self.only_ours, "ours"),
        ] {
            let only: BTreeSet<&str> = found.difference(other).map(String::as_str).collect();
            let listed: BTreeSet<&str> = listed.iter().map(|(socket, _)| *socket).collect();
            assert_eq!(only, listed, "what only {whose} listens on");
        }
    }

    fn compare_looks(&self, coturn: &Look, ours: &Look) {
        assert_eq!(coturn.realm, ours.realm);
        assert_eq!(coturn.relayed, ours.relayed, "{coturn:?} {ours:?}");
        let [ipv4, ipv6] = coturn.relayed_of;
        assert_eq!(ipv4, ours.relayed_of[0], "{coturn:?} {ours:?}");
        if ipv6.is_ok_and(|address| address.is_ipv4()) {
            // coturn 4.6 tells the client of an IPv6 allocation the only `external-ip`.
            assert_eq!(ours.relayed_of[1], Ok(ip("2001:db8::7")));
        } else {
            assert_eq!(ipv6, ours.relayed_of[1], "{coturn:?} {ours:?}");
        }
        let named = ranges_that_coturn_opens_and_we_do_not();
        for (peer, theirs) in &coturn.verdicts {
            let verdict = ours.verdicts.get(peer).copied();
            if verdict == Some(*theirs) {
                continue;
            }
            let is_relay = ours.relayed_of.contains(&Ok(*peer));
            if is_relay && (*theirs, verdict) == (403, Some(200)) {
                assert!(clients_reach_each_other_whatever_is_denied());
                continue;
            }
            let is_named = named.iter().any(|range| range.contains(*peer));
            assert!(
                (*theirs, verdict) == (200, Some(403)) && is_named,
                "{peer}: coturn says {theirs}, ours {verdict:?}, docs/coturn.md does not say so"
            );
        }
    }
}

/// The sockets that one on a wildcard address stands for. coturn binds each address of the host when no
/// file names one; ours binds the wildcard, to serve addresses that come later too, and over UDP each
/// address beside it.
fn each_address(socket: &str) -> Vec<String> {
    for (wildcard, addresses) in [
        (" 0.0.0.0:", [" 127.0.0.1:", " 203.0.113.7:", " 10.20.0.5:"].as_slice()),
        (" [::]:", &[" [::1]:", " [2001:db8::7]:"]),
    ] {
        if socket.contains(wildcard) {
            return addresses.iter().map(|address| socket.replace(wildcard, address)).collect();
        }
    }
    vec![socket.to_owned()]
}

/// Wherever the file sends the log.
pub(crate) struct Log<'t> {
    daemon: &'t Daemon,
    file: Option<&'t str>,
    syslog: &'t Syslog,
}

impl Log<'_> {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        let mut text = self.daemon.output();
        text.extend(self.file.and_then(|file| fs::read_to_string(file).ok()));
        text.push_str(&self.syslog.text());
        text
    }
}

/// `turnserver import`: where the TOML is.
fn import(arguments: &[&str]) -> String {
    let output = Daemon::command().args(["import", FILE]).args(arguments).output().unwrap();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{notes}");
    let path = "/etc/imported.toml";
    fs::write(path, output.stdout).unwrap();
    path.to_owned()
}

/// A certificate where the file names one.
fn place_certificate(text: &str) {
    let leaf = Authority::new(KeyKind::Ecdsa).leaf(&["turn.example.org"]);
    for (key, pem) in [("cert", &leaf.certificate), ("pkey", &leaf.key)] {
        if let Some(path) = option(text, key) {
            fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            fs::write(path, pem).unwrap();
        }
    }
}

/// Somebody whom the file knows.
fn credentials(text: &str) -> Credentials {
    if let Some(secret) = option(text, "static-auth-secret") {
        return minted(secret);
    }
    let (name, password) = option(text, "user").unwrap().split_once(':').unwrap();
    Credentials::password(name, password)
}

fn minted(secret: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Credentials::time_limited(secret.as_bytes(), Some("ann"), UnixSeconds(now + 3_600))
}

/// The value of a line, without a remark.
pub(crate) fn option<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) = lines.find(|(found, _)| *found == key)?;
    value.split_whitespace().next()
}
