//! The first refused peer of each range, with the very line that would open it.
//!
//! Where coturn lets clients reach private networks and we do not, this is how an operator finds
//! out which line is missing.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tracing::{info, warn};
use turn_config::{Config, PeerRule};
use turn_engine::RealmId;

use super::redaction::Redaction;

/// What the configuration says of peers, as far as a line about a refused one needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerHints {
    /// Addresses of this host, advertised ones included.
    pub own: Vec<IpAddr>,
    /// `peers.deny` of each realm, by its id, and the realm's name; the default realm's is empty.
    pub realms: Vec<(String, Vec<PeerRule>)>,
    /// The configuration is a file of coturn's, and its lines are too.
    pub is_coturn: bool,
}

impl PeerHints {
    /// Those of `config`; `names` are the realms in the order of their ids.
    pub fn new<'a>(
        config: &Config,
        names: impl IntoIterator<Item = &'a str>,
        own: Vec<IpAddr>,
        is_coturn: bool,
    ) -> Self {
        let realms = names.into_iter().enumerate().map(|(index, name)| {
            let realm = config.realms.iter().find(|realm| realm.name == name);
            match realm.filter(|_| index > 0) {
                Some(realm) => (name.to_owned(), realm.peers.deny.clone()),
                None => (String::new(), config.peers.deny.clone()),
            }
        });
        Self { own, realms: realms.collect(), is_coturn }
    }
}

/// Which ranges have been told of.
#[derive(Debug, Default)]
pub(super) struct DeniedPeers(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    hints: Arc<PeerHints>,
    ranges: HashSet<(u16, String)>,
}

/// Ranges that get a line of their own before we fall silent.
const MOST: usize = 64;

/// What nobody may reach unless an `allow` entry opens it, as docs/architecture.md lists it.
const RESERVED: [&str; 22] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "2001::/23",
    "2001:db8::/32",
    "2620:4f:8000::/48",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
];

/// Why a peer was refused, as far as can be told from its address.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// A `deny` entry.
    Denied(PeerRule),
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// An address of this host.
    Own,
    /// The built-in list.
    Reserved(&'static str),
    /// Multicast and the like, or a port of an address that is open otherwise.
    Other,
}

impl DeniedPeers {
    /// Goes by these hints from now on; what they change is told of again.
    pub(super) fn set_hints(&self, hints: PeerHints) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *told.hints != hints {
            *told = Told { hints: Arc::new(hints), ranges: HashSet::new() };
        }
    }

    /// A client of `realm` asked for `peer` and was refused.
    pub(super) fn tell(&self, realm: RealmId, peer: IpAddr, redaction: &Redaction) {
        let peer = peer.to_canonical();
        let (hints, refusal) = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let refusal = refusal(&told.hints, realm, peer);
            let range = match &refusal {
                Refusal::Denied(rule) => rule.to_string(),
                Refusal::Loopback => "loopback".to_owned(),
                Refusal::Reserved(range) => (*range).to_owned(),
                Refusal::Own => peer.to_string(),
                Refusal::Other => "other".to_owned(),
            };
            if told.ranges.len() >= MOST || !told.ranges.insert((realm.0, range)) {
                return;
            }
            (Arc::clone(&told.hints), refusal)
        };
        say(&hints, realm, peer, &refusal, redaction);
    }
}

fn say(hints: &PeerHints, realm: RealmId, peer: IpAddr, refusal: &Refusal, redaction: &Redaction) {
    let shown = redaction.peer(peer);
    // Where addresses are not to be shown, the range stands for the peer.
    let named = match refusal {
        Refusal::Reserved(range) if !redaction.shows_addresses() => (*range).to_owned(),
        Refusal::Reserved(_)
        | Refusal::Denied(_)
        | Refusal::Loopback
        | Refusal::Own
        | Refusal::Other => peer.to_string(),
    };
    match refusal {
        // There an allowed address is taken out of the denied ranges.
        Refusal::Denied(rule) if hints.is_coturn => warn!(
            peer = %shown, %rule, line = line(hints, realm, &named, false),
            "a client asked for a peer that denied-peer-ip refuses; if it is meant to be reached, `line` opens it"
        ),
        Refusal::Denied(rule) => info!(
            peer = %shown, %rule,
            "a client asked for a peer that peers.deny refuses"
        ),
        Refusal::Other => info!(
            peer = %shown,
            "a client asked for a peer that cannot be one: multicast, unspecified, a port that no allow entry names, or one of our listeners"
        ),
        Refusal::Loopback => warn!(
            peer = %shown, line = loopback_line(hints),
            "a client asked for a loopback address of this host; for a trial on one machine only, `line` opens it"
        ),
        Refusal::Own => warn!(
            peer = %shown, line = line(hints, realm, &named, true),
            "a client asked for an address of this host; if a service here is meant to be reached, `line` opens its ports"
        ),
        Refusal::Reserved(range) => warn!(
            peer = %shown, range, line = line(hints, realm, &named, false),
            "a client asked for a peer in a range that is closed; if it is meant to be reached, `line` opens it"
        ),
    }
}

