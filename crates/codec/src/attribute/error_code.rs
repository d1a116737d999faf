//! ERROR-CODE: why a request failed.
//!
//! Implements RFC 8489 section 14.8.
//!
//! ```text
//! |            reserved (21 bits)           |class|    number     |
//! |                 reason phrase (variable)                      |
//! ```

use super::text::text;
use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, StatusCode, TransactionId};

/// An error code and its reason phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode<'a> {
    /// The code.
    pub code: StatusCode,
    /// The phrase, for people; may be empty.
    pub reason: &'a str,
}

impl ErrorCode<'_> {
    /// The most bytes of a phrase that a receiver accepts.
    pub const MAX_REASON_LEN: usize = 763;

    /// Returns a code without a phrase: what a server sends to those who have not proven
    /// their address, since every byte of it could be reflected.
    #[must_use]
    pub const fn bare(code: StatusCode) -> Self {
        Self { code, reason: "" }
    }
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let (&[_, _, class, number], reason) =
            value.split_first_chunk::<4>().ok_or(AttributeError::Length)?;
        let code = StatusCode::from_wire(class, number).ok_or(AttributeError::OutOfRange)?;
        Ok(Self { code, reason: text(reason, Self::MAX_REASON_LEN)? })
    }
}

impl Encode for ErrorCode<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::ERROR_CODE
    }

    fn value_len(&self) -> usize {
        4 + self.reason.len()
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        let Some((head, reason)) = value.split_first_chunk_mut::<4>() else {
            return;
        };
        let [class, number] = self.code.to_wire();
        *head = [0, 0, class, number];
        copy(self.reason.as_bytes(), reason);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(with_reason, ErrorCode<'_>,
        ErrorCode { code: StatusCode::STALE_NONCE, reason: "Stale Nonce" },
        *b"\0\0\x04\x26Stale Nonce",
        refuses: [0, 0, 4] => AttributeError::Length);
    attribute_quartet!(bare, ErrorCode<'_>,
        ErrorCode::bare(StatusCode::UNAUTHENTICATED), [0, 0, 4, 1],
        refuses: [0, 0, 2, 1] => AttributeError::OutOfRange,
                 [0, 0, 7, 1] => AttributeError::OutOfRange,
                 [0, 0, 4, 100] => AttributeError::OutOfRange);

    #[test]
    fn s12_reserved_bits_are_ignored() {
        let expected = Ok(ErrorCode::bare(StatusCode::UNAUTHENTICATED));
        assert_eq!(ErrorCode::decode(&[0xFF, 0xFF, 0xFC, 1], &ID), expected);
    }

    #[test]
    fn s13_reason_over_763_bytes_is_refused() {
        let mut value = [b'a'; 4 + 764];
        value[..4].copy_from_slice(&[0, 0, 4, 0]);
        assert_eq!(ErrorCode::decode(&value, &ID), Err(AttributeError::TooLong));
        assert!(ErrorCode::decode(&value[..4 + 763], &ID).is_ok());
    }
}
