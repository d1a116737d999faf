//! The addresses of the simulated network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

/// An ordinary peer.
pub const PEER: SocketAddr = v4([11, 22, 33, 44], 5_000);
/// Another ordinary peer, at another address.
pub const OTHER_PEER: SocketAddr = v4([11, 22, 33, 55], 6_000);
/// An ordinary IPv6 peer.
pub const PEER6: SocketAddr = v6([0x2a00, 0x1450, 0, 0, 0, 0, 0, 0x44], 7_000);
/// A peer that the default policy denies.
pub const DENIED_PEER: SocketAddr = v4([10, 0, 0, 1], 5_000);
/// A channel number.
pub const CHANNEL: u16 = 0x4000;
/// Where relay sockets are bound.
pub const RELAY4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
/// Where IPv6 relay sockets are bound.
pub const RELAY6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 7));
/// Where IPv4 clients find the server.
pub const SERVER4: SocketAddr = v4([198, 51, 100, 1], 3_478);
/// Where IPv6 clients find the server.
pub const SERVER6: SocketAddr = v6([0x2001, 0xdb8, 7, 0, 0, 0, 0, 1], 3_478);

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn v4([a, b, c, d]: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], port: u16) -> SocketAddr {
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::new(a, b, c, d, e, f, g, h), port, 0, 0))
}
