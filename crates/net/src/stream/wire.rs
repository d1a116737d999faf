//! Plain TCP or TLS, as one thing to read from and write to.
//!
//! At most one TLS record's worth is encrypted ahead of the kernel: what is encrypted
//! can no longer be dropped `[H17]`.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::stream::send_queue::SendQueue;
use crate::stream::socket::Socket;

/// The plaintext of one TLS record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// What a record adds to its plaintext, at most (header, nonce, type, tag).
const OVERHEAD: usize = 5 + 8 + 1 + 16;

/// A connection with a client.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What a client may send until its handshake is done. The library would hold a
/// ClientHello of 64 KiB; with a post-quantum key and a ticket they have some four.
const HANDSHAKE: usize = 16 * 1024;

/// Starts the server's side of a TLS handshake.
pub(crate) fn accept_tls(config: &Arc<ServerConfig>, mut socket: Socket) -> Accept<Socket> {
    // [H15]
    socket.limit_reading(Some(HANDSHAKE));
    TlsAcceptor::from(Arc::clone(config))
        .accept_with(socket, |session| session.set_buffer_limit(Some(RECORD)))
}

/// Makes records of some frames, one of each, as much as one record may hold; gives the number of
/// bytes taken out of the queue.
fn encrypt(session: &mut ServerConnection, queue: &mut SendQueue) -> io::Result<usize> {
    let (mut taken, mut room) = (0, RECORD);
    while let Some(frame) = queue.front() {
        let cost = frame.iter().map(|part| part.len()).sum::<usize>() + OVERHEAD;
        if taken > 0 && cost > room {
            break;
        }
        let count = session.writer().write_vectored(&frame.map(IoSlice::new))?;
        if count == 0 {
            break;
        }
        queue.consume(count);
        taken += count;
        room = room.saturating_sub(cost);
    }
    Ok(taken)
}

/// Writing nothing of something is an error: it would be tried for ever.
pub(crate) fn made_progress(count: usize) -> io::Result<()> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

/// A socket that writes what the kernel takes at once.
struct AtOnce<'s>(&'s mut Socket);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

    /// Writes some of what waits in a queue, which must not be empty; gives the
    /// number of bytes taken out of it.
    ///
    /// One frame is one TLS record, since there are clients that take one for the
    /// other; the records leave together.
    pub(crate) fn poll_write_frames(
        &mut self,
        context: &mut Context<'_>,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        let stream = match self {
            Self::Plain(socket) => {
                let count = ready!(Pin::new(socket).poll_write_vectored(context, &queue.slices()))?;
                queue.consume(count);
                return Poll::Ready(Ok(count));
            }
            Self::Tls(stream) => stream.as_mut(),
        };
        // [H17] What was encrypted before has left.
        ready!(Pin::new(&mut *stream).poll_flush(context))?;
        Poll::Ready(encrypt(stream.get_mut().1, queue))
    }

    /// Writes what waits in a queue, as far as the kernel takes it at once.
    ///
    /// # Errors
    /// `WouldBlock` where something is left that the kernel does not take now, and whatever else
    /// writing says; it says so again to [`Self::poll_write_frames`].
    pub(crate) fn try_write_frames(&mut self, queue: &mut SendQueue) -> io::Result<()> {
        match self {
            Self::Plain(socket) => {
                while !queue.is_empty() {
                    let count = socket.try_write_vectored(&queue.slices())?;
                    queue.consume(count);
                    made_progress(count)?;
                }
            }
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                loop {
                    // [H17] What was encrypted before has left.
                    while session.wants_write() {
                        made_progress(session.write_tls(&mut AtOnce(socket))?)?;
                    }
                    if queue.is_empty() {
                        break;
                    }
                    made_progress(encrypt(session, queue)?)?;
                }
            }
        }
        Ok(())
    }

    /// Writes some of these raw bytes, of which there must be some.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => {
                let mut stream = Pin::new(stream.as_mut());
                // [H17] The record before this one has left.
                ready!(stream.as_mut().poll_flush(context))?;
                let record = bytes.get(..RECORD).unwrap_or(bytes);
                stream.poll_write(context, record)
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
