//! TCP and TLS connections of clients, which never block once they are made.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::ClientConnection;
use turn_codec::{ChannelData, Frame, next_frame};
use turn_udp::{Epoll, Ready};

use crate::TlsOptions;
use crate::byte_stream::connect;

/// Connections by number.
#[derive(Debug)]
pub struct Streams {
    all: Vec<Stream>,
    set: Epoll,
    ready: Ready,
    scratch: Box<[u8]>,
}

/// One connection.
#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// What the socket has not taken yet.
    outgoing: Vec<u8>,
    /// What is not a whole message yet.
    incoming: Vec<u8>,
}

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// How long a server may take over a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

impl Streams {
    /// Connects `count` clients, one after the other.
    ///
    /// # Errors
    /// What the socket, the server or the TLS handshake says; `TimedOut` after 10 s.
    pub fn connect(
        local: SocketAddr,
        server: SocketAddr,
        count: usize,
        tls: Option<&TlsOptions>,
    ) -> io::Result<Self> {
        let set = Epoll::new()?;
        let mut all = Vec::with_capacity(count);
        for token in 0..count as u64 {
            let stream = Stream::connect(local, server, tls)?;
            set.add(&stream.socket, token)?;
            all.push(stream);
        }
        Ok(Self { all, set, ready: Ready::new(), scratch: vec![0; CHUNK].into() })
    }

    /// Puts a message in line; over TLS it is a record of its own. Nothing happens without such a
    /// stream.
    ///
    /// # Errors
    /// What the TLS session says.
    pub fn send(&mut self, stream: usize, message: &[u8]) -> io::Result<()> {
        self.all.get_mut(stream).map_or(Ok(()), |stream| stream.queue(message))
    }

    /// Sends what is in line on one connection, as far as the socket takes it.
    ///
    /// # Errors
    /// What the socket says.
    pub fn flush_one(&mut self, stream: usize) -> io::Result<()> {
        self.all.get_mut(stream).map_or(Ok(()), Stream::flush)
    }

    /// Sends what sockets have not taken before.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let waiting = self.all.iter_mut().filter(|stream| !stream.outgoing.is_empty());
        waiting.into_iter().try_for_each(Stream::flush)
    }

    /// Hands over the whole messages that have arrived, without their padding, with the number of
    /// their connection.
    ///
    /// # Errors
    /// A connection has ended or lost its framing.
    pub fn receive(&mut self, mut each: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let Self { all, set, ready, scratch } = self;
        for token in set.wait(ready, Some(Duration::ZERO))? {
            let number = usize::try_from(*token).unwrap_or(usize::MAX);
            if let Some(stream) = all.get_mut(number) {
                stream.take_in(scratch)?;
                stream.hand_over(|message| each(number, message))?;
            }
        }
        Ok(())
    }
}

impl Stream {
    fn connect(
        local: SocketAddr,
        server: SocketAddr,
        tls: Option<&TlsOptions>,
    ) -> io::Result<Self> {
        let mut socket = connect(local, server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut tls = tls.map(TlsOptions::connection).transpose()?.map(Box::new);
        if let Some(tls) = &mut tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut socket)?;
            }
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket, tls, outgoing: Vec::new(), incoming: Vec::new() })
    }

    fn queue(&mut self, message: &[u8]) -> io::Result<()> {
        // STUN messages are whole words; ChannelData is padded (RFC 8656 section 12.5).
        let padding = [0; 3];
        let padding = padding.get(..ChannelData::pad_len(message.len())).unwrap_or_default();
        match &mut self.tls {
            None => {
                self.outgoing.extend_from_slice(message);
                self.outgoing.extend_from_slice(padding);
            }
            Some(tls) => {
                if padding.is_empty() {
                    tls.writer().write_all(message)?;
                } else {
                    tls.writer().write_all(&[message, padding].concat())?;
                }
                while tls.wants_write() {
                    tls.write_tls(&mut self.outgoing)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(len) => {
                    self.outgoing.drain(..len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what one call brings.
    fn take_in(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            let len = ended_if_zero(self.socket.read(scratch))?;
            self.incoming.extend_from_slice(scratch.get(..len).unwrap_or_default());
            return Ok(());
        };
        ended_if_zero(tls.read_tls(&mut self.socket))?;
        tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        loop {
            match tls.reader().read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    self.incoming.extend_from_slice(scratch.get(..len).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn hand_over(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut consumed = 0;
        loop {
            let rest = self.incoming.get(consumed..).unwrap_or_default();
            let (len, padded) = match next_frame(rest) {
                Frame::Message { len } => (len, len),
                Frame::ChannelData { len, padded_len } => (len, padded_len),
                Frame::Incomplete { .. } => break,
                Frame::Invalid => return Err(ErrorKind::InvalidData.into()),
            };
            each(rest.get(..len).unwrap_or_default());
            consumed += padded;
        }
        self.incoming.drain(..consumed);
        Ok(())
    }
}

/// The end of a stream is an error here; nothing to read and an interruption are none.
fn ended_if_zero(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(0)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use turn_codec::ChannelNumber;

    use super::*;

    #[test]
    fn messages_are_padded_out_and_found_in_what_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let mut streams =
            Streams::connect("127.0.0.1:0".parse().unwrap(), server, 1, None).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();

        let mut message = ChannelData::header(ChannelNumber::MIN, 5).to_vec();
        message.extend_from_slice(b"hello");
        streams.send(0, &message).unwrap();
        streams.send(0, &message).unwrap();
        streams.flush_one(0).unwrap();
        let mut bytes = [0; 24];
        accepted.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes[..9], message);
        assert_eq!(&bytes[9..12], [0; 3]);

        // In pieces that are no messages.
        let mut found = Vec::new();
        for piece in bytes.chunks(7) {
            accepted.write_all(piece).unwrap();
            let until = std::time::Instant::now() + PATIENCE;
            let wanted = found.len() + usize::from(piece.len() < 7);
            while found.len() < wanted && std::time::Instant::now() < until {
                streams.receive(|_, message| found.push(message.to_vec())).unwrap();
            }
        }
        while found.len() < 2 {
            streams.receive(|_, message| found.push(message.to_vec())).unwrap();
        }
        assert_eq!(found, [message.clone(), message]);
        drop(accepted);
        let until = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < until {
            if let Err(error) = streams.receive(|_, _| {}) {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                return;
            }
        }
        panic!("the end of the stream went unnoticed");
    }
}
