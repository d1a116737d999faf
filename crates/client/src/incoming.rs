//! What a message from the server is, before anybody asks what it means.
//!
//! Implements RFC 8656 sections 11.4 and 11.5 (Data indications), 12.6 (ChannelData), RFC 6062
//! section 4.4 (ConnectionAttempt), and RFC 7983.

use std::net::SocketAddr;

use turn_codec::attribute::{ConnectionId, Data, Icmp, XorPeerAddress};
use turn_codec::{ChannelData, ChannelNumber, Class, Message, Method, PacketKind, classify};

/// A datagram from the server, or a message of a stream; data borrows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A Data indication with data from a peer.
    FromPeer {
        /// The peer.
        peer: SocketAddr,
        /// Its data.
        data: &'a [u8],
    },
    /// ChannelData.
    OnChannel {
        /// The channel.
        number: ChannelNumber,
        /// Its data.
        data: &'a [u8],
    },
    /// A Data indication with an ICMP error about a packet to a peer.
    IcmpError {
        /// The peer that the packet was for.
        peer: SocketAddr,
        /// The error.
        icmp: Icmp,
    },
    /// A ConnectionAttempt indication: a peer has connected to the relayed transport address.
    ConnectionAttempt {
        /// The peer.
        peer: SocketAddr,
        /// Names the connection.
        id: ConnectionId,
    },
    /// A response: for [`Session::receive`](crate::Session::receive).
    Response,
    /// Nothing that a client can use.
    Unusable,
}

impl<'a> Incoming<'a> {
    /// Tells what a whole datagram is.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        match classify(bytes) {
            PacketKind::Stun => Self::stun(bytes),
            PacketKind::ChannelData => match ChannelData::parse_datagram(bytes) {
                Ok(frame) => Self::OnChannel { number: frame.number(), data: frame.data() },
                Err(_) => Self::Unusable,
            },
            PacketKind::Dtls | PacketKind::Unknown => Self::Unusable,
        }
    }

    fn stun(bytes: &'a [u8]) -> Self {
        let Ok(message) = Message::parse(bytes) else {
            return Self::Unusable;
        };
        match (message.class(), message.method()) {
            (Class::Success | Class::Error, _) => Self::Response,
            (Class::Indication, Method::DATA) => {
                Self::data_indication(&message).unwrap_or(Self::Unusable)
            }
            (Class::Indication, Method::CONNECTION_ATTEMPT) => {
                Self::connection_attempt(&message).unwrap_or(Self::Unusable)
            }
            (Class::Indication | Class::Request, _) => Self::Unusable,
        }
    }

    fn data_indication(message: &Message<'a>) -> Option<Self> {
        // "If there is an unknown comprehension-required attribute, the indication is
        // discarded" (RFC 8489 section 6.3.2).
        if message.unknown_required().next().is_some() {
            return None;
        }
        let XorPeerAddress(peer) = message.get().ok()??;
        if let Some(Data(data)) = message.get().ok()? {
            return Some(Self::FromPeer { peer, data });
        }
        let icmp = message.get().ok()??;
        Some(Self::IcmpError { peer, icmp })
    }

    fn connection_attempt(message: &Message<'a>) -> Option<Self> {
        // As for any indication.
        if message.unknown_required().next().is_some() {
            return None;
        }
        let XorPeerAddress(peer) = message.get().ok()??;
        let id = message.get().ok()??;
        Some(Self::ConnectionAttempt { peer, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_codec::{AttributeType, MessageWriter, NoRoom, TransactionId};

    const PEER: &str = "192.0.2.9:4000";

    #[test]
    fn data_indication_is_data_from_its_peer() {
        let bytes = indication(Method::DATA, |w| {
            w.push(&XorPeerAddress(PEER.parse().unwrap()))?;
            w.push(&Data(b"hello"))
        });
        let peer = PEER.parse().unwrap();
        let data = b"hello";
        assert_eq!(Incoming::parse(&bytes), Incoming::FromPeer { peer, data });
    }

    #[test]
    fn channel_data_ends_where_its_length_says() {
        let number = ChannelNumber::MIN;
        let data = b"abc";
        let expected = Incoming::OnChannel { number, data };
        assert_eq!(Incoming::parse(b"\x40\x00\x00\x03abc"), expected);
        assert_eq!(Incoming::parse(b"\x40\x00\x00\x03abc\0"), expected);
        assert_eq!(Incoming::parse(b"\x40\x00\x00\x04abc"), Incoming::Unusable);
    }

    #[test]
    fn indication_without_data_is_an_icmp_error() {
        let icmp = Icmp { kind: 3, code: 4, data: [0, 0, 5, 0] };
        let bytes = indication(Method::DATA, |w| {
            w.push(&XorPeerAddress(PEER.parse().unwrap()))?;
            w.push(&icmp)
        });
        let peer = PEER.parse().unwrap();
        assert_eq!(Incoming::parse(&bytes), Incoming::IcmpError { peer, icmp });
    }

    #[test]
    fn responses_are_told_from_the_rest() {
        let bytes = message(Class::Success, Method::DATA, |_| Ok(()));
        assert_eq!(Incoming::parse(&bytes), Incoming::Response);
        for unusable in [&b""[..], &[0; 20], &[22; 40], &[0xFF; 40], &[0x01, 0x01]] {
            assert_eq!(Incoming::parse(unusable), Incoming::Unusable);
        }
    }

    #[test]
    fn indication_with_an_unknown_required_attribute_is_unusable() {
        let bytes = indication(Method::DATA, |w| {
            w.push(&XorPeerAddress(PEER.parse().unwrap()))?;
            w.push_raw(AttributeType::new(0x7FFF), b"")?;
            w.push(&Data(b"hello"))
        });
        assert_eq!(Incoming::parse(&bytes), Incoming::Unusable);
    }

    #[test]
    fn connection_attempt_names_peer_and_connection() {
        let (peer, id) = (PEER.parse().unwrap(), ConnectionId(0xFF00_0001));
        let bytes = indication(Method::CONNECTION_ATTEMPT, |w| {
            w.push(&XorPeerAddress(peer))?;
            w.push(&id)
        });
        assert_eq!(Incoming::parse(&bytes), Incoming::ConnectionAttempt { peer, id });
        let nameless = indication(Method::CONNECTION_ATTEMPT, |w| w.push(&XorPeerAddress(peer)));
        assert_eq!(Incoming::parse(&nameless), Incoming::Unusable);
        let strange = indication(Method::CONNECTION_ATTEMPT, |w| {
            w.push(&XorPeerAddress(peer))?;
            w.push_raw(AttributeType::new(0x7FFF), b"")?;
            w.push(&id)
        });
        assert_eq!(Incoming::parse(&strange), Incoming::Unusable);
    }

    fn indication(
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) -> Vec<u8> {
        message(Class::Indication, method, attributes)
    }

    fn message(
        class: Class,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) -> Vec<u8> {
        let mut buffer = [0; 256];
        let id = TransactionId::new([7; 12]);
        let mut writer = MessageWriter::new(&mut buffer, class, method, id).unwrap();
        attributes(&mut writer).unwrap();
        writer.finish().to_vec()
    }
}
