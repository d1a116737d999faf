//! ADDRESS-ERROR-CODE: why one family of a dual allocation failed.
//!
//! Implements RFC 8656 section 18.12.
//!
//! ```text
//! |    family     |    reserved (13 bits)   |class|    number     |
//! |                 reason phrase (variable)                      |
//! ```

use super::text::text;
use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AddressFamily, AttributeError, AttributeType, StatusCode, TransactionId};

/// An error code for one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressErrorCode<'a> {
    /// The family that could not be had.
    pub family: AddressFamily,
    /// The code.
    pub code: StatusCode,
    /// The phrase, for people; may be empty.
    pub reason: &'a str,
}

impl AddressErrorCode<'_> {
    /// The most bytes of a phrase that a receiver accepts.
    pub const MAX_REASON_LEN: usize = 763;
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let (&[family, _, class, number], reason) =
            value.split_first_chunk::<4>().ok_or(AttributeError::Length)?;
        Ok(Self {
            family: AddressFamily::from_wire(family)?,
            code: StatusCode::from_wire(class, number).ok_or(AttributeError::OutOfRange)?,
            reason: text(reason, Self::MAX_REASON_LEN)?,
        })
    }
}

impl Encode for AddressErrorCode<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::ADDRESS_ERROR_CODE
    }

    fn value_len(&self) -> usize {
        4 + self.reason.len()
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        let Some((head, reason)) = value.split_first_chunk_mut::<4>() else {
            return;
        };
        let [class, number] = self.code.to_wire();
        *head = [self.family.to_wire(), 0, class, number];
        copy(self.reason.as_bytes(), reason);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    const NO_IPV6: AddressErrorCode<'_> = AddressErrorCode {
        family: AddressFamily::Ipv6,
        code: StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED,
        reason: "no",
    };

    attribute_quartet!(address_error_code, AddressErrorCode<'_>, NO_IPV6, *b"\x02\0\x04\x28no",
        refuses: [2, 0, 4] => AttributeError::Length,
                 [3, 0, 4, 40] => AttributeError::UnknownFamily,
                 [2, 0, 1, 40] => AttributeError::OutOfRange,
                 [2, 0, 4, 40, 0xFF] => AttributeError::NotUtf8);

    #[test]
    fn s12_reserved_bits_are_ignored() {
        assert_eq!(AddressErrorCode::decode(b"\x02\xFF\xFC\x28no", &ID), Ok(NO_IPV6));
    }

    #[test]
    fn s13_reason_over_763_bytes_is_refused() {
        let mut value = [b'a'; 4 + 764];
        value[..4].copy_from_slice(&[1, 0, 4, 40]);
        assert_eq!(AddressErrorCode::decode(&value, &ID), Err(AttributeError::TooLong));
    }
}
