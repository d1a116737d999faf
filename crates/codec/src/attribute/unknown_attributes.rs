//! UNKNOWN-ATTRIBUTES: what a 420 error response complains about.
//!
//! Implements RFC 8489 section 14.13: a list of 16-bit attribute types.

use core::fmt;

use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// A list of attribute types.
#[derive(Clone, Copy)]
pub struct UnknownAttributes<'a>(List<'a>);

#[derive(Clone, Copy)]
enum List<'a> {
    Types(&'a [AttributeType]),
    Wire(&'a [u8]),
}

impl<'a> UnknownAttributes<'a> {
    /// Wraps the types to complain about.
    #[must_use]
    pub const fn new(types: &'a [AttributeType]) -> Self {
        Self(List::Types(types))
    }

    /// Iterates over the types.
    pub fn iter(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let (types, wire) = match self.0 {
            List::Types(types) => (types, &[][..]),
            List::Wire(wire) => (&[][..], wire),
        };
        let (pairs, _) = wire.as_chunks::<2>();
        let read = pairs.iter().map(|pair| AttributeType::new(u16::from_be_bytes(*pair)));
        types.iter().copied().chain(read)
    }
}

impl PartialEq for UnknownAttributes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UnknownAttributes<'_> {}

impl fmt::Debug for UnknownAttributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Attribute<'a> for UnknownAttributes<'a> {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        if !value.len().is_multiple_of(2) {
            return Err(AttributeError::Length);
        }
        Ok(Self(List::Wire(value)))
    }
}

impl Encode for UnknownAttributes<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::UNKNOWN_ATTRIBUTES
    }

    fn value_len(&self) -> usize {
        self.iter().count() * 2
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        for (to, kind) in value.chunks_exact_mut(2).zip(self.iter()) {
            copy(&kind.get().to_be_bytes(), to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [AttributeType; 3] =
        [AttributeType::new(0x0003), AttributeType::new(0x0024), AttributeType::new(0x7FFF)];

    attribute_quartet!(three_types, UnknownAttributes<'_>, UnknownAttributes::new(&TYPES),
        [0, 3, 0, 0x24, 0x7F, 0xFF],
        refuses: [0, 3, 0] => AttributeError::Length);
    attribute_quartet!(no_type, UnknownAttributes<'_>, UnknownAttributes::new(&[]), []);

    #[test]
    fn types_print_as_a_list() {
        let list = UnknownAttributes::new(&TYPES[..2]);
        assert_eq!(std::format!("{list:?}"), "[0x0003, 0x0024]");
    }
}
