//! Plain TCP or TLS, as one thing to read from and write to.
//!
//! At most one TLS record is encrypted ahead of the kernel: what is encrypted
//! can no longer be dropped `[H17]`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::stream::send_queue::MAX_SLICES;
use crate::stream::socket::Socket;

/// The plaintext of one TLS record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// A connection with a client.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// Starts the server's side of a TLS handshake.
pub(crate) fn accept_tls(config: &Arc<ServerConfig>, socket: Socket) -> Accept<Socket> {
    TlsAcceptor::from(Arc::clone(config))
        .accept_with(socket, |session| session.set_buffer_limit(Some(RECORD)))
}

impl Wire {
    /// Reads what there is; nothing at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }

    /// Writes some of what the slices hold, which must not be empty.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Self::Tls(stream) => {
                let mut stream = Pin::new(stream.as_mut());
                // [H17] The record before this one has left.
                ready!(stream.as_mut().poll_flush(context))?;
                let (record, count) = first_record(slices);
                stream.poll_write_vectored(context, record.get(..count).unwrap_or_default())
            }
        }
    }

    /// Waits until the kernel has everything that was written.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    /// Ends the sending side: close_notify where there is TLS, then FIN.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Bytes that the kernel has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        match self {
            Self::Plain(socket) => socket.taken(),
            Self::Tls(stream) => stream.get_ref().0.taken(),
        }
    }
}

/// The slices cut off after one record's plaintext, and how many there are.
fn first_record<'s>(slices: &'s [IoSlice<'_>]) -> ([IoSlice<'s>; MAX_SLICES], usize) {
    let mut record = [IoSlice::new(&[]); MAX_SLICES];
    let (mut room, mut count) = (RECORD, 0);
    for (to, from) in record.iter_mut().zip(slices.iter().filter(|slice| !slice.is_empty())) {
        let cut = from.get(..room.min(from.len())).unwrap_or_default();
        *to = IoSlice::new(cut);
        count += 1;
        room -= cut.len();
        if room == 0 {
            break;
        }
    }
    (record, count)
}
