//! A client data connection: raw bytes to and from one peer over TCP.
//!
//! Implements RFC 6062 section 4.5: once ConnectionBind has succeeded, neither side frames anything.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use crate::byte_stream::ByteStream;
use crate::deadline::deadline;
use crate::tls_layer::lock;
use crate::tls_options::TlsDetails;

/// A stream to a peer. Where it is shared, one thread can read while another one writes.
#[derive(Debug)]
pub struct DataConnection {
    stream: ByteStream,
    /// What came together with the response to ConnectionBind.
    early: Mutex<Vec<u8>>,
    timeout: Duration,
}

impl DataConnection {
    /// How long a read waits, unless it is told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    pub(crate) const fn new(stream: ByteStream, early: Vec<u8>) -> Self {
        Self { stream, early: Mutex::new(early), timeout: Self::TIMEOUT }
    }

    /// Changes how long a read waits before it fails with `TimedOut`.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Ends one direction, or both; TLS says close_notify before it stops sending.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Returns the TCP connection below, for its options.
    #[must_use]
    pub const fn tcp(&self) -> &TcpStream {
        self.stream.socket()
    }

    /// Returns what the TLS handshake has settled.
    #[must_use]
    pub fn tls(&self) -> Option<TlsDetails> {
        self.stream.tls()
    }

    /// Returns the address that this side is bound to.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.socket().local_addr()
    }
}

impl Read for &DataConnection {
    /// Reads what there is; 0 at the end. `TimedOut` where nothing comes; `UnexpectedEof` where
    /// TLS ends without close_notify.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut early = lock(&self.early);
        if !early.is_empty() {
            let len = early.as_slice().read(buffer)?;
            early.drain(..len);
            return Ok(len);
        }
        drop(early);
        self.stream.read(buffer, deadline(self.timeout))?.ok_or(ErrorKind::TimedOut.into())
    }
}

impl Write for &DataConnection {
    /// Sends all of it, or fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Does nothing: nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for DataConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for DataConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}
