//! Send indications: data to a peer without a channel.
//!
//! Implements RFC 8656 section 11.1.

use std::net::SocketAddr;

use turn_codec::attribute::{Data, DontFragment, XorPeerAddress};
use turn_codec::{Class, MessageWriter, Method, NoRoom, TransactionId};

/// Data for a peer that the client has a permission for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendIndication<'a> {
    /// The peer.
    pub peer: SocketAddr,
    /// The data; may be empty.
    pub data: &'a [u8],
    /// DONT-FRAGMENT: what does not fit the path is dropped.
    pub dont_fragment: Option<DontFragment>,
}

impl<'a> SendIndication<'a> {
    /// The most bytes beside the data and its padding: header, IPv6 peer, DONT-FRAGMENT and
    /// the frame of DATA.
    pub const MAX_OVERHEAD: usize = 20 + 24 + 4 + 4 + 3;

    /// Joins a peer and data.
    #[must_use]
    pub const fn new(peer: SocketAddr, data: &'a [u8]) -> Self {
        Self { peer, data, dont_fragment: None }
    }

    /// Writes the indication and returns its bytes.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where the buffer or the length field of a message cannot hold it.
    pub fn encode<'b>(&self, buffer: &'b mut [u8], id: TransactionId) -> Result<&'b [u8], NoRoom> {
        let mut writer = MessageWriter::new(buffer, Class::Indication, Method::SEND, id)?;
        writer.push(&XorPeerAddress(self.peer))?;
        if let Some(dont_fragment) = self.dont_fragment {
            writer.push(&dont_fragment)?;
        }
        writer.push(&Data(self.data))?;
        Ok(writer.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_codec::{AttributeType, Message};

    const ID: TransactionId = TransactionId::new([7; 12]);

    #[test]
    fn indication_carries_peer_and_data() {
        let peer = "[2001:db8::9]:4000".parse().unwrap();
        let indication = SendIndication {
            dont_fragment: Some(DontFragment),
            ..SendIndication::new(peer, b"abcde")
        };
        let mut buffer = [0; SendIndication::MAX_OVERHEAD + 5];
        let message = Message::parse(indication.encode(&mut buffer, ID).unwrap()).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::SEND));
        assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));
        assert_eq!(message.get(), Ok(Some(Data(b"abcde"))));
        assert!(message.has(AttributeType::DONT_FRAGMENT));
    }

    #[test]
    fn data_beyond_a_message_is_no_room() {
        let data = vec![0; 65_536];
        let indication = SendIndication::new("192.0.2.9:4000".parse().unwrap(), &data);
        assert_eq!(indication.encode(&mut vec![0; 70_000], ID), Err(NoRoom));
    }
}
