//! TLS between a byte stream and its socket.
//!
//! Invariants:
//! - nobody holds the TLS state while waiting for the socket, so that one thread can read while
//!   another one writes;
//! - records leave in the order in which they were made: whoever takes them out of the state
//!   holds `outgoing` until they are sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ClientConnection;

use crate::deadline::{is_timeout, until};
use crate::tls_options::{TlsDetails, TlsOptions};

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct TlsLayer {
    options: TlsOptions,
    connection: Mutex<ClientConnection>,
    outgoing: Mutex<()>,
}

impl TlsLayer {
    /// Makes the handshake.
    pub(crate) fn connect(
        socket: &TcpStream,
        options: &TlsOptions,
        deadline: Instant,
    ) -> io::Result<Self> {
        let this = Self {
            options: options.clone(),
            connection: Mutex::new(options.connection()?),
            outgoing: Mutex::new(()),
        };
        this.write_all(socket, b"")?;
        while this.state().is_handshaking() {
            if !is_readable(socket, deadline)? {
                return Err(ErrorKind::TimedOut.into());
            }
            if this.take_records(socket)? == Some(0) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(this)
    }

    /// Reads what there is; 0 behind close_notify, and an error where the stream ends without.
    pub(crate) fn read(
        &self,
        socket: &TcpStream,
        buffer: &mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<usize>> {
        loop {
            match self.state().reader().read(buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if !is_readable(socket, deadline)? {
                return Ok(None);
            }
            self.take_records(socket)?;
        }
    }

    /// Sends these bytes, and whatever the state has to send of its own.
    pub(crate) fn write_all(&self, socket: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        let _turn = lock(&self.outgoing);
        let mut rest = bytes;
        loop {
            let mut records = Vec::new();
            let mut state = self.state();
            let taken = state.writer().write(rest)?;
            while state.wants_write() {
                state.write_tls(&mut records)?;
            }
            drop(state);
            send_all(socket, &records)?;
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            if taken == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
    }

    /// Says that nothing more follows.
    pub(crate) fn close_notify(&self, socket: &TcpStream) -> io::Result<()> {
        self.state().send_close_notify();
        self.write_all(socket, b"")
    }

    pub(crate) fn details(&self) -> Option<TlsDetails> {
        TlsDetails::of(&self.state())
    }

    pub(crate) const fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// Takes in what the socket has, which must be readable; 0 at its end, `None` where another
    /// thread was faster.
    fn take_records(&self, socket: &TcpStream) -> io::Result<Option<usize>> {
        let mut state = self.state();
        let len = match state.read_tls(&mut &*socket) {
            Ok(len) => len,
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let outcome = state.process_new_packets();
        let has_reply = state.wants_write();
        drop(state);
        let replied = if has_reply { self.write_all(socket, b"") } else { Ok(()) };
        // What is wrong with the records says more than that an alert about it was not sent.
        outcome.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        replied?;
        Ok(Some(len))
    }

    fn state(&self) -> MutexGuard<'_, ClientConnection> {
        lock(&self.connection)
    }
}

/// Locks, also behind a thread that has panicked: a test that fails must not hang.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends all bytes, or fails where the socket's write timeout is over before they are sent.
pub(crate) fn send_all(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    socket
        .write_all(bytes)
        .map_err(|error| if is_timeout(&error) { ErrorKind::TimedOut.into() } else { error })
}

/// Waits until there is something to read, or the end.
fn is_readable(socket: &TcpStream, deadline: Instant) -> io::Result<bool> {
    let peeked = until(deadline, |left| {
        socket.set_read_timeout(Some(left))?;
        socket.peek(&mut [0])
    });
    Ok(peeked?.is_some())
}
