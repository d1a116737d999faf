//! Peer rules of a store: coturn's tables `allowed_peer_ip` and `denied_peer_ip`.
//!
//! They mean what the options of the same names mean: in coturn allowing beats denying, and here it
//! is the other way round, so what is allowed is taken out of what is denied. A store changes while
//! the server runs, so nothing here refuses: what cannot be honoured becomes a remark.

use std::net::{IpAddr, Ipv6Addr};

use turn_config::{AddressRange, PeerRule};

use crate::ranges::{difference, lies_in, mapped, parse, union};

/// What the rules of a store come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPeers {
    /// Ranges to open.
    pub allow: Vec<PeerRule>,
    /// Ranges to close, without what is allowed.
    pub deny: Vec<PeerRule>,
    /// What could not be honoured, each a line; they name the entry.
    pub remarks: Vec<String>,
}

/// Reads the ranges of a realm, which are written as `a-b`, as a prefix or as one address. `own`:
/// the addresses of this host, which no range opens.
///
/// At most [`MOST_STORED_PEERS`] of each are read.
pub fn stored_peers(allowed: &[String], denied: &[String], own: &[IpAddr]) -> StoredPeers {
    let mut remarks = Vec::new();
    let allowed = read("allowed", allowed, &mut remarks);
    let denied = read("denied", denied, &mut remarks);
    let mut open = Vec::new();
    for range in &allowed {
        match unopened(*range, own) {
            Some(Unopened::All(why)) => remarks.push(format!("allowed peer {range}: {why}")),
            Some(Unopened::Some(own)) => {
                remarks.push(format!(
                    "allowed peer {range}: addresses of this host stay closed ({own}); open their \
                     ports by peers.allow = [\"ADDRESS:PORT-PORT\"]"
                ));
                open.push(*range);
            }
            None => open.push(*range),
        }
    }
    remarks.truncate(MOST_REMARKS);
    let holes = union(allowed);
    StoredPeers {
        allow: union(open).into_iter().map(whole).collect(),
        deny: difference(&union(denied), &holes).into_iter().map(whole).collect(),
        remarks,
    }
}

/// How many entries of each kind of a realm are read.
pub const MOST_STORED_PEERS: usize = 10_000;

/// A store with more mistakes than these needs no more lines.
const MOST_REMARKS: usize = 20;

fn read(kind: &str, entries: &[String], remarks: &mut Vec<String>) -> Vec<AddressRange> {
    if entries.len() > MOST_STORED_PEERS {
        remarks.push(format!(
            "{} {kind} peers, of which {MOST_STORED_PEERS} are read; write fewer and larger ranges",
            entries.len()
        ));
    }
    let mut ranges = Vec::new();
    for text in entries.iter().take(MOST_STORED_PEERS) {
        let shown = || text.chars().take(80).collect::<String>().escape_debug().to_string();
        match parse(text) {
            Ok(Some(range)) => ranges.extend(difference(&[range], &[mapped()])),
            Ok(None) => remarks.push(format!(
                "{kind} peer \"{}\": neither an address nor a range `a-b`; names are not looked up",
                shown()
            )),
            Err(why) => remarks.push(format!("{kind} peer \"{}\": {why}", shown())),
        }
    }
    ranges
}

/// What of an allowed range stays closed.
enum Unopened {
    /// All of it, and why.
    All(&'static str),
    /// These addresses of this host.
    Some(String),
}

fn unopened(range: AddressRange, own: &[IpAddr]) -> Option<Unopened> {
    let within = |first: IpAddr, last: IpAddr| lies_in(range, AddressRange { first, last });
    let loopback = Ipv6Addr::LOCALHOST.into();
    if within([127, 0, 0, 0].into(), [127, 255, 255, 255].into()) || within(loopback, loopback) {
        return Some(Unopened::All("loopback peers stay closed"));
    }
    let multicast = within([224, 0, 0, 0].into(), [239, 255, 255, 255].into())
        || range.first.is_multicast() && range.last.is_multicast();
    if multicast || range.last.is_unspecified() {
        return Some(Unopened::All("multicast and unspecified peers are never opened"));
    }
    let inside: Vec<String> =
        own.iter().filter(|own| range.contains(**own)).map(IpAddr::to_string).collect();
    (!inside.is_empty()).then(|| Unopened::Some(inside.join(", ")))
}

fn whole(range: AddressRange) -> PeerRule {
    PeerRule { range, ports: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(allowed: &[&str], denied: &[&str]) -> (String, String, String) {
        let own = [IpAddr::from([10, 20, 0, 5])];
        let owned = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let peers = stored_peers(&owned(allowed), &owned(denied), &own);
        let spell = |rules: &[PeerRule]| {
            rules.iter().map(PeerRule::to_string).collect::<Vec<_>>().join(" ")
        };
        (spell(&peers.allow), spell(&peers.deny), peers.remarks.join("\n"))
    }

    #[test]
    fn what_is_allowed_is_taken_out_of_what_is_denied() {
        let (allow, deny, remarks) = peers(
            &["192.168.7.0-192.168.7.255", "192.168.9.9"],
            &["192.168.0.0-192.168.255.255", "192.168.3.0/24", "9.9.9.9"],
        );
        assert_eq!(allow, "192.168.7.0/24 192.168.9.9");
        assert_eq!(
            deny,
            "9.9.9.9 192.168.0.0-192.168.6.255 192.168.8.0-192.168.9.8 192.168.9.10-192.168.255.255"
        );
        assert_eq!(remarks, "");
        assert_eq!(peers(&["0.0.0.0-255.255.255.255"], &["9.9.9.9"]).1, "");
    }

    #[test]
    fn this_host_loopback_and_multicast_stay_closed_and_it_is_said() {
        let (allow, _, remarks) = peers(&["127.0.0.1", "::1", "224.0.0.1", "10.0.0.0/8"], &[]);
        assert_eq!(allow, "10.0.0.0/8");
        assert_eq!(remarks.lines().count(), 4);
        assert!(remarks.contains("stay closed (10.20.0.5)"), "{remarks}");
    }

    #[test]
    fn what_is_no_range_is_a_remark_and_the_others_count() {
        let (allow, deny, remarks) =
            peers(&["media.example.org", "10.1.2.3/8"], &["x\u{1}", "9.9.9.9"]);
        assert_eq!((allow.as_str(), deny.as_str()), ("", "9.9.9.9"));
        assert!(remarks.contains("\"media.example.org\": neither"), "{remarks}");
        assert!(
            remarks.contains("write 10.0.0.0/8") && remarks.contains("\"x\\u{1}\""),
            "{remarks}"
        );
    }

    #[test]
    fn ten_thousand_overlapping_entries_are_taken_in_a_moment_and_no_more() {
        let allowed: Vec<String> =
            (0..11_000_u32).map(|n| format!("10.{}.{}.7", n / 250 % 250, n % 250)).collect();
        let denied = vec!["10.0.0.0/8".to_owned(); 10_000];
        let peers = stored_peers(&allowed, &denied, &[]);
        assert_eq!((peers.allow.len(), peers.deny.len()), (10_000, 10_001));
        assert!(peers.remarks.iter().any(|it| it.starts_with("11000 allowed peers")));
    }
}
