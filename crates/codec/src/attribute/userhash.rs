//! USERHASH: the user name, hashed, for those who do not want to show it.
//!
//! Implements RFC 8489 section 14.4.

use core::fmt;

use subtle::ConstantTimeEq;

use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// SHA-256 of `username ":" realm`; compared in constant time.
#[derive(Clone, Copy)]
pub struct Userhash<'a>(
    /// The hash.
    pub &'a [u8; 32],
);

impl PartialEq for Userhash<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0).into()
    }
}

impl Eq for Userhash<'_> {}

impl fmt::Debug for Userhash<'_> {
    /// Hides the value: it stands for a user name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Userhash(..)")
    }
}

impl<'a> Attribute<'a> for Userhash<'a> {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        // [A13] "The value of USERHASH has a fixed length of 32 bytes".
        value.try_into().map(Self).map_err(|_| AttributeError::Length)
    }
}

impl Encode for Userhash<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::USERHASH
    }

    fn value_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        copy(self.0, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(userhash, Userhash<'_>, Userhash(&[7; 32]), [7; 32],
        refuses: [7; 31] => AttributeError::Length);

    #[test]
    fn a13_userhash_has_32_bytes() {
        assert_eq!(Userhash::decode(&[7; 33], &ID), Err(AttributeError::Length));
        assert_eq!(Userhash::decode(&[7; 20], &ID), Err(AttributeError::Length));
        assert_ne!(Userhash::decode(&[7; 32], &ID), Ok(Userhash(&[8; 32])));
    }

    #[test]
    fn debug_does_not_show_the_hash() {
        assert_eq!(std::format!("{:?}", Userhash(&[7; 32])), "Userhash(..)");
    }
}
