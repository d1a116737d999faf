//! ICMP: tells a client in a Data indication what became of a packet to its peer.
//!
//! Implements RFC 8656 section 18.13.
//!
//! ```text
//! |           reserved            |type (7 bits)|  code (9 bits)  |
//! |                          error data                           |
//! ```

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// An ICMP error, of the family of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// The type: below 128, as every ICMP error is.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The MTU of the next hop for "packet too big" and "fragmentation needed", else zero.
    pub data: [u8; 4],
}

impl Attribute<'_> for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [_, _, high, code, data @ ..] = fixed::<8>(value)?;
        // The ninth bit of the code, which no code needs.
        if high & 1 != 0 {
            return Err(AttributeError::OutOfRange);
        }
        Ok(Self { kind: high >> 1, code, data })
    }
}

impl Encode for Icmp {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        8
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        let [d0, d1, d2, d3] = self.data;
        copy(&[0, 0, self.kind << 1, self.code, d0, d1, d2, d3], value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    const TOO_BIG: Icmp = Icmp { kind: 3, code: 4, data: [0, 0, 5, 0xDC] };

    attribute_quartet!(icmp, Icmp, TOO_BIG, [0, 0, 6, 4, 0, 0, 5, 0xDC],
        refuses: [0, 0, 6, 4, 0, 0, 5] => AttributeError::Length,
                 [0, 0, 7, 4, 0, 0, 5, 0xDC] => AttributeError::OutOfRange);

    #[test]
    fn s12_reserved_bytes_are_ignored() {
        assert_eq!(Icmp::decode(&[0xFF, 0xFF, 6, 4, 0, 0, 5, 0xDC], &ID), Ok(TOO_BIG));
    }
}
