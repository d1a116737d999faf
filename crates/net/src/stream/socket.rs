//! A TCP connection that can leave its runtime: what lies on top of it, TLS
//! with all its state, stays whole while the socket is taken out here and put
//! in again on another shard.

use std::io::{self, IoSlice};
use std::net;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Unsent bytes at which the kernel takes no more: what waits with us can
/// still be dropped when it is stale.
const NOT_SENT: u32 = 16 * 1024;

/// A vanished client is noticed after seven minutes, where nothing else notices
/// it: allocations expire, data connections do not.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(300))
    .with_interval(Duration::from_secs(30))
    .with_retries(4);

/// A socket, or the place of one that is on its way elsewhere.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Option<TcpStream>,
    /// Bytes that the kernel has taken, to see progress by.
    taken: u64,
    /// Bytes that may still be read, where they are counted.
    readable: Option<usize>,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), taken: 0, readable: None }
    }

    /// From now on reading more than `limit` bytes is an error; `None` lifts that.
    pub(crate) const fn limit_reading(&mut self, limit: Option<usize>) {
        self.readable = limit;
    }

    /// Takes the socket out of this runtime.
    pub(crate) fn leave(&mut self) -> io::Result<net::TcpStream> {
        self.stream.take().ok_or(io::ErrorKind::NotConnected)?.into_std()
    }

    /// Puts the socket into the current runtime.
    pub(crate) fn arrive(&mut self, stream: net::TcpStream) -> io::Result<()> {
        self.stream = Some(TcpStream::from_std(stream)?);
        Ok(())
    }

    /// Bytes that the kernel has taken so far.
    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Looks at the first byte without taking it; `None` at the end.
    pub(crate) fn poll_first_byte(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<u8>>> {
        let mut first = [0];
        let mut buffer = ReadBuf::new(&mut first);
        self.poll_peek(context, &mut buffer).map_ok(|()| buffer.filled().first().copied())
    }

    /// Looks at what there is without taking it; nothing at the end.
    pub(crate) fn poll_peek(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        stream.poll_peek(context, buffer).map_ok(|_| ())
    }

    /// Takes bytes that were peeked at.
    pub(crate) fn take(&self, count: usize) -> io::Result<()> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut bytes = [0; 256];
        let bytes = bytes.get_mut(..count).ok_or(io::ErrorKind::InvalidInput)?;
        if count > 0 && stream.try_read(bytes)? != count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Writes what the kernel takes at once; `WouldBlock` where that is nothing.
    pub(crate) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let count = stream.try_write_vectored(slices)?;
        self.taken = self.taken.wrapping_add(count as u64);
        Ok(count)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or(io::ErrorKind::NotConnected.into())
    }
}

/// Options of a connection with a client. What the kernel refuses is done
/// without.
pub(crate) fn tune(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT);
    tune_peer(stream);
}

/// Options of a connection with a peer.
pub(crate) fn tune_peer(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE);
}

/// Closes at once, without leaving anything behind in the kernel.
pub(crate) fn reset(stream: TcpStream) {
    // Otherwise it is closed in the orderly way.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        ready!(self.stream()?.poll_read(context, buffer))?;
        if let Some(readable) = self.readable {
            let left = readable.checked_sub(buffer.filled().len() - known);
            self.readable = Some(left.ok_or(io::ErrorKind::InvalidData)?);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(context, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

impl Socket {
    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.taken = self.taken.wrapping_add(*count as u64);
        }
        written
    }
}
