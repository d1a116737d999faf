//! DONT-FRAGMENT: asks for the DF bit on what goes to the peer.
//!
//! Implements RFC 8656 section 18.9.

use super::traits::{Attribute, Encode, fixed};
use crate::{AttributeError, AttributeType, TransactionId};

/// Present or absent; it has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DontFragment;

impl Attribute<'_> for DontFragment {
    const TYPE: AttributeType = AttributeType::DONT_FRAGMENT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [] = fixed(value)?;
        Ok(Self)
    }
}

impl Encode for DontFragment {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        0
    }

    fn encode(&self, _: &mut [u8], _: &TransactionId) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    attribute_quartet!(dont_fragment, DontFragment, DontFragment, [],
        refuses: [0] => AttributeError::Length);
}
