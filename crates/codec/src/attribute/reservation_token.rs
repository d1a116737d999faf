//! RESERVATION-TOKEN: names a port that the server holds for the client.
//!
//! Implements RFC 8656 section 18.10.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// Eight bytes that only the server can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReservationToken(
    /// The token.
    pub [u8; 8],
);

impl Attribute<'_> for ReservationToken {
    const TYPE: AttributeType = AttributeType::RESERVATION_TOKEN;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        fixed(value).map(Self)
    }
}

impl Encode for ReservationToken {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        copy(&self.0, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    attribute_quartet!(reservation_token, ReservationToken, ReservationToken(*b"8 bytes."),
        *b"8 bytes.",
        refuses: *b"7 bytes" => AttributeError::Length,
                 *b"nine byte" => AttributeError::Length);
}
