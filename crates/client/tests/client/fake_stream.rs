//! A server of streams, TCP or TLS, that follows a script: one thread for each connection.

use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use turn_client::{Client, TlsOptions};
use turn_codec::{Frame, next_frame};

use crate::fake::{ann, here};

/// Listens until it is dropped.
pub(crate) struct FakeStreamServer {
    pub(crate) address: SocketAddr,
    is_done: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// One connection, as the script sees it.
pub(crate) struct Accepted {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl FakeStreamServer {
    /// Runs `script` on every TCP connection.
    pub(crate) fn start(script: impl Fn(Accepted) + Send + Sync + 'static) -> Self {
        Self::listen(move |socket| script(Accepted::new(socket)))
    }

    /// Runs `script` on every TLS connection; a handshake that fails ends it.
    pub(crate) fn start_tls(
        config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static,
        script: impl Fn(Accepted) + Send + Sync + 'static,
    ) -> Self {
        Self::listen(move |mut socket| {
            let mut connection = ServerConnection::new(config()).unwrap();
            if connection.complete_io(&mut socket).is_ok() {
                script(Accepted::new(StreamOwned::new(connection, socket)));
            }
        })
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect_tcp(here(), self.address, ann()).unwrap()
    }

    pub(crate) fn tls_client(&self, options: &TlsOptions) -> Client {
        Client::connect_tls(here(), self.address, options, ann()).unwrap()
    }

    fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_done);
        let acceptor = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for socket in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let socket = socket.unwrap();
                    // What a test forgets must not hang it.
                    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
                    socket.set_nodelay(true).unwrap();
                    scope.spawn(|| serve(socket));
                }
            });
        });
        Self { address, is_done, acceptor: Some(acceptor) }
    }
}

impl Drop for FakeStreamServer {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        let ended = self.acceptor.take().is_none_or(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the fake server panicked");
    }
}

impl Accepted {
    fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    /// Waits for a whole message and returns it with its padding; `None` at the end.
    pub(crate) fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            let len = match next_frame(&self.unread) {
                Frame::Message { len } | Frame::ChannelData { padded_len: len, .. } => len,
                Frame::Incomplete { .. } => {
                    let bytes = self.bytes();
                    if bytes.is_empty() {
                        return None;
                    }
                    self.unread.extend(bytes);
                    continue;
                }
                Frame::Invalid => panic!("no message: {:?}", self.unread),
            };
            return Some(self.unread.drain(..len).collect());
        }
    }

    /// Waits for any bytes; none at the end.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let len = match self.stream.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if is_end(error.kind()) => 0,
            Err(error) => panic!("{error}"),
        };
        buffer.truncate(len);
        buffer
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// Answers every message with what a function makes of it, until the client is gone.
    pub(crate) fn answer(&mut self, mut answer: impl FnMut(&[u8]) -> Vec<u8>) {
        while let Some(message) = self.message() {
            let reply = answer(&message);
            self.send(&reply);
        }
    }

    /// Sends back what comes, raw, until the client ends its direction.
    pub(crate) fn echo(&mut self) {
        loop {
            let bytes = self.bytes();
            if bytes.is_empty() {
                return;
            }
            self.send(&bytes);
        }
    }
}

/// Takes a client that drops its connection for one that ends it: TLS without close_notify, a
/// reset because of unread bytes.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

/// Asserts that an operation failed with an I/O error of this kind.
pub(crate) fn assert_io<T: Debug>(result: Result<T, turn_client::Error>, kind: ErrorKind) {
    match result {
        Err(turn_client::Error::Io(error)) if error.kind() == kind => {}
        other => panic!("{other:?} is not {kind:?}"),
    }
}
