//! Which peers a client may name: one function on every path `[P6]`.
//!
//! Order, first match decides:
//!
//! 1. multicast, unspecified, embedded IPv4: never;
//! 2. one of our own relayed transport addresses: delivered inside the process,
//!    if an allocation has that port; else
//! 3. one of our own listeners: never;
//! 4. `deny`: no;
//! 5. one of our own addresses: only a port that an `allow` entry names;
//! 6. loopback: only by the lab switch;
//! 7. `allow`: yes;
//! 8. the built-in list ([`reserved_ranges`](crate::reserved_ranges)).
//!
//! RFC 8656 section 9.1 lets a server refuse peers, 21.4 demands it for tunnels.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::address_range::PeerRule;
use crate::reserved_ranges::{Reach, reach};

/// An address where relayed transport addresses are allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    /// Where relay sockets are bound.
    pub bound: IpAddr,
    /// What clients and peers are told from now on; equal to `bound` unless `external` maps it.
    /// What lives keeps what it was told.
    pub advertised: IpAddr,
    /// What was advertised before, the latest first; [`MOST_FORMER`](Self::MOST_FORMER) at most.
    pub former: Vec<IpAddr>,
}

impl RelayAddress {
    /// Former advertised addresses that [`follow`](Self::follow) remembers.
    pub const MOST_FORMER: usize = 4;

    /// An address whose advertised form has never been another.
    pub const fn new(bound: IpAddr, advertised: IpAddr) -> Self {
        Self { bound, advertised, former: Vec::new() }
    }

    /// Remembers what `before`, the same place in the settings until now, has advertised: a peer
    /// that names one of the last four addresses means us, as long as there is a relayed transport
    /// address that was given out with it.
    pub fn follow(&mut self, before: &Self) {
        if self.bound != before.bound {
            return;
        }
        let known = std::iter::once(&before.advertised).chain(&before.former).chain(&self.former);
        let mut former = Vec::new();
        for address in known {
            let is_present = [self.advertised, self.bound].contains(address);
            if !is_present && !former.contains(address) && former.len() < Self::MOST_FORMER {
                former.push(*address);
            }
        }
        self.former = former;
    }
}

/// What decides who may be a peer; built once from the configuration.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    /// `peers.allow`.
    pub allow: Vec<PeerRule>,
    /// `peers.deny`; wins over `allow`.
    pub deny: Vec<PeerRule>,
    /// Every address of this host, advertised ones included.
    pub own: Vec<IpAddr>,
    /// Directed broadcast addresses of this host's subnets.
    pub broadcasts: Vec<IpAddr>,
    /// Where this process listens; an unspecified address is every own one.
    pub endpoints: Vec<SocketAddr>,
    /// Ports of relayed transport addresses: no other port of a relay address can ever be one.
    /// `None`: any may be.
    pub relay_ports: Option<RangeInclusive<u16>>,
    /// The lab switch: 127.0.0.0/8 and ::1 are peers like any other.
    pub loopback: bool,
}

/// Where a packet for a peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Out of a relay socket, to this address.
    Outside(SocketAddr),
    /// To a relayed transport address of ours: the relay address's index and the port.
    Inside { relay_address: usize, port: u16 },
}

/// The policy says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied;

impl PeerPolicy {
    /// Judges a peer's address for a permission, where ports do not count
    /// (RFC 8656 section 9).
    pub(crate) fn judge_address(
        &self,
        relays: &[RelayAddress],
        peer: IpAddr,
    ) -> Result<(), Denied> {
        if relay_address(relays, peer).is_some() && reach(peer) != Reach::Never {
            return Ok(());
        }
        let denied = self.deny.iter().any(|rule| rule.ports.is_none() && rule.range.contains(peer));
        let opened = !denied && reach(peer) != Reach::Never && self.names_ports_of(peer);
        // Port 0 is nobody's port: it meets the rules that name no port.
        if opened {
            Ok(())
        } else {
            self.judge_outside(relays, SocketAddr::new(peer, 0)).map(|_| ())
        }
    }

