//! The types of attributes and their code points.
//!
//! Implements RFC 8489 section 18.3, RFC 8656 section 18 and RFC 6062 section 6.2.

use core::fmt;

/// The type of an attribute.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(u16);

impl AttributeType {
    /// Returns the type with this code point.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the code point.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Tells whether a receiver must understand it: code points below 0x8000.
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }

    /// Tells whether this codec has a name for it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.name().is_some()
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:04x}", self.0),
        }
    }
}

macro_rules! attribute_types {
    ($($constant:ident = $code:literal, $name:literal, $rfc:literal;)*) => {
        impl AttributeType {
            $(
                #[doc = concat!($name, " (", $rfc, ").")]
                pub const $constant: Self = Self($code);
            )*

            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS", "RFC 8489";
    USERNAME = 0x0006, "USERNAME", "RFC 8489";
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY", "RFC 8489";
    ERROR_CODE = 0x0009, "ERROR-CODE", "RFC 8489";
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES", "RFC 8489";
    CHANNEL_NUMBER = 0x000C, "CHANNEL-NUMBER", "RFC 8656";
    LIFETIME = 0x000D, "LIFETIME", "RFC 8656";
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS", "RFC 8656";
    DATA = 0x0013, "DATA", "RFC 8656";
    REALM = 0x0014, "REALM", "RFC 8489";
    NONCE = 0x0015, "NONCE", "RFC 8489";
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS", "RFC 8656";
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY", "RFC 8656";
    EVEN_PORT = 0x0018, "EVEN-PORT", "RFC 8656";
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT", "RFC 8656";
    DONT_FRAGMENT = 0x001A, "DONT-FRAGMENT", "RFC 8656";
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256", "RFC 8489";
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM", "RFC 8489";
    USERHASH = 0x001E, "USERHASH", "RFC 8489";
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS", "RFC 8489";
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN", "RFC 8656";
    CONNECTION_ID = 0x002A, "CONNECTION-ID", "RFC 6062";
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY", "RFC 8656";
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE", "RFC 8656";
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS", "RFC 8489";
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN", "RFC 8489";
    ICMP = 0x8004, "ICMP", "RFC 8656";
    SOFTWARE = 0x8022, "SOFTWARE", "RFC 8489";
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER", "RFC 8489";
    FINGERPRINT = 0x8028, "FINGERPRINT", "RFC 8489";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_types_are_known() {
        let known = (0..=u16::MAX).filter(|code| AttributeType::new(*code).is_known()).count();
        assert_eq!(known, 30);
    }

    #[test]
    fn upper_half_is_comprehension_optional() {
        assert!(AttributeType::new(0x7FFF).is_comprehension_required());
        assert!(!AttributeType::new(0x8000).is_comprehension_required());
    }

    #[test]
    fn types_print_their_names() {
        assert_eq!(std::format!("{:?}", AttributeType::XOR_PEER_ADDRESS), "XOR-PEER-ADDRESS");
        assert_eq!(std::format!("{:?}", AttributeType::new(0x0024)), "0x0024");
    }
}
