//! A client data connection and a peer data connection as one pipe.
//!
//! RFC 6062 sections 5.4 and 5.5: after the response to ConnectionBind
//! everything is raw. Nothing is lost and nothing is reordered: what one side
//! does not take is not read from the other `[X7]`. The end of either is the
//! end of both, after what had been read has been delivered `[X8]`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep};
use turn_engine::{ConnectionId, Direction};

use crate::clock;
use crate::stream::connection::Connection;
use crate::stream::context::StreamContext;
use crate::stream::lane::{Lane, Standing};
use crate::stream::socket::Socket;
use crate::stream::wire::Wire;

/// Bytes that are read from one side before the other has taken them.
const CHUNK: usize = 16 * 1024;

/// Chunks of one turn and direction, so that no splice starves the others.
const CHUNKS: usize = 8;

/// How long to wait for a bandwidth limit.
const LIMIT_WAIT: Duration = Duration::from_millis(10);

/// Both connections and what is between them.
struct Splice {
    context: Rc<StreamContext>,
    lane: Rc<Lane>,
    connection: ConnectionId,
    client: Wire,
    peer: Wire,
    up: Leg,
    down: Leg,
    /// One of the two has ended: nothing more is read.
    is_ending: bool,
}

/// One direction.
struct Leg {
    direction: Direction,
    /// What has been read and not been taken; no memory while there is nothing.
    bytes: Vec<u8>,
    taken: usize,
    /// Bytes that the bandwidth limits have let through, counted from the front.
    admitted: usize,
    /// Ends when the limits may be asked again.
    wait: Option<Pin<Box<Sleep>>>,
    has_ended: bool,
}

/// Whether a direction can go on at once.
enum Flow {
    Waits,
    More,
}

impl Connection {
    /// Carries the bytes of a peer until either side ends.
    pub(crate) async fn splice(mut self: Box<Self>, connection: ConnectionId) {
        let peer = {
            let mut core = self.context.core.borrow_mut();
            core.host.streams.proved(&self.lane);
            core.host.peers.splice(connection, &self.lane)
        };
        let Some(peer) = peer else { return self.end().await };
        let unread = std::mem::take(&mut self.unread);
        if !self.reply_has_left().await {
            self.context.peer_ended(connection);
            return self.end().await;
        }
        let Some(wire) = self.lane.take_wire() else { return self.end().await };
        let Self { context, lane, permit, .. } = *self;
        context.core.borrow().host.counters.splices.add(1);
        let mut splice = Splice {
            context: Rc::clone(&context),
            lane: Rc::clone(&lane),
            connection,
            client: wire,
            peer: Wire::Plain(Socket::new(peer)),
            up: Leg::new(Direction::Up, unread),
            down: Leg::new(Direction::Down, Vec::new()),
            is_ending: false,
        };
        splice.run().await;
        drop((splice, permit));
        context.ended(&lane);
    }

    /// The response is the last that is framed: nothing raw leaves before it.
    async fn reply_has_left(&mut self) -> bool {
        poll_fn(|context| {
            self.lane.listen(context);
            if self.lane.is_closing() || self.lane.poll_output(context).is_err() {
                return Poll::Ready(false);
            }
            if self.lane.stalled_since().is_some() { Poll::Pending } else { Poll::Ready(true) }
        })
        .await
    }
}

impl StreamContext {
    /// A data connection has ended by itself.
    fn peer_ended(&self, connection: ConnectionId) {
        let now = clock::now();
        let mut core = self.core.borrow_mut();
        if core.host.peers.remove(connection) {
            core.host.engine.peer_closed(now, connection);
            core.host.drain_actions(now);
            core.flush();
        }
    }
}

impl Splice {
    async fn run(&mut self) {
        let is_orderly = loop {
            match poll_fn(|context| self.poll_turn(context)).await {
                Some(is_orderly) => break is_orderly,
                None => self.context.yield_busy().await,
            }
        };
        self.context.peer_ended(self.connection);
        if is_orderly {
            self.leave().await;
        }
    }