    /// Judges a peer's transport address, for a channel and for every packet
    /// of a Send indication.
    pub(crate) fn judge(
        &self,
        relays: &[RelayAddress],
        peer: SocketAddr,
    ) -> Result<Target, Denied> {
        if reach(peer.ip()) == Reach::Never {
            return Err(Denied);
        }
        let own = relay_address(relays, peer.ip());
        match own {
            // Whether the port is live is asked packet by packet.
            Some(relay_address) if self.may_be_relayed(peer.port()) => {
                Ok(Target::Inside { relay_address, port: peer.port() })
            }
            Some(_) | None => self.judge_named(relays, peer, own.is_some()).map(Target::Outside),
        }
    }

    /// Judges a peer that is no live relayed transport address, and says where
    /// its packets go: an allowed port of an advertised address is reached at
    /// the bound one.
    pub(crate) fn judge_outside(
        &self,
        relays: &[RelayAddress],
        peer: SocketAddr,
    ) -> Result<SocketAddr, Denied> {
        self.judge_named(relays, peer, relay_address(relays, peer.ip()).is_some())
    }

    fn judge_named(
        &self,
        relays: &[RelayAddress],
        peer: SocketAddr,
        is_relay_address: bool,
    ) -> Result<SocketAddr, Denied> {
        let address = peer.ip();
        let reach = reach(address);
        // [H1, H2, H5]
        let is_own = is_relay_address || self.own.contains(&address);
        let is_closed = self.broadcasts.contains(&address) || self.is_endpoint(peer, is_own);
        if reach == Reach::Never || is_closed {
            return Err(Denied);
        }
        // [H3] Deny wins.
        if self.deny.iter().any(|rule| rule.covers(address, peer.port())) {
            return Err(Denied);
        }
        if self.loopback && reach == Reach::Loopback {
            return Ok(peer);
        }
        if reach == Reach::Loopback {
            return Err(Denied);
        }
        if is_own {
            // [H6] A range alone never opens an own address.
            let named = |rule: &PeerRule| rule.ports.is_some() && rule.covers(address, peer.port());
            return if self.allow.iter().any(named) {
                Ok(bound_form(relays, peer))
            } else {
                Err(Denied)
            };
        }
        let allowed = self.allow.iter().any(|rule| rule.covers(address, peer.port()));
        if allowed || reach == Reach::Global { Ok(peer) } else { Err(Denied) }
    }

    fn may_be_relayed(&self, port: u16) -> bool {
        self.relay_ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }

    /// Some port of this address is opened by a rule that names ports.
    fn names_ports_of(&self, address: IpAddr) -> bool {
        reach(address) != Reach::Loopback
            && self.allow.iter().any(|rule| rule.ports.is_some() && rule.range.contains(address))
    }

    fn is_endpoint(&self, peer: SocketAddr, is_own: bool) -> bool {
        self.endpoints.iter().any(|endpoint| {
            endpoint.port() == peer.port()
                && peer.port() != 0
                && (endpoint.ip() == peer.ip()
                    || endpoint.ip().is_unspecified() && (is_own || peer.ip().is_loopback()))
        })
    }
}

/// The relay address that an address is, in its bound or its advertised form, or in one that was
/// advertised before.
pub(crate) fn relay_address(relays: &[RelayAddress], address: IpAddr) -> Option<usize> {
    let mut former = None;
    for (place, relay) in relays.iter().enumerate() {
        if relay.advertised == address || relay.bound == address {
            return Some(place);
        }
        if !relay.former.is_empty() && former.is_none() && relay.former.contains(&address) {
            former = Some(place);
        }
    }
    former
}

