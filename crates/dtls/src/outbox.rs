//! What has come out of sessions and waits for the host, in order.

use std::collections::VecDeque;
use std::ops::Range;

use crate::name::{Path, SessionId};
use crate::record;
use crate::session::Emitted;

/// A burst leaves no more than this behind in buffers.
const KEPT: usize = 64 * 1024;

/// Something for the host to do; bytes are borrowed from the host's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this datagram from `path.server` to `path.client`.
    Datagram {
        /// Where it goes.
        path: Path,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The handshake is done: messages may go both ways.
    Connected {
        /// The session.
        session: SessionId,
        /// Its path.
        path: Path,
    },
    /// A message from the client.
    Message {
        /// The session.
        session: SessionId,
        /// Its path.
        path: Path,
        /// The message.
        bytes: &'a [u8],
    },
    /// A session that was connected has ended, by whatever but a call of the host's.
    Closed {
        /// The session.
        session: SessionId,
        /// Its path.
        path: Path,
    },
}

/// The queue of outputs.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Pending>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    what: What,
    path: Path,
    bytes: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Datagram,
    Connected(SessionId),
    Message(SessionId),
    Closed(SessionId),
}

impl Outbox {
    /// A datagram of no session: an answer to a hello.
    pub(crate) fn answer(&mut self, path: Path, bytes: &[u8]) {
        self.push(What::Datagram, path, bytes);
    }

    /// A fatal alert in the clear.
    pub(crate) fn alert(&mut self, path: Path, version: [u8; 2], sequence: u64, description: u8) {
        self.answer(path, &record::alert(version, sequence, description));
    }

    pub(crate) fn closed(&mut self, session: SessionId, path: Path) {
        self.push(What::Closed(session), path, &[]);
    }

    /// What a session has emitted.
    pub(crate) fn emitted(&mut self, session: SessionId, path: Path, emitted: Emitted<'_>) {
        match emitted {
            Emitted::Datagram(bytes) => self.push(What::Datagram, path, bytes),
            Emitted::Connected => self.push(What::Connected(session), path, &[]),
            Emitted::Message(bytes) => self.push(What::Message(session), path, bytes),
        }
    }

    /// Takes the oldest; its bytes are copied to `buffer`.
    pub(crate) fn take<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<Output<'b>> {
        let Pending { what, path, bytes } = self.queue.pop_front()?;
        buffer.clear();
        buffer.extend_from_slice(self.bytes.get(bytes).unwrap_or_default());
        if self.queue.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
        Some(match what {
            What::Datagram => Output::Datagram { path, bytes: buffer },
            What::Connected(session) => Output::Connected { session, path },
            What::Message(session) => Output::Message { session, path, bytes: buffer },
            What::Closed(session) => Output::Closed { session, path },
        })
    }

    fn push(&mut self, what: What, path: Path, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.queue.push_back(Pending { what, path, bytes: start..self.bytes.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::path;

    #[test]
    fn outputs_come_in_order_and_leave_nothing() {
        let mut outbox = Outbox::default();
        let session = SessionId::new(3, 1);
        outbox.answer(path(1), b"one");
        outbox.emitted(session, path(2), Emitted::Connected);
        outbox.emitted(session, path(2), Emitted::Message(b"two"));
        outbox.closed(session, path(2));
        let mut buffer = Vec::new();
        assert_eq!(
            outbox.take(&mut buffer),
            Some(Output::Datagram { path: path(1), bytes: b"one" })
        );
        assert_eq!(outbox.take(&mut buffer), Some(Output::Connected { session, path: path(2) }));
        assert_eq!(
            outbox.take(&mut buffer),
            Some(Output::Message { session, path: path(2), bytes: b"two" })
        );
        assert_eq!(outbox.take(&mut buffer), Some(Output::Closed { session, path: path(2) }));
        assert_eq!(outbox.take(&mut buffer), None);
        assert!(outbox.bytes.is_empty());
    }
}
