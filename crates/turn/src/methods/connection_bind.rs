//! ConnectionBind: makes a client connection the other half of a connection to a peer.
//!
//! RFC 6062 section 5.4. It comes on a connection of its own, maybe to another shard than the one
//! that holds the connection to the peer: then the client connection goes there before anything is
//! judged, for only that shard knows the owner's key.

use turn_codec::{Message, Method, attribute};

use crate::gate::Authenticated;
use crate::id::{AllocationKey, ConnectionId, ShardId};
use crate::link::Link;
use crate::peer_connections::State;
use crate::reject::Reject;
use crate::reply::Reply;
use crate::shared::Shared;
use crate::time::Now;
use crate::workbench::Workbench;

pub(crate) fn connection_bind(
    bench: &mut Workbench<'_>,
    now: Now,
    allocation: Option<AllocationKey>,
    request: &Authenticated<'_>,
) -> Result<(), Reject> {
    let link = *request.link();
    // [X5] RFC 6062 section 5.4: over TCP or TLS, and a CONNECTION-ID that is pending, or 400.
    if !link.tuple.transport.is_stream() {
        return Err(Reject::BadRequest);
    }
    let id = named(request.message())?.ok_or(Reject::BadRequest)?;
    let connections = bench.table.peer_connections();
    // A control connection cannot carry raw bytes as well.
    if allocation.is_some() || connections.is_bound(link.id) {
        return Err(Reject::BadRequest);
    }
    let connection = connections.get(id).ok_or(Reject::BadRequest)?;
    match connection.state {
        State::Unbound { .. } => {}
        State::Connecting { .. } | State::Bound { .. } => return Err(Reject::BadRequest),
    }
    let relay = connection.relay;
    let (_, allocation) =
        bench.table.relay_and_allocation(relay, now.mono).ok_or(Reject::BadRequest)?;
    // [X3, X5] RFC 8656 section 5: with the credentials of the allocation, or 441.
    if allocation.owner.name != request.owner().name {
        return Err(Reject::WrongCredentials);
    }
    bench.table.peer_connections_mut().bind(id, link);
    bench.succeed(request.asked(), request.signer(), &Reply::default());
    // [X5] Behind the reply there is nothing but the peer's bytes.
    bench.outbox.splice(link.id, id);
    Ok(())
}

/// The connection that a ConnectionBind names.
pub(crate) fn named(message: &Message<'_>) -> Result<Option<ConnectionId>, Reject> {
    let id = message.get::<attribute::ConnectionId>()?;
    Ok(id.map(|id| ConnectionId::from_bits(id.0)))
}

/// The other shard that must judge this request, if one must.
pub(crate) fn elsewhere(
    shared: &Shared,
    here: ShardId,
    link: &Link,
    message: &Message<'_>,
) -> Option<ShardId> {
    // Nobody is sent about while there is nothing to bind.
    if message.method() != Method::CONNECTION_BIND
        || !link.tuple.transport.is_stream()
        || !shared.has_tcp_relays()
    {
        return None;
    }
    let shard = named(message).ok().flatten()?.shard();
    (shard != here && shared.has_shard(shard)).then_some(shard)
}
