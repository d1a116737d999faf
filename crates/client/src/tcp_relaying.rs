//! Connections to peers over TCP: what a client can ask for.
//!
//! Implements RFC 6062 section 4.3 (Connect, ConnectionBind); the latter also answers the attempts of
//! section 4.4.

use std::net::SocketAddr;

use turn_codec::attribute::{ConnectionId, XorPeerAddress};
use turn_codec::{Message, MessageWriter, Method, NoRoom};

use crate::Error;
use crate::operation::{Operation, required};

/// Asks for a connection from the relayed transport address to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// The peer.
    pub peer: SocketAddr,
}

impl Operation for Connect {
    type Response = ConnectionId;

    const METHOD: Method = Method::CONNECT;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        writer.push(&XorPeerAddress(self.peer))
    }

    fn read(message: &Message<'_>) -> Result<ConnectionId, Error> {
        required(message)
    }
}

/// Makes the connection that it is sent on the client data connection of a peer connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionBind {
    /// CONNECTION-ID of a Connect response or a ConnectionAttempt indication.
    pub id: ConnectionId,
}

impl Operation for ConnectionBind {
    type Response = ();

    const METHOD: Method = Method::CONNECTION_BIND;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        writer.push(&self.id)
    }

    fn read(_: &Message<'_>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_codec::{AttributeType, Class, TransactionId};

    const ID: TransactionId = TransactionId::new([7; 12]);

    #[test]
    fn connect_names_its_peer_and_reads_the_id() {
        let peer = "192.0.2.9:4000".parse().unwrap();
        let mut buffer = [0; 64];
        let mut writer = writer(&mut buffer, Class::Request, Method::CONNECT);
        Connect { peer }.write(&mut writer).unwrap();
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));

        let mut buffer = [0; 64];
        let mut writer = self::writer(&mut buffer, Class::Success, Method::CONNECT);
        writer.push(&ConnectionId(0x0102_0304)).unwrap();
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(Connect::read(&message).unwrap(), ConnectionId(0x0102_0304));
    }

    #[test]
    fn success_without_a_connection_id_is_malformed() {
        let mut buffer = [0; 64];
        let writer = writer(&mut buffer, Class::Success, Method::CONNECT);
        let message = Message::parse(writer.finish()).unwrap();
        let error = Connect::read(&message).unwrap_err();
        assert!(matches!(error, Error::Malformed(AttributeType::CONNECTION_ID)));
    }

    #[test]
    fn connection_bind_names_its_connection() {
        let id = ConnectionId(7);
        let mut buffer = [0; 64];
        let mut writer = writer(&mut buffer, Class::Request, Method::CONNECTION_BIND);
        ConnectionBind { id }.write(&mut writer).unwrap();
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(message.get(), Ok(Some(id)));
        assert!(ConnectionBind::read(&message).is_ok());
    }

    fn writer(buffer: &mut [u8], class: Class, method: Method) -> MessageWriter<'_> {
        MessageWriter::new(buffer, class, method, ID).unwrap()
    }
}
