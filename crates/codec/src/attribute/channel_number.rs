//! CHANNEL-NUMBER: the channel that a ChannelBind asks for.
//!
//! Implements RFC 8656 section 18.1.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, ChannelNumber, TransactionId};

/// Any 16 bits: a number that cannot be bound is a 400 and not a malformed attribute, so the
/// receiver judges it with [`ChannelNumber::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelNumberAttribute(
    /// The number as it was sent.
    pub u16,
);

impl From<ChannelNumber> for ChannelNumberAttribute {
    fn from(number: ChannelNumber) -> Self {
        Self(number.get())
    }
}

impl Attribute<'_> for ChannelNumberAttribute {
    const TYPE: AttributeType = AttributeType::CHANNEL_NUMBER;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [n0, n1, _, _] = fixed(value)?;
        Ok(Self(u16::from_be_bytes([n0, n1])))
    }
}

impl Encode for ChannelNumberAttribute {
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
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(channel_number, ChannelNumberAttribute, ChannelNumberAttribute(0x4001),
        [0x40, 0x01, 0, 0],
        refuses: [0x40, 0x01] => AttributeError::Length,
                 [0x40, 0x01, 0, 0, 0] => AttributeError::Length);

    #[test]
    fn s12_reserved_half_is_ignored() {
        let number = ChannelNumberAttribute::decode(&[0x40, 1, 0xFF, 0xFF], &ID);
        assert_eq!(number, Ok(ChannelNumberAttribute(0x4001)));
    }

    #[test]
    fn numbers_out_of_range_still_decode() {
        let number = ChannelNumberAttribute::decode(&[0x7F, 0xFF, 0, 0], &ID);
        assert_eq!(number, Ok(ChannelNumberAttribute(0x7FFF)));
    }

    #[test]
    fn a_bound_number_becomes_an_attribute() {
        assert_eq!(ChannelNumberAttribute::from(ChannelNumber::MIN).0, 0x4000);
    }
}
