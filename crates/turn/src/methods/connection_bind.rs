//! ConnectionBind: makes a client connection the other half of a connection to a peer.
//!
//! RFC 6062 section 5.4. It comes on a connection of its own, maybe to another shard than the one
//! that holds the connection to the peer: then the client connection goes there before anything is
//! judged, for only that shard knows the owner's key.
//!
//! A CONNECTION-ID has 24 random bits, and many clients may share one user name: guesses are few
//! `[X3]`.

use std::time::Duration;

use turn_codec::{Message, Method, attribute};

use crate::buckets::Purpose;
use crate::gate::Authenticated;
use crate::id::{AllocationKey, ConnectionId, ShardId};
use crate::link::{Link, SourcePrefix};
use crate::peer_connections::State;
use crate::rate::Rate;
use crate::reject::Reject;
use crate::reply::Reply;
use crate::settings::Limits;
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
    // A control connection cannot carry raw bytes as well.
    if allocation.is_some() || bench.table.peer_connections().is_bound(link.id) {
        return Err(Reject::BadRequest);
    }
    let guesses = Guesses::of(bench, request);
    if !guesses.are_left(now) {
        return Err(Reject::Forbidden);
    }
    if let Err(reject) = waits_for(bench, now, id, request) {
        guesses.take(now);
        return Err(reject);
    }
    bench.table.peer_connections_mut().bind(id, link);
    bench.succeed(request.asked(), request.signer(), &Reply::default());
    // [X5] Behind the reply there is nothing but the peer's bytes.
    bench.outbox.splice(link.id, id);
    Ok(())
}

/// Whether this connection waits for this user.
fn waits_for(
    bench: &Workbench<'_>,
    now: Now,
    id: ConnectionId,
    request: &Authenticated<'_>,
) -> Result<(), Reject> {
    // [X5]
    let connection = bench.table.peer_connections().get(id).ok_or(Reject::BadRequest)?;
    match connection.state {
        State::Unbound { .. } => {}
        State::Connecting { .. } | State::Bound { .. } => return Err(Reject::BadRequest),
    }
    let owner = bench.table.owner_of(connection.relay, now.mono).ok_or(Reject::BadRequest)?;
    // [X3, X5] RFC 8656 section 5: with the credentials of the allocation, or 441.
    if owner.is(request.owner()) { Ok(()) } else { Err(Reject::WrongCredentials) }
}

/// The wrong ids that a user may still name from a source.
struct Guesses<'e> {
    shared: &'e Shared,
    /// `None` for a source that limits do not bind.
    key: Option<u64>,
}

impl<'e> Guesses<'e> {
    fn of(bench: &Workbench<'e>, request: &Authenticated<'_>) -> Self {
        let source = request.link().tuple.client.ip();
        let key = request.owner().account.hash ^ SourcePrefix::of(source).bits();
        let key = (!bench.settings.limits.exempts(source)).then_some(key);
        Self { shared: bench.shared, key }
    }

    fn are_left(&self, now: Now) -> bool {
        let has =
            |key| self.shared.buckets.has(Purpose::WrongConnections, key, rate(), 1, now.mono);
        // [X3]
        self.key.is_none_or(has)
    }

    fn take(&self, now: Now) {
        if let Some(key) = self.key {
            self.shared.buckets.take(Purpose::WrongConnections, key, rate(), 1, now.mono);
        }
    }
}

fn rate() -> Rate {
    Rate::new(Limits::WRONG_CONNECTIONS, Duration::from_secs(60), Limits::WRONG_CONNECTIONS)
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
