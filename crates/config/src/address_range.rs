//! A range of addresses: one address, a CIDR prefix, or `first-last`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::complaint::Complaint;

/// All addresses from [`first`](Self::first) to [`last`](Self::last), both included.
///
/// Both are of one family, neither is an IPv4-mapped IPv6 address, and `first`
/// is not above `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    /// The lowest address.
    pub first: IpAddr,
    /// The highest address, of the same family.
    pub last: IpAddr,
}

impl AddressRange {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether every IPv4 or every IPv6 address lies in the range.
    pub(crate) fn is_a_whole_family(&self) -> bool {
        let last = match self.first {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::BROADCAST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        };
        self.first.is_unspecified() && self.last == last
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let range = if text.contains('/') {
            Self::parse_prefix(text)?
        } else if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (parse_address(first.trim())?, parse_address(last.trim())?);
            if first.is_ipv4() != last.is_ipv4() {
                return Err(Complaint::new(
                    "the ends of the range are of two address families",
                    "write one range for IPv4 and one for IPv6",
                ));
            }
            if first > last {
                return Err(Complaint::new(
                    "the first address is above the last",
                    format!("write \"{last}-{first}\""),
                ));
            }
            Self { first, last }
        } else {
            let address = parse_address(text)?;
            Self { first: address, last: address }
        };
        range.refuse_mapped()
    }

    fn parse_prefix(text: &str) -> Result<Self, Complaint> {
        let Ok(network) = text.parse::<IpNet>() else {
            let (address, _) = text.split_once('/').unwrap_or((text, ""));
            let bits = match parse_address(address)? {
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) => 128,
            };
            return Err(Complaint::new(
                "not a CIDR prefix",
                format!("the number behind the slash goes from 0 to {bits}"),
            ));
        };
        if network.trunc() != network {
            // Silently cut, `10.1.2.3/8` would open all of 10.0.0.0/8. [H35]
            return Err(Complaint::new(
                format!("the address has bits behind the /{}", network.prefix_len()),
                format!("write \"{}\" or \"{}\"", network.trunc(), network.addr()),
            ));
        }
        Ok(Self { first: network.network(), last: network.broadcast() })
    }

    /// An IPv4-mapped rule would never match: addresses are compared in their IPv4 form.
    fn refuse_mapped(self) -> Result<Self, Complaint> {
        match (self.first.to_canonical(), self.last.to_canonical()) {
            (first, last) if first == self.first && last == self.last => Ok(self),
            (IpAddr::V4(first), IpAddr::V4(last)) => Err(Complaint::new(
                "an IPv4-mapped IPv6 address",
                format!(
                    "write it as IPv4: \"{}\"",
                    Self { first: first.into(), last: last.into() }
                ),
            )),
            _ => Err(Complaint::new(
                "the range ends within the IPv4-mapped addresses",
                "write IPv4 addresses as IPv4, in an entry of their own",
            )),
        }
    }
}

/// Prints a prefix where the range is one, and `first-last` otherwise.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        let bits = if self.first.is_ipv4() { 32 } else { 128 };
        let prefix = (0..bits)
            .filter_map(|length| IpNet::new(self.first, length).ok())
            .find(|net| net.network() == self.first && net.broadcast() == self.last);
        match prefix {
            Some(network) => write!(f, "{network}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Reads one IP address; a host name gets a message of its own.
pub(crate) fn parse_address(text: &str) -> Result<IpAddr, Complaint> {
    text.parse().map_err(|_| {
        let is_name = text.contains(|c: char| c.is_ascii_alphabetic()) && !text.contains(':');
        if is_name {
            Complaint::new("not an IP address", "names are not looked up: write the address itself")
        } else {
            Complaint::new(
                "not an IP address",
                "write an address such as \"192.0.2.1\" or \"2001:db8::1\"",
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        AddressRange::parse(text)
            .map_or_else(|c| format!("{}; {}", c.message, c.help), |r| r.to_string())
    }

    #[test]
    fn prefixes_ranges_and_addresses_print_back() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "192.0.2.1",
            "::1",
            "192.0.2.1-192.0.2.9",
            "2001:db8::1-2001:db8::9",
        ] {
            assert_eq!(message(text), text);
        }
        assert_eq!(message("192.0.2.0-192.0.2.255"), "192.0.2.0/24");
        assert_eq!(message("192.0.2.7/32"), "192.0.2.7");
    }

    #[test]
    fn all_of_a_family_is_told_from_a_part_of_it() {
        let is_whole =
            |text| AddressRange::parse(text).is_ok_and(|range| range.is_a_whole_family());
        assert!(is_whole("0.0.0.0/0") && is_whole("::/0") && is_whole("0.0.0.0-255.255.255.255"));
        assert!(!is_whole("0.0.0.0/1") && !is_whole("::/1") && !is_whole("10.0.0.0/8"));
    }

    #[test]
    fn h35_a_prefix_with_stray_bits_is_refused() {
        assert_eq!(
            message("10.1.2.3/8"),
            "the address has bits behind the /8; write \"10.0.0.0/8\" or \"10.1.2.3\""
        );
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        assert_eq!(
            message("10.0.0.0/33"),
            "not a CIDR prefix; the number behind the slash goes from 0 to 32"
        );
        assert_eq!(
            message("10.0.0.9-10.0.0.1"),
            "the first address is above the last; write \"10.0.0.1-10.0.0.9\""
        );
        assert!(message("10.0.0.1-::1").contains("two address families"));
        assert!(message("media.example.org").contains("names are not looked up"));
        assert!(message("10.0.0.").contains("not an IP address"));
        assert!(message("").contains("not an IP address"));
    }

    #[test]
    fn mapped_addresses_are_refused_with_their_ipv4_form() {
        assert_eq!(
            message("::ffff:10.0.0.0/104"),
            "an IPv4-mapped IPv6 address; write it as IPv4: \"10.0.0.0/8\""
        );
        assert!(message("::1-::ffff:1.2.3.4").contains("ends within the IPv4-mapped"));
    }

    #[test]
    fn a_range_contains_its_ends_and_nothing_of_the_other_family() {
        let range = AddressRange { first: [10, 0, 0, 1].into(), last: [10, 0, 0, 3].into() };
        assert!(range.contains([10, 0, 0, 1].into()) && range.contains([10, 0, 0, 3].into()));
        assert!(!range.contains([10, 0, 0, 4].into()) && !range.contains([0_u16; 8].into()));
    }
}
