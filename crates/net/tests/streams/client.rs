//! A blocking client that speaks frames over any stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use turn_codec::attribute::{
    Attribute as _, ChannelNumberAttribute, ConnectionId, Encode, ErrorCode, Lifetime, Realm,
    RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_codec::{
    ChannelData, ChannelNumber, Class, Frame, Message, MessageWriter, Method, TransactionId,
    next_frame,
};

/// One connection; `S` is a socket or TLS over one.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    /// What has been read and not been looked at.
    pub(crate) unread: Vec<u8>,
    next_id: u32,
}

/// A UDP socket as if it were a stream: a read is a datagram, a write is one.
pub(crate) struct Datagrams(pub(crate) UdpSocket);

/// A whole message or ChannelData, without its padding.
pub(crate) type Bytes = Vec<u8>;

pub(crate) const CHANNEL: u16 = 0x4001;

/// Connects with time limits, so that a broken test ends.
pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Datagrams {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(socket)
    }
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> std::io::Result<usize> {
        self.0.send(datagram)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Connects with as small a receive window as the kernel grants.
pub(crate) fn small_window(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// The bytes of a request.
pub(crate) fn request(method: Method, id: u32, attributes: &[&dyn Push]) -> Bytes {
    let mut buffer = [0; 512];
    let [a, b, c, d] = id.to_be_bytes();
    let id = TransactionId::new([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, id).unwrap();
    for attribute in attributes {
        attribute.push_to(&mut writer);
    }
    writer.finish().to_vec()
}

/// An attribute of any kind.
pub(crate) trait Push {
    fn push_to(&self, writer: &mut MessageWriter<'_>);
}

impl<A: Encode> Push for A {
    fn push_to(&self, writer: &mut MessageWriter<'_>) {
        writer.push(self).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new(), next_id: 0 }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn receive(&mut self) -> Option<Bytes> {
        loop {
            match next_frame(&self.unread) {
                Frame::Message { len } => return Some(self.unread.drain(..len).collect()),
                Frame::ChannelData { len, padded_len } => {
                    let frame: Bytes = self.unread.drain(..padded_len).collect();
                    // [C7]
                    assert!(frame[len..].iter().all(|byte| *byte == 0), "padding {frame:?}");
                    return Some(frame[..len].to_vec());
                }
                Frame::Incomplete { .. } => {}
                Frame::Invalid => panic!("framing lost at {:?}", &self.unread),
            }
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame: {error}"),
            }
        }
    }

    /// Sends a request and gives its response; data on the way is thrown away.
    pub(crate) fn ask(&mut self, method: Method, attributes: &[&dyn Push]) -> Bytes {
        self.next_id += 1;
        let asked = request(method, self.next_id, attributes);
        self.send(&asked);
        loop {
            let answer = self.receive().expect("a response");
            if answer.first().is_some_and(|first| *first < 4) && answer[8..20] == asked[8..20] {
                return answer;
            }
        }
    }

    pub(crate) fn binds(&mut self) -> bool {
        is_success(&self.ask(Method::BINDING, &[]))
    }

    /// Allocates for UDP; gives the relayed transport address.
    pub(crate) fn allocate(&mut self) -> SocketAddr {
        self.allocate_for(RequestedTransport::UDP)
    }

    pub(crate) fn allocate_for(&mut self, transport: RequestedTransport) -> SocketAddr {
        let answer = self.ask(Method::ALLOCATE, &[&transport, &Lifetime(600)]);
        assert!(is_success(&answer), "{:?}", error_of(&answer));
        Message::parse(&answer).unwrap().get::<XorRelayedAddress>().unwrap().unwrap().0
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) {
        let answer = self.ask(Method::CREATE_PERMISSION, &[&XorPeerAddress(peer)]);
        assert!(is_success(&answer), "{:?}", error_of(&answer));
    }

    pub(crate) fn bind_channel(&mut self, peer: SocketAddr) {
        self.bind_channel_number(CHANNEL, peer);
    }

    pub(crate) fn bind_channel_number(&mut self, number: u16, peer: SocketAddr) {
        let channel = ChannelNumberAttribute(number);
        let answer = self.ask(Method::CHANNEL_BIND, &[&channel, &XorPeerAddress(peer)]);
        assert!(is_success(&answer), "{:?}", error_of(&answer));
    }

    /// Asks for a connection to a peer (RFC 6062 section 5.2).
    pub(crate) fn connect(&mut self, peer: SocketAddr) -> ConnectionId {
        let answer = self.ask(Method::CONNECT, &[&XorPeerAddress(peer)]);
        assert!(is_success(&answer), "{:?}", error_of(&answer));
        connection_of(&answer)
    }

    /// Makes this connection the client's end of a peer connection.
    pub(crate) fn bind_connection(&mut self, connection: ConnectionId) {
        let answer = self.ask(Method::CONNECTION_BIND, &[&connection]);
        assert!(is_success(&answer), "{:?}", error_of(&answer));
    }

    /// Reads raw bytes until the end of the stream.
    pub(crate) fn read_to_end(&mut self) -> Bytes {
        let mut bytes = std::mem::take(&mut self.unread);
        let mut buffer = vec![0; 65_536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return bytes,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return bytes,
                Err(error) => panic!("no end: {error}"),
            }
        }
    }

    /// Reads exactly so many raw bytes.
    pub(crate) fn read_exactly(&mut self, count: usize) -> Bytes {
        let mut bytes: Bytes = self.unread.drain(..count.min(self.unread.len())).collect();
        let known = bytes.len();
        bytes.resize(count, 0);
        self.stream.read_exact(&mut bytes[known..]).unwrap();
        bytes
    }
}

/// ChannelData on [`CHANNEL`], as a stream carries it.
pub(crate) fn channel_data(data: &[u8]) -> Bytes {
    channel_data_on(CHANNEL, data)
}

/// ChannelData on a channel, as a stream carries it.
pub(crate) fn channel_data_on(number: u16, data: &[u8]) -> Bytes {
    let mut buffer = vec![0; data.len() + 8];
    let number = ChannelNumber::new(number).unwrap();
    ChannelData::new(number, data).encode_for_stream(&mut buffer).unwrap().to_vec()
}

/// What ChannelData carries.
pub(crate) fn data_of(frame: &[u8]) -> &[u8] {
    ChannelData::parse_datagram(frame).unwrap().data()
}

pub(crate) fn is_success(answer: &[u8]) -> bool {
    Message::parse(answer).unwrap().class() == Class::Success
}

pub(crate) fn error_of(answer: &[u8]) -> Option<u16> {
    let message = Message::parse(answer).unwrap();
    let error = message.get::<ErrorCode<'_>>().unwrap()?;
    Some(error.code.get())
}

/// The realm that a challenge names.
pub(crate) fn realm_of(challenge: &[u8]) -> String {
    assert_eq!(error_of(challenge), Some(401));
    Message::parse(challenge).unwrap().get::<Realm<'_>>().unwrap().unwrap().0.to_owned()
}

/// CONNECTION-ID of a response or an indication.
pub(crate) fn connection_of(message: &[u8]) -> ConnectionId {
    let message = Message::parse(message).unwrap();
    assert!(message.has(ConnectionId::TYPE));
    message.get::<ConnectionId>().unwrap().unwrap()
}
