//! The 20 bytes in front of every STUN message.
//!
//! Implements RFC 8489 section 5; the methods are those of RFC 8489, RFC 8656 section 17
//! and RFC 6062 section 6.1.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |0 0|M M M M M|C|M M M|C|M M M M|            length             |
//! |                          magic cookie                         |
//! |                     transaction id (96 bits)                  |
//! ```

use core::fmt;

use crate::ParseError;

/// Bytes of a STUN header.
pub const HEADER_LEN: usize = 20;

/// The fixed value in bytes 4 to 7 of a header.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// The class of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for a response.
    Request,
    /// Asks for nothing.
    Indication,
    /// A success response.
    Success,
    /// An error response.
    Error,
}

/// The method of a message: 12 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// RFC 8489.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656, indication only.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656, indication only.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656.
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// RFC 6062.
    pub const CONNECT: Self = Self(0x00A);
    /// RFC 6062.
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// RFC 6062, indication only.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);

    /// Returns the method with these bits, or `None` where they are more than 12.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits <= 0x0FFF { Some(Self(bits)) } else { None }
    }

    /// Returns the 12 bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::BINDING => "Binding",
            Self::ALLOCATE => "Allocate",
            Self::REFRESH => "Refresh",
            Self::SEND => "Send",
            Self::DATA => "Data",
            Self::CREATE_PERMISSION => "CreatePermission",
            Self::CHANNEL_BIND => "ChannelBind",
            Self::CONNECT => "Connect",
            Self::CONNECTION_BIND => "ConnectionBind",
            Self::CONNECTION_ATTEMPT => "ConnectionAttempt",
            _ => return None,
        })
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Method(0x{:03x})", self.0),
        }
    }
}

/// The 96 bits that tie a response to its request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// Wraps 12 bytes; the sender of a request takes them from a good random source.
    #[must_use]
    pub const fn new(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes in wire order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) class: Class,
    pub(crate) method: Method,
    pub(crate) length: u16,
    pub(crate) id: TransactionId,
}

impl Header {
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, ParseError> {
        let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = *bytes;
        let bits = u16::from_be_bytes([t0, t1]);
        // [S1] "The most significant 2 bits of every STUN message MUST be zeroes" (section 5).
        if bits & 0xC000 != 0 {
            return Err(ParseError::TopBits);
        }
        // [S17] Without the cookie it is RFC 3489, which is not served.
        if u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(ParseError::NoCookie);
        }
        let (class, method) = split_type(bits);
        let length = u16::from_be_bytes([l0, l1]);
        Ok(Self { class, method, length, id: TransactionId(id) })
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = &mut bytes;
        [*t0, *t1] = join_type(self.class, self.method).to_be_bytes();
        [*l0, *l1] = self.length.to_be_bytes();
        [*c0, *c1, *c2, *c3] = MAGIC_COOKIE.to_be_bytes();
        *id = self.id.0;
        bytes
    }
}

const fn split_type(bits: u16) -> (Class, Method) {
    let class = match (bits & 0x0100 != 0, bits & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = (bits & 0x000F) | ((bits & 0x00E0) >> 1) | ((bits & 0x3E00) >> 2);
    (class, Method(method))
}

const fn join_type(class: Class, Method(m): Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (m & 0x000F) | ((m & 0x0070) << 1) | ((m & 0x0F80) << 2) | class
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const CLASSES: [Class; 4] = [Class::Request, Class::Indication, Class::Success, Class::Error];

    #[test]
    fn every_message_type_splits_and_joins() {
        for bits in 0..0x4000 {
            let (class, method) = split_type(bits);
            assert_eq!(join_type(class, method), bits);
        }
        for class in CLASSES {
            for bits in 0..=0x0FFF {
                let method = Method::from_bits(bits).unwrap();
                assert_eq!(split_type(join_type(class, method)), (class, method));
            }
        }
    }

    #[test]
    fn known_message_types_have_their_rfc_values() {
        assert_eq!(join_type(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(join_type(Class::Success, Method::BINDING), 0x0101);
        assert_eq!(join_type(Class::Error, Method::ALLOCATE), 0x0113);
        assert_eq!(join_type(Class::Indication, Method::SEND), 0x0016);
        assert_eq!(join_type(Class::Indication, Method::DATA), 0x0017);
        assert_eq!(join_type(Class::Request, Method::CHANNEL_BIND), 0x0009);
        assert_eq!(join_type(Class::Indication, Method::CONNECTION_ATTEMPT), 0x001C);
    }

    #[test]
    fn method_has_twelve_bits() {
        assert_eq!(Method::from_bits(0x0FFF).map(Method::bits), Some(0x0FFF));
        assert_eq!(Method::from_bits(0x1000), None);
    }

    #[test]
    fn methods_print_their_names() {
        assert_eq!(format!("{:?}", Method::CREATE_PERMISSION), "CreatePermission");
        assert_eq!(format!("{:?}", Method::from_bits(0x2).unwrap()), "Method(0x002)");
    }

    #[test]
    fn s17_header_without_cookie_is_refused() {
        let mut bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok(header()));
        bytes[7] ^= 1;
        assert_eq!(Header::decode(&bytes), Err(ParseError::NoCookie));
    }

    #[test]
    fn s1_header_with_a_top_bit_is_refused() {
        for bit in [0x80, 0x40] {
            let mut bytes = header().encode();
            bytes[0] |= bit;
            assert_eq!(Header::decode(&bytes), Err(ParseError::TopBits));
        }
    }

    fn header() -> Header {
        Header {
            class: Class::Request,
            method: Method::REFRESH,
            length: 8,
            id: TransactionId::new(*b"abcdefghijkl"),
        }
    }
}
