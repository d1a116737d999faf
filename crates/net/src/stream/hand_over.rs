//! A connection moves to the shard that holds what it asks for: the socket,
//! the state of its TLS, what was read and not served, and what waits to leave.
//!
//! RFC 6062 section 4.4: ConnectionBind comes on a connection of its own, which
//! any shard may have accepted; CONNECTION-ID names the shard that has the peer.

use std::net;
use std::rc::Rc;

use turn_engine::{FiveTuple, Link, RealmId, ShardId};

use crate::clock;
use crate::mailbox::Message;
use crate::stream::admission::Permit;
use crate::stream::connection::Connection;
use crate::stream::context::StreamContext;
use crate::stream::send_queue::SendQueue;
use crate::stream::wire::Wire;

/// A connection between two shards.
#[derive(Debug)]
pub(crate) struct Travelling {
    socket: net::TcpStream,
    /// Everything above the socket.
    wire: Wire,
    tuple: FiveTuple,
    realm: RealmId,
    permit: Permit,
    unread: Vec<u8>,
    queue: SendQueue,
}

impl Connection {
    /// Leaves for `shard`. Where that takes nothing, the connection ends.
    pub(crate) fn hand_over(self, shard: ShardId) {
        let Self { context, lane, permit, unread, .. } = self;
        let (Link { tuple, realm, .. }, queue) = (lane.link(), lane.take_queue());
        let has_left = lane.take_wire().is_some_and(|mut wire| {
            let Ok(socket) = wire.socket_mut().leave() else { return false };
            let travelling = Travelling { socket, wire, tuple, realm, permit, unread, queue };
            let message = Message::TakeStream(Box::new(travelling));
            let core = context.core.borrow();
            let address = core.host.neighbours.get(usize::from(shard.0));
            address.is_some_and(|address| address.post(message).is_ok())
        });
        if has_left {
            context.core.borrow().host.counters.connections_handed_over.add(1);
            context.forget(&lane);
        } else {
            context.ended(&lane);
        }
    }
}

impl Travelling {
    /// Goes on here as if the bytes had just been read.
    pub(crate) fn arrive(self, context: &Rc<StreamContext>) {
        let Self { socket, mut wire, tuple, realm, permit, unread, queue } = self;
        let mut core = context.core.borrow_mut();
        let room = context.room_for_stranger(&mut core.host, tuple, realm, clock::now());
        let Some(lane) = room else {
            core.host.counters.connections_closed.add(1);
            return;
        };
        if wire.socket_mut().arrive(socket).is_err() {
            drop(core);
            return context.ended(&lane);
        }
        lane.put_queue(queue);
        let connection = Connection::moved(Rc::clone(context), lane, wire, permit, unread);
        StreamContext::run(connection);
    }
}
