//! A packet as a client or a peer sends it: ChannelData, a Send indication, or bare data.

use std::net::SocketAddr;

use turn_codec::{ChannelData, ChannelNumber, TransactionId};

use super::stamp::Stamp;
use super::{LoadError, MessageKind};
use crate::SendIndication;

/// The one channel of each client.
pub(crate) const CHANNEL: ChannelNumber = ChannelNumber::MIN;

/// A packet that is written again and again.
#[derive(Debug)]
pub(crate) struct Packet {
    kind: MessageKind,
    /// ChannelData of the largest size.
    frame: Vec<u8>,
    /// Room for a Send indication.
    indication: Vec<u8>,
}

impl Packet {
    /// A packet of at most so many bytes of application data.
    pub(crate) fn new(kind: MessageKind, largest: u16) -> Self {
        let largest = usize::from(largest);
        Self {
            kind,
            frame: vec![b'.'; ChannelData::HEADER_LEN + largest],
            indication: vec![0; SendIndication::MAX_OVERHEAD + largest],
        }
    }

    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        let at = ChannelData::HEADER_LEN..ChannelData::HEADER_LEN + Stamp::LEN;
        if let Some(place) = self.frame.get_mut(at) {
            place.copy_from_slice(&stamp.to_bytes());
        }
    }

    /// What a peer sends.
    pub(crate) fn payload(&self, size: u16) -> &[u8] {
        let end = ChannelData::HEADER_LEN + usize::from(size);
        self.frame.get(ChannelData::HEADER_LEN..end).unwrap_or_default()
    }

    /// What a client sends.
    pub(crate) fn message(&mut self, size: u16, towards: SocketAddr) -> Result<&[u8], LoadError> {
        let end = ChannelData::HEADER_LEN + usize::from(size);
        match self.kind {
            MessageKind::Channel => {
                if let Some(header) = self.frame.first_chunk_mut() {
                    *header = ChannelData::header(CHANNEL, size);
                }
                Ok(self.frame.get(..end).unwrap_or_default())
            }
            MessageKind::Indication => {
                let data = self.frame.get(ChannelData::HEADER_LEN..end).unwrap_or_default();
                // Nobody answers an indication, so its transaction id need not be unique.
                let id = TransactionId::new([7; 12]);
                Ok(SendIndication::new(towards, data).encode(&mut self.indication, id)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Incoming;

    #[test]
    fn both_kinds_of_message_carry_the_stamp() {
        let peer = "192.0.2.9:4000".parse().unwrap();
        let stamp = Stamp { flow: 3, left: 5 };
        for kind in [MessageKind::Channel, MessageKind::Indication] {
            let mut packet = Packet::new(kind, 1_200);
            packet.stamp(stamp);
            for size in [16, 161, 1_200] {
                assert_eq!(packet.payload(size).len(), usize::from(size));
                let message = packet.message(size, peer).unwrap();
                let data = if let Incoming::OnChannel { number: CHANNEL, data } =
                    Incoming::parse(message)
                {
                    data
                } else {
                    // A Send indication is nothing that a client receives.
                    let padded = usize::from(size).next_multiple_of(4);
                    message.split_at(message.len() - padded).1
                };
                assert_eq!(Stamp::read(data), Some(stamp));
            }
        }
    }
}