fn bound_form(relays: &[RelayAddress], peer: SocketAddr) -> SocketAddr {
    let relay = relays.iter().find(|relay| relay.advertised == peer.ip());
    relay
        .or_else(|| relays.iter().find(|relay| relay.former.contains(&peer.ip())))
        .map_or(peer, |relay| SocketAddr::new(relay.bound, peer.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a transport address")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn net(text: &str) -> PeerRule {
        let net: ipnet::IpNet = text.parse().expect("a prefix");
        PeerRule { range: net.into(), ports: None }
    }

    fn with_ports(text: &str, first: u16, last: u16) -> PeerRule {
        PeerRule { ports: Some(first..=last), ..net(text) }
    }

    /// A host at 10.0.0.5 that is 203.0.113.5 outside.
    fn host() -> (Vec<RelayAddress>, PeerPolicy) {
        let relays = vec![RelayAddress::new(ip("10.0.0.5"), ip("203.0.113.5"))];
        let policy = PeerPolicy {
            own: vec![ip("10.0.0.5"), ip("203.0.113.5"), ip("10.9.9.9")],
            endpoints: vec![address("0.0.0.0:3478")],
            broadcasts: vec![ip("8.8.8.255")],
            ..PeerPolicy::default()
        };
        (relays, policy)
    }

    #[test]
    fn h6_own_relay_address_is_reached_inside_only() {
        let (relays, policy) = host();
        for own in ["203.0.113.5:50000", "10.0.0.5:50000", "203.0.113.5:22"] {
            assert!(
                matches!(policy.judge(&relays, address(own)), Ok(Target::Inside { .. })),
                "{own}"
            );
            assert_eq!(policy.judge_outside(&relays, address(own)), Err(Denied), "{own}");
        }
        assert_eq!(policy.judge_address(&relays, ip("203.0.113.5")), Ok(()));
        assert_eq!(policy.judge_address(&relays, ip("10.9.9.9")), Err(Denied));
    }

    #[test]
    fn h6_port_that_is_none_of_relays_is_judged_like_any_own_port() {
        let (relays, mut policy) = host();
        policy.relay_ports = Some(49_152..=65_535);
        policy.allow = vec![with_ports("203.0.113.5/32", 10_000, 20_000)];
        let judge = |peer: &str| policy.judge(&relays, address(peer));
        assert!(matches!(judge("203.0.113.5:50000"), Ok(Target::Inside { port: 50_000, .. })));
        assert_eq!(judge("203.0.113.5:22"), Err(Denied));
        assert_eq!(judge("10.0.0.5:10000"), Err(Denied));
        assert_eq!(judge("203.0.113.5:10000"), Ok(Target::Outside(address("10.0.0.5:10000"))));
        assert_eq!(policy.judge_address(&relays, ip("203.0.113.5")), Ok(()));
    }

    #[test]
    fn h6_allowed_port_of_an_advertised_address_goes_to_its_bound_form() {
        let (relays, mut policy) = host();
        policy.allow = vec![with_ports("203.0.113.5/32", 10_000, 20_000)];
        let judge = |peer: &str| policy.judge_outside(&relays, address(peer));
        assert_eq!(judge("203.0.113.5:10000"), Ok(address("10.0.0.5:10000")));
        assert_eq!(judge("203.0.113.5:9999"), Err(Denied));
        assert_eq!(judge("203.0.113.5:22"), Err(Denied));
        assert_eq!(judge("10.0.0.5:10000"), Err(Denied));
    }

    #[test]
    fn h6_former_address_is_ours_as_the_present_one_is() {
        let (before, mut policy) = host();
        let mut now = RelayAddress::new(ip("10.0.0.5"), ip("203.0.113.6"));
        now.follow(&before[0]);
        let relays = vec![now];
        policy.allow = vec![with_ports("203.0.113.5/32", 3_478, 20_000), net("203.0.113.0/24")];
        policy.own.retain(|own| *own != ip("203.0.113.5"));
        assert!(matches!(
            policy.judge(&relays, address("203.0.113.5:50000")),
            Ok(Target::Inside { relay_address: 0, port: 50_000 })
        ));
        let judge = |peer: &str| policy.judge_outside(&relays, address(peer));
        assert_eq!(judge("203.0.113.5:50000"), Err(Denied));
        assert_eq!(judge("203.0.113.5:10000"), Ok(address("10.0.0.5:10000")));
        // Nor does an old name lead to a listener.
        assert_eq!(judge("203.0.113.5:3478"), Err(Denied));
        assert_eq!(policy.judge_address(&relays, ip("203.0.113.5")), Ok(()));
    }

    #[test]
    fn former_addresses_are_bounded_and_none_is_the_present_one() {
        let at = |last: u8| RelayAddress::new(ip("10.0.0.5"), IpAddr::from([203, 0, 113, last]));
        let mut relay = at(1);
        for last in [2, 3, 1, 2, 4, 5, 6] {
            let mut next = at(last);
            next.follow(&relay);
            assert!(!next.former.contains(&next.advertised), "{next:?}");
            relay = next;
        }
        assert_eq!(relay.former, [5, 4, 2, 1].map(|last| IpAddr::from([203, 0, 113, last])));
        let mut elsewhere = RelayAddress::new(ip("10.0.0.6"), ip("203.0.113.9"));
        elsewhere.follow(&relay);
        assert!(elsewhere.former.is_empty());
    }

    #[test]
    fn h6_a_range_without_ports_never_opens_an_own_address() {
        let (relays, mut policy) = host();
        policy.allow = vec![net("10.0.0.0/8"), net("203.0.113.0/24")];
        assert_eq!(policy.judge_outside(&relays, address("10.0.0.5:80")), Err(Denied));
        assert_eq!(policy.judge_outside(&relays, address("10.9.9.9:80")), Err(Denied));
        assert_eq!(
            policy.judge_outside(&relays, address("10.0.0.6:80")),
            Ok(address("10.0.0.6:80"))
        );
    }

    #[test]
    fn h1_own_listener_stays_closed_whatever_is_allowed() {
        let (relays, mut policy) = host();
        policy.allow = vec![with_ports("10.0.0.5/32", 1, 65_535)];
        policy.loopback = true;
        assert_eq!(policy.judge_outside(&relays, address("10.0.0.5:3478")), Err(Denied));
        assert_eq!(policy.judge_outside(&relays, address("127.0.0.1:3478")), Err(Denied));
        assert_eq!(
            policy.judge_outside(&relays, address("10.0.0.5:8000")),
            Ok(address("10.0.0.5:8000"))
        );
    }

    #[test]
    fn h1_loopback_opens_by_the_lab_switch_only() {
        let (relays, mut policy) = host();
        policy.allow = vec![net("127.0.0.0/8"), net("::1/128"), with_ports("127.0.0.1/32", 80, 80)];
        for peer in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"] {
            assert_eq!(policy.judge(&relays, address(peer)), Err(Denied), "{peer}");
            assert_eq!(policy.judge_address(&relays, address(peer).ip()), Err(Denied), "{peer}");
        }
        policy.loopback = true;
        for peer in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"] {
            assert_eq!(
                policy.judge(&relays, address(peer)),
                Ok(Target::Outside(address(peer))),
                "{peer}"
            );
            assert_eq!(policy.judge_address(&relays, address(peer).ip()), Ok(()), "{peer}");
        }
    }

    #[test]
    fn h3_deny_wins_over_allow() {
        let (relays, mut policy) = host();
        policy.allow = vec![net("192.168.0.0/16")];
        policy.deny = vec![net("192.168.1.0/24"), net("9.9.9.9/32")];
        assert_eq!(policy.judge_address(&relays, ip("192.168.1.7")), Err(Denied));
        assert_eq!(policy.judge_address(&relays, ip("9.9.9.9")), Err(Denied));
        assert_eq!(policy.judge_address(&relays, ip("192.168.2.7")), Ok(()));
    }

    #[test]
    fn h5_multicast_and_broadcast_stay_closed_whatever_is_allowed() {
        let (relays, mut policy) = host();
        policy.allow = vec![net("0.0.0.0/0"), net("::/0")];
        policy.loopback = true;
        for peer in [
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "ff02::1",
            "::",
            "8.8.8.255",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(policy.judge_address(&relays, ip(peer)), Err(Denied), "{peer}");
            assert_eq!(policy.judge(&relays, SocketAddr::new(ip(peer), 9)), Err(Denied), "{peer}");
        }
        assert_eq!(policy.judge_address(&relays, ip("fd00::1")), Ok(()));
    }

    #[test]
    fn rule_with_ports_opens_the_permission_and_just_those_ports() {
        let (relays, mut policy) = host();
        policy.allow = vec![with_ports("192.168.1.7/32", 10_000, 10_010)];
        assert_eq!(policy.judge_address(&relays, ip("192.168.1.7")), Ok(()));
        assert!(policy.judge(&relays, address("192.168.1.7:10010")).is_ok());
        assert_eq!(policy.judge(&relays, address("192.168.1.7:10011")), Err(Denied));
    }
}
