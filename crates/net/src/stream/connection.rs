//! The task of one connection: frames in, frames out.
//!
//! ```text
//!   socket ──> scratch of the shard ──> frames ──> Host ──> engine
//!   socket <── SendQueue of the lane <─────────────┘
//! ```
//!
//! A turn reads what there is, serves it, and writes what waits: many frames
//! leave with one write. What others have for the client leaves with their own
//! flush, and wakes this task only where the kernel does not take all of it. An
//! idle connection has no buffer at all; what is kept between two turns is an
//! incomplete frame.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use turn_engine::{ConnectionId, ShardId};

use crate::clock;
use crate::stream::admission::Permit;
use crate::stream::context::StreamContext;
use crate::stream::frames::Then;
use crate::stream::lane::Lane;
use crate::stream::wire::Wire;

/// Reads of one turn, or pieces of a read, so that no connection starves the others.
const READS: usize = 4;

/// Bytes read at once: what a turn may cost everybody else on the shard.
const READ: usize = 32 * 1024;

/// Bytes read at once from a client that never had an allocation: what it may
/// leave with us while its replies wait.
const READ_OF_STRANGER: usize = 4 * 1024;

/// A connection whose client sends frames.
pub(crate) struct Connection {
    pub(crate) context: Rc<StreamContext>,
    pub(crate) lane: Rc<Lane>,
    pub(crate) permit: Permit,
    /// What has been read and not been served.
    pub(crate) unread: Vec<u8>,
    /// There may be whole frames in it.
    has_frames: bool,
    /// It has come from another shard, and stays here.
    has_moved: bool,
}

/// What a turn came to.
enum Turn {
    More,
    End,
    Splice(ConnectionId),
    HandOver(ShardId),
}

impl Connection {
    pub(crate) fn new(
        context: Rc<StreamContext>,
        lane: Rc<Lane>,
        wire: Wire,
        permit: Permit,
    ) -> Self {
        lane.open(wire);
        Self { context, lane, permit, unread: Vec::new(), has_frames: false, has_moved: false }
    }

    /// A connection from another shard, as if its bytes had just been read.
    pub(crate) fn moved(
        context: Rc<StreamContext>,
        lane: Rc<Lane>,
        wire: Wire,
        permit: Permit,
        unread: Vec<u8>,
    ) -> Self {
        lane.open(wire);
        Self { context, lane, permit, unread, has_frames: true, has_moved: true }
    }

    /// Serves the client to its end. Boxed, since an `async fn` keeps what it takes twice.
    pub(crate) async fn run(mut self: Box<Self>) {
        let connection = loop {
            match poll_fn(|context| self.poll_turn(context)).await {
                Turn::More => self.context.yield_busy().await,
                Turn::End => break None,
                Turn::Splice(connection) => break Some(connection),
                // A connection that is sent on and on is none that a client of ours makes.
                Turn::HandOver(_) if self.has_moved => break None,
                Turn::HandOver(shard) => return self.hand_over(shard),
            }
        };
        match connection {
            // Only those few that are spliced need the room for it.
            Some(connection) => Box::pin(self.splice(connection)).await,
            None => self.end().await,
        }
    }

    /// Says goodbye as far as that goes at once, and forgets the connection.
    pub(crate) async fn end(self: Box<Self>) {
        let Self { context, lane, permit, .. } = *self;
        if let Some(mut wire) = lane.take_wire() {
            // close_notify and FIN; nobody is waited for.
            poll_fn(|task| {
                let _ = wire.poll_shutdown(task);
                Poll::Ready(())
            })
            .await;
        }
        // Closed and given back before anybody is told.
        drop(permit);
        context.ended(&lane);
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        self.lane.listen(context);
        if self.lane.is_closing() {
            return Poll::Ready(Turn::End);
        }
        let input = self.poll_input(context);
        // What answers the last bytes of a client leaves before its end is acted on.
        if self.lane.poll_output(context).is_err() {
            return Poll::Ready(Turn::End);
        }
        match input {
            Poll::Ready(turn) => Poll::Ready(turn),
            // Reading stopped for replies that have left by now.
            Poll::Pending if self.has_frames && !self.lane.is_clogged() => Poll::Ready(Turn::More),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads and serves until there is nothing more, or enough for a turn.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        for _ in 0..READS {
            if self.lane.is_clogged() {
                // Looked at again when they have left, wherever this stopped.
                self.has_frames = true;
                return Poll::Pending;
            }
            if let Some(end) = ready!(self.poll_read(context)) {
                return Poll::Ready(end);
            }
        }
        Poll::Ready(Turn::More)
    }

    /// Reads once and serves what it can of it.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Option<Turn>> {
        let Self { lane, unread, has_frames, .. } = self;
        let mut scratch = self.context.scratch.borrow_mut();
        let kept = unread.len();
        let Some((head, room)) = scratch.split_at_mut_checked(kept) else {
            return Poll::Ready(Some(Turn::End));
        };
        head.copy_from_slice(unread);
        let mut read = 0;
        if !std::mem::take(has_frames) {
            let at_most = if lane.is_proven() { READ } else { READ_OF_STRANGER };
            let mut buffer = ReadBuf::new(room.get_mut(..at_most).unwrap_or_default());
            match ready!(lane.poll_read(context, &mut buffer)) {
                Ok(()) => read = buffer.filled().len(),
                Err(_) => return Poll::Ready(Some(Turn::End)),
            }
            if read == 0 {
                return Poll::Ready(Some(Turn::End));
            }
        }
        let bytes = scratch.get(..kept + read).unwrap_or_default();
        let mut core = self.context.core.borrow_mut();
        let served = core.host.serve_frames(lane, bytes, clock::now());
        core.flush();
        drop(core);
        let rest = bytes.get(served.consumed..).unwrap_or_default();
        if rest.len() != unread.len() || served.consumed > 0 {
            // Nothing left, nothing held.
            *unread = rest.to_vec();
        }
        Poll::Ready(match served.then {
            Then::Read => None,
            Then::Wait => {
                *has_frames = true;
                None
            }
            Then::End => Some(Turn::End),
            Then::Splice(connection) => Some(Turn::Splice(connection)),
            Then::HandOver(shard) => Some(Turn::HandOver(shard)),
        })
    }
}

impl StreamContext {
    /// The connection has ended.
    pub(crate) fn ended(&self, lane: &Lane) {
        self.core.borrow().host.counters.connections_closed.add(1);
        self.forget(lane);
    }

    /// The connection is not here any more: its allocation ends with it, its
    /// place is free.
    pub(crate) fn forget(&self, lane: &Lane) {
        let now = clock::now();
        let mut core = self.core.borrow_mut();
        core.host.streams.remove(lane);
        core.host.engine.link_closed(now, lane.id());
        core.host.drain_actions(now);
        core.flush();
    }
}
