//! Transport addresses: MAPPED-ADDRESS, ALTERNATE-SERVER and the XOR'ed ones.
//!
//! Implements RFC 8489 sections 14.1, 14.2 and 14.15, RFC 8656 sections 18.3 and 18.5.
//!
//! ```text
//! |    ignored    |    family     |             port              |
//! |              address: 32 bits, or 128 bits                    |
//! ```
//!
//! XOR hides an address from middleboxes that rewrite what looks like one: port and address
//! are combined with the magic cookie, an IPv6 address also with the transaction id.

use core::net::{IpAddr, SocketAddr};

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AddressFamily, AttributeError, AttributeType, MAGIC_COOKIE, TransactionId};

macro_rules! address_attribute {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $mask:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(
            /// The transport address.
            pub SocketAddr,
        );

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], id: &TransactionId) -> Result<Self, AttributeError> {
                decode(value, $mask(id)).map(Self)
            }
        }

        impl Encode for $name {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn value_len(&self) -> usize {
                match self.0 {
                    SocketAddr::V4(_) => 8,
                    SocketAddr::V6(_) => 20,
                }
            }

            fn encode(&self, value: &mut [u8], id: &TransactionId) {
                encode(self.0, value, $mask(id));
            }
        }
    };
}

address_attribute! {
    /// MAPPED-ADDRESS: the reflexive transport address in the clear (RFC 8489 section 14.1).
    MappedAddress, MAPPED_ADDRESS, no_mask
}
address_attribute! {
    /// XOR-MAPPED-ADDRESS: the reflexive transport address (RFC 8489 section 14.2).
    XorMappedAddress, XOR_MAPPED_ADDRESS, xor_mask
}
address_attribute! {
    /// XOR-PEER-ADDRESS: a peer, as the server sees it (RFC 8656 section 18.3).
    XorPeerAddress, XOR_PEER_ADDRESS, xor_mask
}
address_attribute! {
    /// XOR-RELAYED-ADDRESS: what the server allocated (RFC 8656 section 18.5).
    XorRelayedAddress, XOR_RELAYED_ADDRESS, xor_mask
}
address_attribute! {
    /// ALTERNATE-SERVER: where to try instead (RFC 8489 section 14.15).
    AlternateServer, ALTERNATE_SERVER, no_mask
}

/// What an address is XOR'ed with; the port takes the first two bytes.
type Mask = [u8; 16];

fn no_mask(_: &TransactionId) -> Mask {
    [0; 16]
}

fn xor_mask(id: &TransactionId) -> Mask {
    let mut mask = [0; 16];
    let [c0, c1, c2, c3, tail @ ..] = &mut mask;
    [*c0, *c1, *c2, *c3] = MAGIC_COOKIE.to_be_bytes();
    *tail = *id.as_bytes();
    mask
}

fn decode(value: &[u8], mask: Mask) -> Result<SocketAddr, AttributeError> {
    let (&[_, family, p0, p1], address) =
        value.split_first_chunk::<4>().ok_or(AttributeError::Length)?;
    let port = u16::from_be_bytes(masked([p0, p1], mask));
    let ip = match AddressFamily::from_wire(family)? {
        AddressFamily::Ipv4 => IpAddr::from(masked(fixed::<4>(address)?, mask)),
        AddressFamily::Ipv6 => IpAddr::from(masked(fixed::<16>(address)?, mask)),
    };
    Ok(SocketAddr::new(ip, port))
}

fn encode(address: SocketAddr, value: &mut [u8], mask: Mask) {
    let Some((head, ip)) = value.split_first_chunk_mut::<4>() else {
        return;
    };
    let [p0, p1] = masked(address.port().to_be_bytes(), mask);
    *head = [0, AddressFamily::of(&address).to_wire(), p0, p1];
    match address.ip() {
        IpAddr::V4(v4) => copy(&masked(v4.octets(), mask), ip),
        IpAddr::V6(v6) => copy(&masked(v6.octets(), mask), ip),
    }
}

fn masked<const N: usize>(mut bytes: [u8; N], mask: Mask) -> [u8; N] {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 32_853);
    const V6: SocketAddr = SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x1234, 0x5678, 0x11, 0x2233, 0x4455, 0x6677)),
        32_853,
    );
    const PLAIN_V4: [u8; 8] = [0, 1, 0x80, 0x55, 192, 0, 2, 1];
    // The XOR'ed values are those of RFC 5769.
    const XOR_V4: [u8; 8] = [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
    const XOR_V6: [u8; 20] = [
        0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
        0xbe, 0xd2, 0xb9, 0xd9,
    ];

    attribute_quartet!(mapped_address, MappedAddress, MappedAddress(V4), PLAIN_V4,
        refuses: PLAIN_V4[..7] => AttributeError::Length);
    attribute_quartet!(alternate_server, AlternateServer, AlternateServer(V4), PLAIN_V4,
        refuses: PLAIN_V4[..3] => AttributeError::Length);
    attribute_quartet!(xor_mapped_address, XorMappedAddress, XorMappedAddress(V4), XOR_V4,
        refuses: XOR_V4[..0] => AttributeError::Length);
    attribute_quartet!(xor_peer_address, XorPeerAddress, XorPeerAddress(V4), XOR_V4,
        refuses: XOR_V4[..4] => AttributeError::Length);
    attribute_quartet!(xor_relayed_address, XorRelayedAddress, XorRelayedAddress(V6), XOR_V6,
        refuses: XOR_V6[..19] => AttributeError::Length);

    #[test]
    fn family_and_length_must_agree() {
        let mut v4_of_20 = XOR_V6;
        v4_of_20[1] = 1;
        assert_eq!(XorPeerAddress::decode(&v4_of_20, &ID), Err(AttributeError::Length));
        let mut v6_of_8 = XOR_V4;
        v6_of_8[1] = 2;
        assert_eq!(XorPeerAddress::decode(&v6_of_8, &ID), Err(AttributeError::Length));
    }

    #[test]
    fn unknown_family_has_its_own_error() {
        for family in [0, 3, 0xFF] {
            let mut value = XOR_V4;
            value[1] = family;
            assert_eq!(XorPeerAddress::decode(&value, &ID), Err(AttributeError::UnknownFamily));
        }
    }

    #[test]
    fn s12_first_byte_is_ignored() {
        let mut value = XOR_V4;
        value[0] = 0xFF;
        assert_eq!(XorPeerAddress::decode(&value, &ID), Ok(XorPeerAddress(V4)));
    }

    #[test]
    fn ipv6_address_depends_on_the_transaction() {
        let other = TransactionId::new([0; 12]);
        assert_ne!(XorPeerAddress::decode(&XOR_V6, &other), Ok(XorPeerAddress(V6)));
        assert_eq!(XorPeerAddress::decode(&XOR_V4, &other), Ok(XorPeerAddress(V4)));
    }
}
