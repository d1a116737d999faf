//! The built-in list of addresses that no stranger may reach through us
//! (IANA special-purpose address registries; docs/architecture.md, "Who may be a peer").
//!
//! Geometry first: an IPv4 peer must be ordinary unicast, an IPv6 peer must lie
//! inside 2000::/3. The exceptions below then take ranges out of that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the built-in list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Ordinary and global.
    Global,
    /// Denied, unless an `allow` entry opens it.
    Reserved,
    /// Denied, unless the lab switch opens it.
    Loopback,
    /// Multicast, broadcast, unspecified, an embedded IPv4 address: never.
    Never,
}

pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

/// Teredo and 6to4: refused as client and as peer (RFC 8656 section 21.4,
/// MUST NOT) `[T14]`.
pub(crate) fn is_tunnelled(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(_) => false,
        // [T14]
        IpAddr::V6(v6) => matches!(v6.segments(), [0x2001, 0, ..] | [0x2002, ..]),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // Linux takes 0.0.0.0 for "this host".
        [0, ..] => Reach::Never,
        // [H1]
        [127, ..] => Reach::Loopback,
        // [H5]
        [224..=239, ..] | [255, 255, 255, 255] => Reach::Never,
        // [H4]
        [10, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 0, 0 | 2, _]
        | [192, 31, 196, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [192, 175, 48, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..]
        // A cloud's metadata service that looks public.
        | [168, 63, 129, 16] => Reach::Reserved,
        _ => Reach::Global,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // ::, ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d
        // [H2]
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Reach::Never
        }
        // 64:ff9b::/96, 64:ff9b:1::/48
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Reach::Never,
        [0xff00..=0xffff, ..] => Reach::Never,
        [0x2001, 0, ..] | [0x2002, ..] => Reach::Never,
        // ISATAP: the interface identifier spells an IPv4 address.
        [.., 0 | 0x0200, 0x5efe, high, low] if isatap_is_denied(high, low) => Reach::Never,
        [0x2001, 0..=0x01ff, ..]
        | [0x2001, 0x0db8, ..]
        | [0x2620, 0x004f, 0x8000, ..]
        | [0x3fff, 0..=0x0fff, ..] => Reach::Reserved,
        [0x2000..=0x3fff, ..] => Reach::Global,
        _ => Reach::Reserved,
    }
}

fn isatap_is_denied(high: u16, low: u16) -> bool {
    let inner = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    reach_v4(inner) != Reach::Global
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().expect("an address"))
    }

    #[test]
    fn h4_metadata_services_and_private_ranges_are_reserved() {
        for text in [
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.1.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "240.0.0.1",
            "255.255.255.254",
            "168.63.129.16",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "100::1",
            "100:0:0:1::1",
            "5f00::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2620:4f:8000::1",
            "3fff::1",
            "3fff:fff::1",
        ] {
            assert_eq!(of(text), Reach::Reserved, "{text}");
        }
    }

    #[test]
    fn h5_multicast_broadcast_and_unspecified_never_pass() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "ff02::1",
            "ff0e::1",
        ] {
            assert_eq!(of(text), Reach::Never, "{text}");
        }
    }

    #[test]
    fn h2_embedded_ipv4_never_passes_in_any_spelling() {
        for text in [
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:0:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "2002:808:808::1",
            "2001::1",
            "2001:0:1:2::3",
            "2a00::5efe:10.0.0.1",
            "2a00::200:5efe:127.0.0.1",
        ] {
            assert_eq!(of(text), Reach::Never, "{text}");
        }
    }

    #[test]
    fn ordinary_addresses_are_global() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2a00:1450::1",
            "2606:4700::1111",
            "2001:200::1",
            "3fff:1000::1",
            "2a00::5efe:8.8.8.8",
        ] {
            assert_eq!(of(text), Reach::Global, "{text}");
        }
    }

    #[test]
    fn h2_every_ipv6_address_outside_2000_3_is_denied() {
        for first in 0..=u16::MAX {
            let address = IpAddr::V6(Ipv6Addr::new(first, 0x1234, 5, 6, 7, 8, 9, 10));
            if !(0x2000..=0x3fff).contains(&first) {
                assert_ne!(reach(address), Reach::Global, "{address}");
            }
        }
    }

    #[test]
    fn h1_loopback_is_its_own_class() {
        for text in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(of(text), Reach::Loopback, "{text}");
        }
    }

    #[test]
    fn t14_teredo_and_6to4_are_tunnelled() {
        for text in ["2001::1", "2001:0:ffff::1", "2002:c000:204::1"] {
            assert!(is_tunnelled(text.parse().expect("an address")), "{text}");
        }
        for text in ["2001:1::1", "2003::1", "192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(!is_tunnelled(text.parse().expect("an address")), "{text}");
        }
    }
}
