//! What the host and the task of one connection share: the queue of what is to
//! leave, and what the host wants of the task.
//!
//! Everything here lives on one thread and is never borrowed across an await.

use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::ReadBuf;

use turn_engine::{ConnectionId, FiveTuple, Link, LinkId, RealmId, ShardId};

use crate::clock;
use crate::stream::send_queue::SendQueue;
use crate::stream::wire::{Wire, made_progress};

/// Replies that may wait for a client before it is read no further.
const CONTROL_OF_PROVEN: usize = 16 * 1024;

/// The same for one that has proven nothing.
const CONTROL_OF_STRANGER: usize = 4 * 1024;

/// One connection as the rest of its shard sees it.
#[derive(Debug)]
pub(crate) struct Lane {
    id: LinkId,
    /// Its transport and its ends are the socket's until the first bytes say more.
    tuple: Cell<FiveTuple>,
    /// The listener's, until TLS has said more.
    realm: Cell<RealmId>,
    waker: RefCell<Option<Waker>>,
    queue: RefCell<SendQueue>,
    /// What frames come and leave by; it is the task's own before and after that.
    wire: RefCell<Option<Wire>>,
    /// The host knows that something was queued.
    is_noted: Cell<bool>,
    order: Cell<Option<Order>>,
    standing: Cell<Standing>,
    /// Where the deadline of its standing is counted from.
    since: Cell<Instant>,
    /// Since when the kernel has taken nothing of what waits.
    stalled_since: Cell<Option<Instant>>,
}

/// What the host wants of a connection's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// End.
    Close,
    /// Carry the raw bytes of this peer from now on.
    Splice(ConnectionId),
    /// Move to this shard, with the message that asked for it.
    HandOver(ShardId),
}

/// How far a client has come; each has its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A PROXY header or a TLS handshake is not complete.
    Handshaking,
    /// No complete message yet.
    Silent,
    /// It has sent a message, and never had an allocation.
    Stranger,
    /// It has, or had, an allocation or a data connection.
    Proven,
    /// Its end has been sent, and what still comes is thrown away.
    Leaving,
}

impl Lane {
    pub(crate) fn new(id: LinkId, tuple: FiveTuple, realm: RealmId, now: Instant) -> Self {
        Self {
            id,
            tuple: Cell::new(tuple),
            realm: Cell::new(realm),
            waker: RefCell::default(),
            queue: RefCell::default(),
            wire: RefCell::default(),
            is_noted: Cell::new(false),
            order: Cell::new(None),
            standing: Cell::new(Standing::Silent),
            since: Cell::new(now),
            stalled_since: Cell::new(None),
        }
    }

    /// The first bytes have said what the client speaks and who it is.
    pub(crate) fn set_tuple(&self, tuple: FiveTuple) {
        self.tuple.set(tuple);
    }

    /// The client has named a realm, before its first message.
    pub(crate) fn set_realm(&self, realm: RealmId) {
        self.realm.set(realm);
    }

    /// Frames come and leave by this from now on.
    pub(crate) fn open(&self, wire: Wire) {
        self.wire.replace(Some(wire));
    }

    /// Takes the wire back, for what comes after the frames.
    pub(crate) fn take_wire(&self) -> Option<Wire> {
        self.wire.take()
    }