    /// Moves what can be moved; at the end says whether both sides are to be
    /// closed in the orderly way.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Option<bool>> {
        self.lane.listen(context);
        // [X8] The end of the allocation closes both at once.
        if self.lane.is_closing() {
            return Poll::Ready(Some(false));
        }
        let taken = (self.client.taken(), self.peer.taken());
        let Self { client, peer, up, down, is_ending, .. } = self;
        let (shard, connection) = (&*self.context, self.connection);
        let up_flow = up.poll_flow(context, shard, connection, is_ending, client, peer);
        let down_flow = down.poll_flow(context, shard, connection, is_ending, peer, client);
        // What TLS has encrypted and the kernel has not taken yet.
        let is_flushed = match client.poll_flush(context) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                *is_ending = true;
                true
            }
            Poll::Pending => false,
        };
        if *is_ending && is_flushed && up.is_empty() && down.is_empty() {
            return Poll::Ready(Some(true));
        }
        if *is_ending {
            // [H17] What is left is delivered as long as it is taken.
            let has_progressed = taken != (client.taken(), peer.taken());
            self.lane.note_output(true, has_progressed, clock::now().mono);
        }
        match (up_flow, down_flow) {
            (Flow::Waits, Flow::Waits) => Poll::Pending,
            (Flow::More, _) | (_, Flow::More) => Poll::Ready(None),
        }
    }

    /// Ends both sides, and waits a little for theirs: closing a socket that has
    /// something unread would take back what was delivered.
    async fn leave(&mut self) {
        self.lane.set_standing(Standing::Leaving);
        let now = clock::now().mono;
        self.lane.touch(now);
        self.lane.note_output(false, true, now);
        loop {
            match poll_fn(|context| self.poll_leave(context)).await {
                Flow::Waits => return,
                Flow::More => yield_now().await,
            }
        }
    }

    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<Flow> {
        self.lane.listen(context);
        // The sweep has waited long enough.
        if self.lane.is_closing() {
            return Poll::Ready(Flow::Waits);
        }
        let Self { client, peer, up, down, .. } = self;
        // Errors and ends show when reading.
        let is_shut =
            client.poll_shutdown(context).is_ready() & peer.poll_shutdown(context).is_ready();
        let up_flow = up.poll_discard(context, &self.context, client);
        let down_flow = down.poll_discard(context, &self.context, peer);
        match (up_flow, down_flow) {
            (Flow::More, _) | (_, Flow::More) => Poll::Ready(Flow::More),
            _ if is_shut && up.has_ended && down.has_ended => Poll::Ready(Flow::Waits),
            (Flow::Waits, Flow::Waits) => Poll::Pending,
        }
    }
}

impl Leg {
    const fn new(direction: Direction, bytes: Vec<u8>) -> Self {
        Self { direction, bytes, taken: 0, admitted: 0, wait: None, has_ended: false }
    }

    fn poll_flow(
        &mut self,
        task: &mut Context<'_>,
        context: &StreamContext,
        connection: ConnectionId,
        is_ending: &mut bool,
        from: &mut Wire,
        to: &mut Wire,
    ) -> Flow {
        for _ in 0..CHUNKS {
            if self.is_empty() {
                if *is_ending || self.poll_fill(task, context, from).is_pending() {
                    return Flow::Waits;
                }
                if self.has_ended {
                    *is_ending = true;
                    return Flow::Waits;
                }
            }
            if self.poll_admission(task, context, connection).is_pending() {
                return Flow::Waits;
            }
            match self.poll_drain(task, to) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    // Nobody is there to take it.
                    self.clear();
                    *is_ending = true;
                    return Flow::Waits;
                }
                Poll::Pending => return Flow::Waits,
            }
        }
        Flow::More
    }

    /// Reads a chunk.
    fn poll_fill(
        &mut self,
        task: &mut Context<'_>,
        context: &StreamContext,
        from: &mut Wire,
    ) -> Poll<()> {
        let mut scratch = context.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(scratch.get_mut(..CHUNK).unwrap_or_default());
        match from.poll_read(task, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.bytes = buffer.filled().to_vec();
                Poll::Ready(())
            }
            Poll::Ready(Ok(()) | Err(_)) => {
                self.has_ended = true;
                Poll::Ready(())
            }
        }
    }

    /// Asks the bandwidth limits, once for each chunk.
    fn poll_admission(
        &mut self,
        task: &mut Context<'_>,
        context: &StreamContext,
        connection: ConnectionId,
    ) -> Poll<()> {
        while self.admitted == 0 {
            if let Some(wait) = &mut self.wait {
                if wait.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                self.wait = None;
            }
            let chunk = (self.bytes.len() - self.taken).min(CHUNK);
            let mut core = context.core.borrow_mut();
            let engine = &mut core.host.engine;
            if engine.relay_stream(clock::now(), connection, self.direction, chunk) {
                self.admitted = chunk;
            } else {
                self.wait = Some(Box::pin(sleep(LIMIT_WAIT)));
            }
        }
        Poll::Ready(())
    }

    /// Writes what was admitted, as far as it is taken.
    fn poll_drain(&mut self, task: &mut Context<'_>, to: &mut Wire) -> Poll<io::Result<()>> {
        while self.admitted > 0 {
            let bytes = self.bytes.get(self.taken..self.taken + self.admitted).unwrap_or_default();
            match to.poll_write(task, bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.taken += count;
                    self.admitted -= count;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        if self.is_empty() {
            self.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and throws away, until the end of that side.
    fn poll_discard(
        &mut self,
        task: &mut Context<'_>,
        context: &StreamContext,
        from: &mut Wire,
    ) -> Flow {
        for _ in 0..CHUNKS {
            self.clear();
            if self.has_ended || self.poll_fill(task, context, from).is_pending() {
                return Flow::Waits;
            }
        }
        Flow::More
    }

    fn clear(&mut self) {
        self.bytes = Vec::new();
        self.taken = 0;
        self.admitted = 0;
    }

    fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}
