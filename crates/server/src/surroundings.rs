//! What the server finds on its host at start: addresses and default routes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::relay_addresses::{DefaultRoutes, InterfaceAddress};

/// Addresses of this host.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Every address of every interface.
    pub interfaces: Vec<InterfaceAddress>,
    /// The addresses that packets to the world leave from.
    pub routes: DefaultRoutes,
    /// Directed broadcast addresses of the subnets this host is in.
    pub broadcasts: Vec<IpAddr>,
}

impl Surroundings {
    /// Looks around.
    ///
    /// # Errors
    /// The kernel does not list the interfaces.
    pub fn find() -> io::Result<Self> {
        let found = turn_udp::interface_addresses()?;
        let ipv4 = match turn_udp::default_route_source(Ipv4Addr::UNSPECIFIED.into()) {
            Some(IpAddr::V4(address)) => Some(address),
            Some(IpAddr::V6(_)) | None => None,
        };
        let ipv6 = match turn_udp::default_route_source(Ipv6Addr::UNSPECIFIED.into()) {
            Some(IpAddr::V6(address)) => Some(address),
            Some(IpAddr::V4(_)) | None => None,
        };
        let broadcasts = found.iter().filter_map(|found| found.broadcast.map(IpAddr::V4)).collect();
        let interfaces = found
            .into_iter()
            .map(|found| InterfaceAddress {
                name: found.name,
                address: found.address,
                prefix: found.prefix_length,
                loopback: found.is_loopback,
                up: found.is_up,
            })
            .collect();
        Ok(Self { interfaces, routes: DefaultRoutes { ipv4, ipv6 }, broadcasts })
    }

    /// Addresses that a listener on a wildcard binds one by one. Link-local IPv6
    /// addresses need a scope and are left to the wildcard socket.
    pub fn bindable(&self) -> Vec<IpAddr> {
        let is_link_local = |address: IpAddr| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        self.interfaces
            .iter()
            .filter(|interface| interface.up && !is_link_local(interface.address))
            .map(|interface| interface.address)
            .collect()
    }
}
