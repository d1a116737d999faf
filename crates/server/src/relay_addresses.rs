//! Chooses the addresses that relay sockets are bound to where none is configured.
//!
//! The address that the default route of a family sends from; without any
//! default route the first global address of each family; without that
//! loopback. A pure function: whoever calls it asks the kernel.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use turn_config::External;

/// One address of one network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix, in bits.
    pub prefix: u8,
    /// Whether the interface is a loopback one.
    pub loopback: bool,
    /// Whether the interface is up.
    pub up: bool,
}

/// The addresses that the default routes send from, where there are such routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefaultRoutes {
    /// That of IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// That of IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

/// What was chosen, and what the operator should know about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// At most one address of each family, at least one in all; IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// In the order of their weight.
    pub notices: Vec<Notice>,
}

/// Something about the relay addresses that the operator should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Only peers on this machine can be reached.
    LoopbackOnly,
    /// There is no default route; the address is the first global one.
    NoDefaultRoute {
        /// The address that is used instead.
        address: IpAddr,
    },
    /// The world cannot reach the address, and nothing says what it sees instead.
    Private {
        /// The private address.
        address: IpAddr,
    },
}

/// Chooses relay addresses from what the machine has. [`External`] entries of the
/// configuration only silence the notice that a private address would get.
pub fn choose(
    interfaces: &[InterfaceAddress],
    routes: DefaultRoutes,
    external: &[External],
) -> Choice {
    // A family without a default route reaches nobody, so the other family's counts alone.
    let routed: Vec<IpAddr> = [routes.ipv4.map(IpAddr::V4), routes.ipv6.map(IpAddr::V6)]
        .into_iter()
        .flatten()
        .filter(|address| is_global(*address))
        .collect();
    if !routed.is_empty() {
        return Choice { notices: judge(&routed, external), addresses: routed };
    }
    let usable = |loopback: bool| {
        interfaces
            .iter()
            .filter(move |interface| interface.up && interface.loopback == loopback)
            .map(|interface| interface.address)
    };
    let global: Vec<IpAddr> = one_of_each_family(usable(false).filter(|a| is_global(*a)));
    if !global.is_empty() {
        let mut notices = judge(&global, external);
        notices.extend(global.iter().map(|&address| Notice::NoDefaultRoute { address }));
        return Choice { addresses: global, notices };
    }
    let mut loopback = one_of_each_family(usable(true).filter(IpAddr::is_loopback));
    if loopback.is_empty() {
        loopback.push(Ipv4Addr::LOCALHOST.into());
    }
    Choice { addresses: loopback, notices: vec![Notice::LoopbackOnly] }
}

/// What is to be said about relay addresses, chosen or configured.
pub fn judge(addresses: &[IpAddr], external: &[External]) -> Vec<Notice> {
    let advertised = |address: IpAddr| {
        external.iter().any(|entry| match entry.bound {
            Some(bound) => bound == address,
            None => entry.public.is_ipv4() == address.is_ipv4(),
        })
    };
    addresses
        .iter()
        .filter(|address| is_private(**address) && !advertised(**address))
        .map(|&address| Notice::Private { address })
        .collect()
}

impl Notice {
    /// Whether an operator should be warned, or only told.
    pub fn is_warning(self) -> bool {
        match self {
            Self::LoopbackOnly | Self::Private { .. } => true,
            Self::NoDefaultRoute { .. } => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoopbackOnly => f.write_str(
                "no network: the relay address is loopback, and only programs on this machine \
                 can use it",
            ),
            Self::NoDefaultRoute { address } => {
                write!(f, "no default route: the relay address is {address}, the first global one")
            }
            Self::Private { address } => write!(
                f,
                "relay address {address} is private, and peers elsewhere cannot reach it; if a \
                 public address is forwarded to it, add under [relay]: \
                 external = [\"PUBLIC={address}\"]"
            ),
        }
    }
}

/// The first address of each family, public ones before private ones, IPv4 first.
fn one_of_each_family(addresses: impl Iterator<Item = IpAddr> + Clone) -> Vec<IpAddr> {
    let first = |ipv4: bool| {
        let mut family = addresses.clone().filter(move |address| address.is_ipv4() == ipv4);
        family.clone().find(|address| !is_private(*address)).or_else(|| family.next())
    };
    [first(true), first(false)].into_iter().flatten().collect()
}

