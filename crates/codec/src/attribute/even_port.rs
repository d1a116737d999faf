//! EVEN-PORT: asks for an even relay port, and perhaps for the one above it.
//!
//! Implements RFC 8656 section 18.7.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// An even port is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EvenPort {
    /// The R bit: hold the next port too and return a RESERVATION-TOKEN for it.
    pub reserve: bool,
}

impl Attribute<'_> for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [bits] = fixed(value)?;
        // [S12] The other seven bits are reserved.
        Ok(Self { reserve: bits & 0x80 != 0 })
    }
}

impl Encode for EvenPort {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        1
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        copy(&[u8::from(self.reserve) << 7], value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(even_port, EvenPort, EvenPort { reserve: false }, [0],
        refuses: [] => AttributeError::Length);
    attribute_quartet!(with_reservation, EvenPort, EvenPort { reserve: true }, [0x80],
        refuses: [0x80, 0] => AttributeError::Length);

    #[test]
    fn s12_reserved_bits_are_ignored() {
        assert_eq!(EvenPort::decode(&[0x7F], &ID), Ok(EvenPort { reserve: false }));
        assert_eq!(EvenPort::decode(&[0xFF], &ID), Ok(EvenPort { reserve: true }));
    }
}
