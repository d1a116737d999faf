//! The address families of STUN.
//!
//! Implements the family values of RFC 8489 section 14.1 and RFC 8656 section 18.6.

use core::net::{IpAddr, SocketAddr};

use crate::AttributeError;

/// IPv4 or IPv6, as address and address-family attributes spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// 0x01 on the wire.
    Ipv4,
    /// 0x02 on the wire.
    Ipv6,
}

impl AddressFamily {
    /// Returns the family of a transport address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::Ipv4,
            SocketAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Returns the family of an IP address.
    #[must_use]
    pub const fn of_ip(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Reads the wire value.
    ///
    /// # Errors
    ///
    /// [`AttributeError::UnknownFamily`] for anything but 0x01 and 0x02.
    pub const fn from_wire(value: u8) -> Result<Self, AttributeError> {
        match value {
            0x01 => Ok(Self::Ipv4),
            0x02 => Ok(Self::Ipv6),
            _ => Err(AttributeError::UnknownFamily),
        }
    }

    /// Returns the wire value.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Ipv4 => 0x01,
            Self::Ipv6 => 0x02,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_families_have_a_wire_value() {
        for value in 0..=u8::MAX {
            match AddressFamily::from_wire(value) {
                Ok(family) => assert_eq!(family.to_wire(), value),
                Err(error) => {
                    assert_eq!(error, AttributeError::UnknownFamily);
                    assert!(value == 0 || value > 2);
                }
            }
        }
    }

    #[test]
    fn family_is_that_of_the_address() {
        let v4 = SocketAddr::from(([192, 0, 2, 1], 1));
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1));
        assert_eq!(AddressFamily::of(&v4), AddressFamily::Ipv4);
        assert_eq!(AddressFamily::of(&v6), AddressFamily::Ipv6);
        assert_eq!(AddressFamily::of_ip(&v4.ip()), AddressFamily::Ipv4);
        assert_eq!(AddressFamily::of_ip(&v6.ip()), AddressFamily::Ipv6);
    }
}
