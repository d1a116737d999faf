//! DATA: what a Send or Data indication carries.
//!
//! Implements RFC 8656 section 18.4.

use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// Application data; may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Data<'a>(
    /// The data.
    pub &'a [u8],
);

impl<'a> Attribute<'a> for Data<'a> {
    const TYPE: AttributeType = AttributeType::DATA;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(value))
    }
}

impl Encode for Data<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::DATA
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
    use super::*;

    attribute_quartet!(data, Data<'_>, Data(b"hello"), *b"hello");
    attribute_quartet!(empty, Data<'_>, Data(b""), *b"");
}
