//! Whole messages out of a byte stream.
//!
//! Implements RFC 8489 section 6.2.2 and RFC 8656 section 12.5 on the receiving side: the padding
//! of ChannelData is consumed and not handed on.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use turn_codec::{Frame, next_frame};

use crate::byte_stream::ByteStream;
use crate::tls_layer::lock;

/// A byte stream, and what was read of it beyond the last message.
#[derive(Debug)]
pub(crate) struct FramedStream {
    stream: ByteStream,
    unread: Mutex<Unread>,
}

impl FramedStream {
    pub(crate) fn new(stream: ByteStream) -> Self {
        Self { stream, unread: Mutex::default() }
    }

    /// Waits for a whole message and copies it into `buffer`; `None` when the time is over.
    pub(crate) fn receive_into<'b>(
        &self,
        buffer: &'b mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<&'b [u8]>> {
        let mut unread = lock(&self.unread);
        loop {
            let (len, consumed) = match next_frame(unread.bytes()) {
                Frame::Message { len } => (len, len),
                Frame::ChannelData { len, padded_len } => (len, padded_len),
                Frame::Incomplete { .. } => match unread.fill(&self.stream, deadline)? {
                    None => return Ok(None),
                    Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Some(_) => continue,
                },
                Frame::Invalid => {
                    let what = "neither a STUN message nor ChannelData";
                    return Err(io::Error::new(ErrorKind::InvalidData, what));
                }
            };
            let (Some(room), Some(frame)) = (buffer.get_mut(..len), unread.bytes().get(..len))
            else {
                return Err(ErrorKind::InvalidInput.into());
            };
            room.copy_from_slice(frame);
            unread.consume(consumed);
            return Ok(Some(room));
        }
    }

    /// Waits for any bytes, whole messages or not; empty at the end of the stream.
    pub(crate) fn read_some(&self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut unread = lock(&self.unread);
        if unread.bytes().is_empty() && unread.fill(&self.stream, deadline)?.is_none() {
            return Ok(None);
        }
        Ok(Some(unread.take()))
    }

    pub(crate) const fn stream(&self) -> &ByteStream {
        &self.stream
    }

    /// Gives up the framing: the stream, and the bytes that were read of it already.
    pub(crate) fn into_parts(self) -> (ByteStream, Vec<u8>) {
        let mut unread = self.unread.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.stream, unread.take())
    }
}

/// Bytes that no message has taken yet.
#[derive(Debug, Default)]
struct Unread {
    buffer: Vec<u8>,
    range: Range<usize>,
}

/// How much is read at a time: as much as a TLS record holds.
const CHUNK: usize = 16_384;

impl Unread {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }

    /// Reads once, behind what is there.
    fn fill(&mut self, stream: &ByteStream, deadline: Instant) -> io::Result<Option<usize>> {
        self.buffer.copy_within(self.range.clone(), 0);
        self.range = 0..self.range.len();
        if self.buffer.len() < self.range.end + CHUNK {
            self.buffer.resize(self.range.end + CHUNK, 0);
        }
        let free = self.buffer.get_mut(self.range.end..).unwrap_or_default();
        let read = stream.read(free, deadline)?;
        self.range.end += read.unwrap_or(0);
        Ok(read)
    }

    fn consume(&mut self, len: usize) {
        self.range.start = self.range.end.min(self.range.start + len);
    }

    fn take(&mut self) -> Vec<u8> {
        let taken = self.bytes().to_vec();
        self.consume(taken.len());
        taken
    }
}