/// Whether packets can be sent from `address` beyond the link.
fn is_global(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some()
        }
    };
    !(link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// Whether `address` means something only within a network of somebody's own:
/// RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && second & 0xC0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_default_route_of_each_family_wins() {
        let routes = DefaultRoutes {
            ipv4: Some(Ipv4Addr::new(198, 51, 100, 7)),
            ipv6: Some("2001:db8::7".parse().unwrap()),
        };
        let choice = choose(&[on("eth9", "192.0.2.1")], routes, &[]);
        assert_eq!(choice.addresses, ips(&["198.51.100.7", "2001:db8::7"]));
        assert_eq!(choice.notices, []);
    }

    #[test]
    fn a_family_without_default_route_is_left_out_while_the_other_has_one() {
        let routes = DefaultRoutes { ipv4: Some(Ipv4Addr::new(198, 51, 100, 7)), ipv6: None };
        let choice = choose(&[on("docker0", "fd00::1"), on("eth0", "2001:db8::1")], routes, &[]);
        assert_eq!(choice.addresses, ips(&["198.51.100.7"]));
    }

    #[test]
    fn without_default_route_the_first_global_address_of_each_family_is_taken() {
        let interfaces = [
            loopback("127.0.0.1"),
            on("eth0", "169.254.3.4"),
            on("eth0", "fe80::1"),
            down("eth1", "192.0.2.99"),
            on("docker0", "172.17.0.1"),
            on("eth2", "192.0.2.2"),
            on("eth2", "192.0.2.3"),
            on("eth2", "2001:db8::2"),
        ];
        let choice = choose(&interfaces, DefaultRoutes::default(), &[]);
        assert_eq!(choice.addresses, ips(&["192.0.2.2", "2001:db8::2"]));
        assert!(choice.notices.iter().all(|notice| !notice.is_warning()));
        assert_eq!(choice.notices.len(), 2);
    }

    #[test]
    fn a_link_local_route_is_no_route() {
        let routes = DefaultRoutes { ipv4: None, ipv6: Some("fe80::1".parse().unwrap()) };
        let choice = choose(&[on("eth0", "10.0.0.5")], routes, &[]);
        assert_eq!(choice.addresses, ips(&["10.0.0.5"]));
    }

    #[test]
    fn without_any_network_loopback_is_taken_with_a_warning() {
        let interfaces = [loopback("127.0.0.1"), loopback("::1"), on("eth0", "fe80::1")];
        let choice = choose(&interfaces, DefaultRoutes::default(), &[]);
        assert_eq!(choice.addresses, ips(&["127.0.0.1", "::1"]));
        assert_eq!(choice.notices, [Notice::LoopbackOnly]);
        assert!(Notice::LoopbackOnly.is_warning());
        let nothing = choose(&[], DefaultRoutes::default(), &[]);
        assert_eq!(nothing.addresses, ips(&["127.0.0.1"]));
    }

    #[test]
    fn a_private_address_gets_the_external_line_to_add() {
        for private in ["10.0.0.5", "172.31.0.1", "192.168.1.1", "100.64.0.1", "100.127.0.1"] {
            let routes = DefaultRoutes { ipv4: Some(private.parse().unwrap()), ipv6: None };
            let choice = choose(&[], routes, &[]);
            let [notice] = choice.notices.as_slice() else { panic!("{private}: {choice:?}") };
            let line = format!("external = [\"PUBLIC={private}\"]");
            assert!(notice.to_string().ends_with(&line), "{notice}");
        }
        assert_eq!(judge(&ips(&["100.63.0.1", "100.128.0.1", "172.32.0.1"]), &[]), []);
        assert_eq!(judge(&ips(&["fd00::1"]), &[]).len(), 1);
    }

    #[test]
    fn a_private_address_that_is_advertised_as_public_is_not_mentioned() {
        let address = ips(&["10.0.0.5"]);
        let public = IpAddr::from([203, 0, 113, 7]);
        let of = |bound| [External { public, bound }];
        assert_eq!(judge(&address, &of(None)), []);
        assert_eq!(judge(&address, &of(Some([10, 0, 0, 5].into()))), []);
        assert_eq!(judge(&address, &of(Some([10, 0, 0, 6].into()))).len(), 1);
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn on(name: &str, address: &str) -> InterfaceAddress {
        InterfaceAddress {
            name: name.to_owned(),
            address: address.parse().unwrap(),
            prefix: 24,
            loopback: false,
            up: true,
        }
    }

    fn down(name: &str, address: &str) -> InterfaceAddress {
        InterfaceAddress { up: false, ..on(name, address) }
    }

    fn loopback(address: &str) -> InterfaceAddress {
        InterfaceAddress { loopback: true, ..on("lo", address) }
    }
}
