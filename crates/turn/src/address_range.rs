//! Ranges of addresses: what a rule of the peer policy names.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

/// Addresses of one family from `first` to `last`, both inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The range from `first` to `last`; `None` when the families differ or
    /// the order is wrong.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// Whether the address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        // IpAddr orders every IPv4 address before every IPv6 address.
        self.first <= address && address <= self.last
    }
}

impl From<IpNet> for AddressRange {
    fn from(net: IpNet) -> Self {
        Self { first: net.network(), last: net.broadcast() }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }
}

/// An entry of `peers.allow` or `peers.deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRule {
    /// The addresses it names.
    pub range: AddressRange,
    /// The ports it names; `None` is every port.
    pub ports: Option<RangeInclusive<u16>>,
}

impl PeerRule {
    pub(crate) fn covers(&self, address: IpAddr, port: u16) -> bool {
        self.range.contains(address)
            && self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }
}