/// What to write to open `peer`. Its own quotes are single ones, so that the log need not escape them.
fn line(hints: &PeerHints, realm: RealmId, peer: &str, with_ports: bool) -> String {
    if hints.is_coturn {
        return format!("allowed-peer-ip={}", peer.split('/').next().unwrap_or(peer));
    }
    let peer = match (with_ports, peer.contains(':')) {
        (false, _) => peer.to_owned(),
        (true, false) => format!("{peer}:10000-20000"),
        (true, true) => format!("[{peer}]:10000-20000"),
    };
    match hints.realms.get(usize::from(realm.0)).map(|(name, _)| name.as_str()) {
        None | Some("") => format!("[peers] allow = ['{peer}']"),
        Some(name) if name.contains('\'') => format!("[realms.{name:?}.peers] allow = ['{peer}']"),
        Some(name) => format!("[realms.'{name}'.peers] allow = ['{peer}']"),
    }
}

fn loopback_line(hints: &PeerHints) -> &'static str {
    if hints.is_coturn { "allow-loopback-peers" } else { "[lab] loopback_peers = true" }
}

fn refusal(hints: &PeerHints, realm: RealmId, peer: IpAddr) -> Refusal {
    let deny = hints.realms.get(usize::from(realm.0)).map(|(_, deny)| deny.as_slice());
    if let Some(rule) = deny
        .unwrap_or_default()
        .iter()
        .find(|rule| rule.ports.is_none() && rule.range.contains(peer))
    {
        return Refusal::Denied(rule.clone());
    }
    if peer.is_loopback() {
        return Refusal::Loopback;
    }
    if hints.own.contains(&peer) {
        return Refusal::Own;
    }
    let reserved =
        RESERVED.iter().find(|range| range.parse().is_ok_and(|range: IpNet| range.contains(&peer)));
    match reserved {
        Some(range) if !is_tunnel(peer) => Refusal::Reserved(range),
        Some(_) | None => Refusal::Other,
    }
}

/// Teredo lies within 2001::/23 and is never opened.
fn is_tunnel(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => matches!(v6.segments(), [0x2001, 0, ..]),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn each_kind_of_refusal_is_told_apart() {
        let hints = hints();
        let of = |text: &str| refusal(&hints, RealmId(0), text.parse().unwrap());
        assert_eq!(of("10.1.2.3"), Refusal::Reserved("10.0.0.0/8"));
        assert_eq!(of("fd00::1"), Refusal::Reserved("fc00::/7"));
        assert_eq!(of("10.0.0.5"), Refusal::Own);
        assert_eq!(of("127.0.0.9"), Refusal::Loopback);
        assert_eq!(of("::1"), Refusal::Loopback);
        assert_eq!(of("224.0.0.1"), Refusal::Other);
        assert_eq!(of("2001::5"), Refusal::Other);
        assert!(matches!(of("192.168.9.9"), Refusal::Denied(_)));
        let elsewhere = refusal(&hints, RealmId(1), "192.168.9.9".parse().unwrap());
        assert_eq!(elsewhere, Refusal::Reserved("192.168.0.0/16"));
    }

    #[test]
    fn every_reserved_range_is_one() {
        assert!(RESERVED.iter().all(|range| range.parse::<IpNet>().is_ok()));
    }

    #[test]
    fn the_line_is_one_of_the_file_in_use() {
        let toml = hints();
        assert_eq!(line(&toml, RealmId(0), "10.1.2.3", false), "[peers] allow = ['10.1.2.3']");
        assert_eq!(
            line(&toml, RealmId(1), "10.0.0.5", true),
            "[realms.'b.example'.peers] allow = ['10.0.0.5:10000-20000']"
        );
        assert_eq!(
            line(&toml, RealmId(0), "fd00::1", true),
            "[peers] allow = ['[fd00::1]:10000-20000']"
        );
        let coturn = PeerHints { is_coturn: true, ..toml };
        assert_eq!(line(&coturn, RealmId(0), "10.1.2.3", true), "allowed-peer-ip=10.1.2.3");
    }

    #[test]
    fn a_range_is_told_once_until_the_policy_changes() {
        let peers = DeniedPeers::default();
        let redaction = Redaction::new(&turn_config::Log::default());
        peers.set_hints(hints());
        let told = || peers.0.lock().unwrap().ranges.len();
        for text in ["10.1.2.3", "10.9.9.9", "fd00::1", "fd00::2"] {
            peers.tell(RealmId(0), text.parse().unwrap(), &redaction);
        }
        assert_eq!(told(), 2);
        peers.set_hints(hints());
        assert_eq!(told(), 2);
        peers.set_hints(PeerHints { is_coturn: true, ..hints() });
        assert_eq!(told(), 0);
    }

    fn hints() -> PeerHints {
        let text = "
            [peers]
            deny = ['192.168.9.0/24']
            [realms.'b.example']
            peers = { deny = [] }";
        let config = turn_config::from_str(text, std::path::Path::new("t")).unwrap();
        let own = vec!["10.0.0.5".parse().unwrap()];
        PeerHints::new(&config, ["localhost", "b.example"], own, false)
    }
}
