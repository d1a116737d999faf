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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// Where relay sockets are bound.
    pub bound: IpAddr,
    /// What clients and peers are told; equal to `bound` unless `external` maps it.
    pub advertised: IpAddr,
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
        match relay_address(relays, peer.ip()) {
            // Whether the port is live is asked packet by packet.
            Some(relay_address) if self.may_be_relayed(peer.port()) => {
                Ok(Target::Inside { relay_address, port: peer.port() })
            }
            Some(_) | None => self.judge_outside(relays, peer).map(Target::Outside),
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
        let address = peer.ip();
        let reach = reach(address);
        // [H1, H2, H5]
        if reach == Reach::Never || self.broadcasts.contains(&address) || self.is_endpoint(peer) {
            return Err(Denied);
        }
        // [H3] Deny wins.
        if self.deny.iter().any(|rule| rule.covers(address, peer.port())) {
            return Err(Denied);
        }
        let is_own = self.own.contains(&address) || relay_address(relays, address).is_some();
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

    fn is_endpoint(&self, peer: SocketAddr) -> bool {
        self.endpoints.iter().any(|endpoint| {
            endpoint.port() == peer.port()
                && peer.port() != 0
                && (endpoint.ip() == peer.ip()
                    || endpoint.ip().is_unspecified()
                        && (self.own.contains(&peer.ip()) || peer.ip().is_loopback()))
        })
    }
}

/// The relay address that an address is, in its bound or its advertised form.
pub(crate) fn relay_address(relays: &[RelayAddress], address: IpAddr) -> Option<usize> {
    relays.iter().position(|relay| relay.advertised == address || relay.bound == address)
}

fn bound_form(relays: &[RelayAddress], peer: SocketAddr) -> SocketAddr {
    relays
        .iter()
        .find(|relay| relay.advertised == peer.ip())
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
        let relays = vec![RelayAddress { bound: ip("10.0.0.5"), advertised: ip("203.0.113.5") }];
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
