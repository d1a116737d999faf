//! REQUESTED-TRANSPORT: the protocol between server and peer.
//!
//! Implements RFC 8656 section 18.8.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AttributeError, AttributeType, TransactionId};

/// A protocol number of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestedTransport {
    /// Any protocol; what the server does not relay is a 442.
    pub protocol: u8,
}

impl RequestedTransport {
    /// UDP (RFC 8656).
    pub const UDP: Self = Self { protocol: 17 };
    /// TCP (RFC 6062).
    pub const TCP: Self = Self { protocol: 6 };
}

impl Attribute<'_> for RequestedTransport {
    const TYPE: AttributeType = AttributeType::REQUESTED_TRANSPORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [protocol, _, _, _] = fixed(value)?;
        Ok(Self { protocol })
    }
}

impl Encode for RequestedTransport {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn value_len(&self) -> usize {
        4
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        copy(&[self.protocol], value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(udp, RequestedTransport, RequestedTransport::UDP, [17, 0, 0, 0],
        refuses: [17, 0, 0] => AttributeError::Length);
    attribute_quartet!(tcp, RequestedTransport, RequestedTransport::TCP, [6, 0, 0, 0],
        refuses: [6, 0, 0, 0, 0] => AttributeError::Length);

    #[test]
    fn s12_reserved_bytes_are_ignored() {
        let transport = RequestedTransport::decode(&[17, 0xFF, 0xFF, 0xFF], &ID);
        assert_eq!(transport, Ok(RequestedTransport::UDP));
    }
}
