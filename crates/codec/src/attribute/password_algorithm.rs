//! PASSWORD-ALGORITHM: how the client made the key out of its password.
//!
//! Implements RFC 8489 sections 14.12 and 18.5.
//!
//! ```text
//! |           algorithm           |       parameters length       |
//! |        parameters (variable), padded to 32 bits               |
//! ```

use core::fmt;

use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// The number of a password algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithmId(
    /// The number in the registry of RFC 8489 section 18.5.
    pub u16,
);

impl PasswordAlgorithmId {
    /// MD5 of `username ":" realm ":" password`.
    pub const MD5: Self = Self(1);
    /// SHA-256 of the same.
    pub const SHA256: Self = Self(2);
}

impl fmt::Debug for PasswordAlgorithmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MD5 => f.write_str("MD5"),
            Self::SHA256 => f.write_str("SHA-256"),
            Self(other) => write!(f, "PasswordAlgorithmId({other})"),
        }
    }
}

/// One password algorithm with its parameters; MD5 and SHA-256 have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithm<'a> {
    /// Which one.
    pub algorithm: PasswordAlgorithmId,
    /// Its parameters, without padding.
    pub parameters: &'a [u8],
}

impl<'a> PasswordAlgorithm<'a> {
    /// Returns an algorithm without parameters.
    #[must_use]
    pub const fn bare(algorithm: PasswordAlgorithmId) -> Self {
        Self { algorithm, parameters: &[] }
    }

    /// Takes one entry, with its padding, from the front of a list.
    pub(super) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), AttributeError> {
        let (&[a0, a1, l0, l1], rest) =
            bytes.split_first_chunk::<4>().ok_or(AttributeError::Length)?;
        let algorithm = PasswordAlgorithmId(u16::from_be_bytes([a0, a1]));
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let parameters = rest.get(..length).ok_or(AttributeError::Length)?;
        // The padding of the last entry may be left to that of the attribute.
        let rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok((Self { algorithm, parameters }, rest))
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithm<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        match Self::split(value)? {
            (algorithm, []) => Ok(algorithm),
            (_, [_, ..]) => Err(AttributeError::Length),
        }
    }
}

impl Encode for PasswordAlgorithm<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::PASSWORD_ALGORITHM
    }

    fn value_len(&self) -> usize {
        4 + self.parameters.len().next_multiple_of(4)
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        let Some((head, parameters)) = value.split_first_chunk_mut::<4>() else {
            return;
        };
        let [a0, a1] = self.algorithm.0.to_be_bytes();
        // The writer has refused what does not fit 16 bits.
        let [l0, l1] = u16::try_from(self.parameters.len()).unwrap_or(u16::MAX).to_be_bytes();
        *head = [a0, a1, l0, l1];
        copy(self.parameters, parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(sha256, PasswordAlgorithm<'_>,
        PasswordAlgorithm::bare(PasswordAlgorithmId::SHA256), [0, 2, 0, 0],
        refuses: [0, 2, 0] => AttributeError::Length);
    attribute_quartet!(with_parameters, PasswordAlgorithm<'_>,
        PasswordAlgorithm { algorithm: PasswordAlgorithmId(9), parameters: b"abc" },
        *b"\0\x09\0\x03abc\0",
        refuses: *b"\0\x09\0\x03ab" => AttributeError::Length,
                 *b"\0\x09\0\x03abc\0\0\x01\0\0" => AttributeError::Length);

    #[test]
    fn padding_of_the_parameters_may_be_that_of_the_attribute() {
        let algorithm = PasswordAlgorithm::decode(b"\0\x09\0\x03abc", &ID);
        assert_eq!(algorithm.map(|a| a.parameters), Ok(&b"abc"[..]));
    }
}
