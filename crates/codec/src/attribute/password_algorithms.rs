//! PASSWORD-ALGORITHMS: what the server offers, and what the client says it was offered.
//!
//! Implements RFC 8489 section 14.11. The client returns the list unchanged; comparing the
//! raw bytes finds whoever took the stronger algorithm out on the way (section 9.2.4).

use super::password_algorithm::{PasswordAlgorithm, PasswordAlgorithmId};
use super::traits::{Attribute, Encode};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// A list of password algorithms, equal only to a list of the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// The offer "MD5, SHA-256".
    pub const MD5_SHA256: PasswordAlgorithms<'static> =
        PasswordAlgorithms(&[0, 1, 0, 0, 0, 2, 0, 0]);

    /// The offer "SHA-256, MD5".
    pub const SHA256_MD5: PasswordAlgorithms<'static> =
        PasswordAlgorithms(&[0, 2, 0, 0, 0, 1, 0, 0]);

    /// Returns the list as it lies on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Iterates over the algorithms.
    pub fn iter(&self) -> impl Iterator<Item = PasswordAlgorithm<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            // A list is whole once it is decoded, so an error can only be the end.
            let (algorithm, behind) = PasswordAlgorithm::split(rest).ok()?;
            rest = behind;
            Some(algorithm)
        })
    }

    /// Tells whether an algorithm is in the list.
    #[must_use]
    pub fn contains(&self, algorithm: PasswordAlgorithmId) -> bool {
        self.iter().any(|entry| entry.algorithm == algorithm)
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let mut rest = value;
        while !rest.is_empty() {
            (_, rest) = PasswordAlgorithm::split(rest)?;
        }
        Ok(Self(value))
    }
}

impl Encode for PasswordAlgorithms<'_> {
    fn kind(&self) -> AttributeType {
        AttributeType::PASSWORD_ALGORITHMS
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
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(offer, PasswordAlgorithms<'_>, PasswordAlgorithms::MD5_SHA256,
        [0, 1, 0, 0, 0, 2, 0, 0],
        refuses: [0, 1, 0, 0, 0, 2] => AttributeError::Length,
                 [0, 1, 0, 9, 0, 2, 0, 0] => AttributeError::Length);

    #[test]
    fn list_yields_its_entries_in_order() {
        let list = PasswordAlgorithms::decode(b"\0\x09\0\x01x\0\0\0\0\x02\0\0", &ID);
        let ids = list.map(|list| list.iter().map(|entry| entry.algorithm.0).collect());
        assert_eq!(ids, Ok(std::vec![9, 2]));
    }

    #[test]
    fn a_changed_list_is_another_list() {
        let offered = PasswordAlgorithms::MD5_SHA256;
        assert_ne!(PasswordAlgorithms::decode(&[0, 1, 0, 0], &ID), Ok(offered));
        assert_ne!(PasswordAlgorithms::SHA256_MD5, offered);
        assert!(offered.contains(PasswordAlgorithmId::SHA256));
        assert!(!offered.contains(PasswordAlgorithmId(3)));
    }
}