    /// Reads what there is; nothing at the end of the stream.
    pub(crate) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self.wire.borrow_mut() {
            Some(wire) => wire.poll_read(context, buffer),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Queues a reply, which the host is to be told of.
    pub(crate) fn push_control(&self, reply: &[u8]) {
        self.queue.borrow_mut().push_control(reply);
    }

    /// Queues relayed data, which the host is to be told of; gives the number of frames lost for
    /// want of room.
    pub(crate) fn push_data(
        &self,
        prefix: &[u8],
        payload: &[u8],
        padding: u8,
        limit: usize,
    ) -> u64 {
        self.queue.borrow_mut().push_data(prefix, payload, padding, limit)
    }

    /// Something was queued: says whether the host does not know yet.
    pub(crate) fn note(&self) -> bool {
        !self.is_noted.replace(true)
    }

    /// Writes what is queued without waking the task, whose memory is seldom at hand. Says whether
    /// all of it has left; otherwise the task goes on.
    pub(crate) fn write_at_once(&self) -> bool {
        self.is_noted.set(false);
        let has_left =
            self.stalled_since.get().is_none()
                && self.wire.borrow_mut().as_mut().is_some_and(|wire| {
                    wire.try_write_frames(&mut self.queue.borrow_mut()).is_ok()
                });
        if !has_left {
            self.wake();
        }
        has_left
    }

    /// Writes what waits, as far as the kernel takes it.
    ///
    /// # Errors
    /// What writing says: the connection is of no use any more.
    pub(crate) fn poll_output(&self, context: &mut Context<'_>) -> io::Result<()> {
        let mut wire = self.wire.borrow_mut();
        let Some(wire) = &mut *wire else { return Ok(()) };
        let taken = wire.taken();
        let waits = loop {
            let mut queue = self.queue.borrow_mut();
            if queue.is_empty() {
                break match wire.poll_flush(context) {
                    Poll::Ready(flushed) => flushed.map(|()| false)?,
                    Poll::Pending => true,
                };
            }
            match wire.poll_write_frames(context, &mut queue) {
                Poll::Ready(written) => made_progress(written?)?,
                Poll::Pending => break true,
            }
        };
        // [H17]
        let has_progressed = wire.taken() != taken;
        if waits || has_progressed || self.stalled_since.get().is_some() {
            self.note_output(waits, has_progressed, clock::now().mono);
        }
        Ok(())
    }

    /// Tells the task what to do. An end is never taken back.
    pub(crate) fn order(&self, order: Order) {
        if self.order.get() != Some(Order::Close) {
            self.order.set(Some(order));
            self.wake();
        }
    }

    /// What the host wants, once; an end stays.
    pub(crate) fn take_order(&self) -> Option<Order> {
        let order = self.order.take();
        if order == Some(Order::Close) {
            self.order.set(order);
        }
        order
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.order.get() == Some(Order::Close)
    }

    /// The task wants to hear of what is queued or ordered.
    pub(crate) fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            Some(_) | None => *waker = Some(context.waker().clone()),
        }
    }

    /// Notes whether something waits for the kernel, and whether it has taken
    /// anything since the last look `[H17]`.
    pub(crate) fn note_output(&self, waits: bool, has_progressed: bool, now: Instant) {
        let since = self.stalled_since.get().filter(|_| !has_progressed);
        self.stalled_since.set(waits.then(|| since.unwrap_or(now)));
    }

    pub(crate) fn set_standing(&self, standing: Standing) {
        self.standing.set(standing);
    }

    /// Deadlines count from `now` again.
    pub(crate) fn touch(&self, now: Instant) {
        self.since.set(now);
    }

    pub(crate) const fn id(&self) -> LinkId {
        self.id
    }

    pub(crate) fn tuple(&self) -> FiveTuple {
        self.tuple.get()
    }

    /// What the engine knows of it.
    pub(crate) fn link(&self) -> Link {
        Link { id: self.id, tuple: self.tuple.get(), realm: self.realm.get() }
    }

    /// Whether so many replies wait that no more requests are read.
    pub(crate) fn is_clogged(&self) -> bool {
        let limit = if self.is_proven() { CONTROL_OF_PROVEN } else { CONTROL_OF_STRANGER };
        self.queue.borrow().control_len() > limit
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.standing.get() == Standing::Proven
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.get()
    }

    pub(crate) fn since(&self) -> Instant {
        self.since.get()
    }

    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since.get()
    }

    /// Gives back the memory of a queue that nobody uses.
    pub(crate) fn give_back(&self) {
        self.queue.borrow_mut().give_back();
    }

    /// The queue, for a task that takes it elsewhere.
    pub(crate) fn take_queue(&self) -> SendQueue {
        self.queue.take()
    }

    /// The queue of a connection that comes from elsewhere.
    pub(crate) fn put_queue(&self, queue: SendQueue) {
        self.queue.replace(queue);
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
