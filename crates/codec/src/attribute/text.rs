//! Texts: USERNAME, REALM, NONCE, SOFTWARE and ALTERNATE-DOMAIN.
//!
//! Implements RFC 8489 sections 14.3, 14.9, 14.10, 14.14 and 14.16. The limits are those of
//! a receiver; whoever sends a text from a configuration checks its `MAX_LEN` there.

use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

macro_rules! text_attribute {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<'a>(
            /// The text.
            pub &'a str,
        );

        impl $name<'_> {
            /// The most bytes that a receiver accepts.
            pub const MAX_LEN: usize = $max;
        }

        impl<'a> Attribute<'a> for $name<'a> {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
                text(value, Self::MAX_LEN).map(Self)
            }
        }

        impl Encode for $name<'_> {
            fn kind(&self) -> AttributeType {
                AttributeType::$kind
            }

            fn value_len(&self) -> usize {
                self.0.len()
            }

            fn encode(&self, value: &mut [u8], _: &TransactionId) {
                copy(self.0.as_bytes(), value);
            }
        }
    };
}

text_attribute! {
    /// USERNAME: fewer than 509 bytes (RFC 8489 section 14.3).
    Username, USERNAME, 508
}
text_attribute! {
    /// REALM: fewer than 128 characters, up to 763 bytes (RFC 8489 section 14.9).
    Realm, REALM, 763
}
text_attribute! {
    /// NONCE: fewer than 128 characters, up to 763 bytes (RFC 8489 section 14.10).
    Nonce, NONCE, 763
}
text_attribute! {
    /// SOFTWARE: fewer than 128 characters, up to 763 bytes (RFC 8489 section 14.14).
    Software, SOFTWARE, 763
}
text_attribute! {
    /// ALTERNATE-DOMAIN: a domain name of up to 255 bytes (RFC 8489 section 14.16).
    AlternateDomain, ALTERNATE_DOMAIN, 255
}

/// Reads a text of at most `max` bytes.
// [S13]
pub(super) fn text(value: &[u8], max: usize) -> Result<&str, AttributeError> {
    if value.len() > max {
        return Err(AttributeError::TooLong);
    }
    str::from_utf8(value).map_err(|_| AttributeError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(username, Username<'_>, Username("evtj:h6vY"), *b"evtj:h6vY",
        refuses: [0xE3, 0x83] => AttributeError::NotUtf8);
    attribute_quartet!(realm, Realm<'_>, Realm("example.org"), *b"example.org",
        refuses: [0xFF] => AttributeError::NotUtf8);
    attribute_quartet!(nonce, Nonce<'_>, Nonce("obMatJos2AAAC"), *b"obMatJos2AAAC",
        refuses: [0x80] => AttributeError::NotUtf8);
    attribute_quartet!(software, Software<'_>, Software("test vector"), *b"test vector",
        refuses: [0xC3] => AttributeError::NotUtf8);
    attribute_quartet!(alternate_domain, AlternateDomain<'_>,
        AlternateDomain("turn.example.org"), *b"turn.example.org",
        refuses: [0xF0, 0x9F] => AttributeError::NotUtf8);

    #[test]
    fn s13_texts_at_their_limit_pass_and_one_byte_more_does_not() {
        fn check<'a, T: Attribute<'a>>(all: &'a [u8], max: usize) {
            assert!(T::decode(&all[..max], &ID).is_ok());
            assert_eq!(T::decode(&all[..=max], &ID).err(), Some(AttributeError::TooLong));
        }
        let all = [b'a'; 800];
        check::<Username<'_>>(&all, 508);
        check::<Realm<'_>>(&all, 763);
        check::<Nonce<'_>>(&all, 763);
        check::<Software<'_>>(&all, 763);
        check::<AlternateDomain<'_>>(&all, 255);
    }

    #[test]
    fn nul_does_not_end_a_text() {
        assert_eq!(Username::decode(b"ann\0eve", &ID), Ok(Username("ann\0eve")));
    }
}
