//! LIFETIME: how long an allocation lives without a Refresh.
//!
//! Implements RFC 8656 section 18.2.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// A lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetime(
    /// In seconds; 0 in a Refresh deletes the allocation.
    pub u32,
);

impl Attribute<'_> for Lifetime {
    const TYPE: AttributeType = AttributeType::LIFETIME;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        fixed(value).map(u32::from_be_bytes).map(Self)
    }
}

impl Encode for Lifetime {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        4
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        copy(&self.0.to_be_bytes(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    attribute_quartet!(lifetime, Lifetime, Lifetime(0x0102_0304), [1, 2, 3, 4],
        refuses: [1, 2, 3] => AttributeError::Length,
                 [1, 2, 3, 4, 5] => AttributeError::Length);
}
