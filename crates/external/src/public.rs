//! Which addresses the world can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address that somebody names cannot be the public one of `bound`; nothing where it can.
/// Documentation ranges pass: labs use them.
pub(crate) fn objection(public: IpAddr, bound: IpAddr) -> Option<&'static str> {
    if public.is_ipv4() != bound.is_ipv4() {
        return Some("of the other family");
    }
    match public {
        IpAddr::V4(address) => objection_v4(address),
        IpAddr::V6(address) => objection_v6(address),
    }
}

fn objection_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, ..] = address.octets();
    if address.is_private() || (first == 100 && second & 0xC0 == 64) {
        Some("private (RFC 1918, RFC 6598)")
    } else if first == 0 || address.is_broadcast() || first >= 240 {
        Some("no address of a host")
    } else if address.is_loopback() || address.is_link_local() {
        Some("of this host or link only")
    } else if address.is_multicast() {
        Some("multicast")
    } else {
        None
    }
}

fn objection_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unique_local() {
        Some("private (RFC 4193)")
    } else if address.is_multicast() {
        Some("multicast")
    } else if address.segments()[0] & 0xE000 != 0x2000 {
        // RFC 4291 section 2.4: global unicast is 2000::/3 so far.
        Some("no global unicast address")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_the_world_can_reach_pass() {
        for public in ["203.0.113.7", "8.8.8.8", "100.63.0.1", "172.32.0.1"] {
            assert_eq!(objection(public.parse().unwrap(), IPV4), None, "{public}");
        }
        for wrong in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "2001:db8::7",
        ] {
            assert!(objection(wrong.parse().unwrap(), IPV4).is_some(), "{wrong}");
        }
        assert_eq!(objection("2001:db8::7".parse().unwrap(), IPV6), None);
        for wrong in
            ["::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:203.0.113.7", "203.0.113.7"]
        {
            assert!(objection(wrong.parse().unwrap(), IPV6).is_some(), "{wrong}");
        }
    }

    const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5));
}
