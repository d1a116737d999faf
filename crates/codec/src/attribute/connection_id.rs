//! CONNECTION-ID: names a TCP connection between server and peer.
//!
//! Implements RFC 6062 section 6.2.1.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(
    /// Chosen by the server, at random.
    pub u32,
);

impl Attribute<'_> for ConnectionId {
    const TYPE: AttributeType = AttributeType::CONNECTION_ID;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        fixed(value).map(u32::from_be_bytes).map(Self)
    }
}

impl Encode for ConnectionId {
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
    use super::*;

    attribute_quartet!(connection_id, ConnectionId, ConnectionId(0x0102_0304), [1, 2, 3, 4],
        refuses: [1, 2, 3] => AttributeError::Length,
                 [1, 2, 3, 4, 5] => AttributeError::Length);
}
