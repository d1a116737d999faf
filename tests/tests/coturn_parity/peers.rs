//! Peers that every fixture is asked for, and what is said of those that ours does not open.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Credentials};
use turn_tests::system::{Echo, channel, connect};

use crate::fixture::Log;
use crate::{SOON, ip};

/// Peers that any client may reach: ordinary global addresses.
pub(crate) const OUTSIDE: [&str; 2] = ["8.8.8.8", "2606:4700::1111"];

/// Private, own, public and special addresses.
pub(crate) const PEERS: [&str; 48] = [
    // Private.
    "10.0.0.1",
    "10.20.0.9",
    "10.255.255.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "100.64.0.1",
    "100.127.255.254",
    "fc00::1",
    "fd12:3456::1",
    // Own, and of this host.
    "203.0.113.7",
    "10.20.0.5",
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "2001:db8::7",
    // Public, some of them next to what is not.
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "192.169.0.1",
    "223.255.255.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    // Special.
    "0.0.0.0",
    "0.0.0.1",
    "169.254.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.99",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "fe80::1",
    "ff02::1",
    "2001:db8::99",
];

/// Addresses from one to another, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    first: IpAddr,
    last: IpAddr,
}

impl Range {
    /// Reads one address, `first-last` or `address/bits`, each also with ports behind it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((address, bits)) = text.split_once('/') {
            let bits: u32 = bits.split(':').next()?.parse().ok()?;
            return match address.trim_start_matches('[').parse().ok()? {
                IpAddr::V4(address) => {
                    let host = u32::MAX.checked_shr(bits).unwrap_or(0);
                    let last = (address.to_bits() | host).to_be_bytes();
                    Some(Self { first: address.into(), last: last.into() })
                }
                IpAddr::V6(address) => {
                    let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                    let last = (address.to_bits() | host).to_be_bytes();
                    Some(Self { first: address.into(), last: last.into() })
                }
            };
        }
        if let Some((first, last)) = text.split_once('-')
            && let (Ok(first), Ok(last)) = (first.parse(), last.parse())
        {
            return Some(Self { first, last });
        }
        let address = match text.split_once(':') {
            Some((address, _)) if !text.starts_with('[') && address.contains('.') => address,
            _ => text,
        };
        let address = address.parse().ok()?;
        Some(Self { first: address, last: address })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

/// The ranges of docs/coturn.md, section "Peers", that coturn lets a client reach and ours does not
/// unless the file says so.
pub(crate) fn ranges_that_coturn_opens_and_we_do_not() -> Vec<Range> {
    let ranges: Vec<_> = section().split('`').filter_map(Range::parse).collect();
    assert!(!ranges.is_empty(), "docs/coturn.md names no range");
    ranges
}

/// Whether the same section says so of relayed addresses in a denied range.
pub(crate) fn clients_reach_each_other_whatever_is_denied() -> bool {
    let words: Vec<_> = section().split_whitespace().map(str::to_owned).collect();
    words.join(" ").contains("always reach each other, also where a denied range covers its relay")
}

fn section() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/coturn.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) =
        text.split_once("\n## Peers").expect("docs/coturn.md has a section on peers");
    section.split("\n## ").next().unwrap().to_owned()
}

/// Media servers on a port of some addresses: a client reaches each, or the log names it with the line
/// that opens it.
pub(crate) fn media_servers_are_reached_or_named(
    server: SocketAddr,
    credentials: &Credentials,
    media: &[&str],
    log: &Log<'_>,
) {
    const PORT: u16 = 10_000;
    let mut client = connect(server, credentials.clone());
    client.allocate(&AllocateOptions::default()).unwrap();
    let everywhere = ["203.0.113.7", "10.20.0.5", "10.20.0.9"];
    let servers = everywhere.map(|address| Echo::on(SocketAddr::new(ip(address), PORT)));
    for (n, named) in (0..).zip(media.iter().map(|address| ip(address))) {
        let peer = SocketAddr::new(named, PORT);
        let bound = client.bind_channel(channel(n), peer);
        if let Err(error) = &bound {
            assert_eq!(error.code().map(|code| code.get()), Some(403), "{peer}: {error}");
        }
        // An address of the relay itself is granted, for another client may be behind it.
        client.send_channel(channel(n), b"offer").unwrap();
        let start = Instant::now();
        loop {
            if servers.iter().any(|server| !server.is_idle()) {
                eprintln!("{peer} is reached");
                break;
            }
            let text = log.text();
            if let Some(line) = text.lines().find(|line| names(line, named)) {
                eprintln!("{peer} is named: {line}");
                break;
            }
            assert!(start.elapsed() < SOON, "{peer} is neither reached nor named: {text}");
            thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = client.refresh(Duration::ZERO);
}

/// Whether a line of the log tells how a peer is opened.
fn names(line: &str, peer: IpAddr) -> bool {
    line.contains("WARN")
        && line.contains(&format!("peer={peer}"))
        && line.contains(&format!("line=\"allowed-peer-ip={peer}"))
}
