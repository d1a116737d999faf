//! Connect: opens a TCP connection from the relayed transport address to a peer.
//!
//! RFC 6062 section 5.2. The answer leaves when the host has connected, or after 30 s at the
//! latest. A peer needs no permission for it; the peer policy and the limits on new peers bind
//! as they do for Send `[P6] [H22]`.

use std::net::SocketAddr;

use turn_codec::AddressFamily;
use turn_codec::attribute::XorPeerAddress;

use crate::action::ConnectFailed;
use crate::allocation::RelayProtocol;
use crate::gate::Authenticated;
use crate::id::{AllocationKey, ConnectionId, RealmId};
use crate::limit_name::LimitName;
use crate::peer_connections::{Pending, State};
use crate::peer_policy::{Denied, Target};
use crate::reject::Reject;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::time::Now;
use crate::workbench::Workbench;

pub(crate) fn connect(
    bench: &mut Workbench<'_>,
    now: Now,
    key: AllocationKey,
    request: Authenticated<'_>,
) -> Result<(), Reject> {
    // [X2] RFC 6062 section 5.2: no or an invalid XOR-PEER-ADDRESS: 400.
    let peer = request.message().get::<XorPeerAddress>()?.ok_or(Reject::BadRequest)?.0;
    if peer.port() == 0 {
        return Err(Reject::BadRequest);
    }
    let Workbench { shard, table, settings, shared, random, outbox, .. } = bench;
    let allocation = table.get(key).ok_or(Reject::AllocationMismatch)?;
    // RFC 6062 names no code for a UDP allocation; this is what coturn answers.
    if allocation.protocol != RelayProtocol::Tcp {
        return Err(Reject::Forbidden);
    }
    let via = allocation.relays.of(AddressFamily::of(&peer)).ok_or(Reject::FamilyMismatch)?;
    let relays = allocation.relays;
    let bind = table.relay(via).ok_or(Reject::AllocationMismatch)?.bound;
    let id = allocation.link.realm;
    // [X2, P6]
    let target = target(settings, shared, id, peer).map_err(|_| Reject::PeerDenied(peer.ip()))?;
    // A socket that connects to its own address is connected with itself.
    if target == bind {
        return Err(Reject::Forbidden);
    }
    let (allocation, connections) =
        table.with_connections(key).ok_or(Reject::AllocationMismatch)?;
    // [X2] RFC 6062 section 5.2: the same peer, pending or active: 446.
    if let Some(connection) = connections.with_peer(via, peer) {
        let is_retransmit = connection.is_pending(request.message().transaction_id());
        return if is_retransmit { Ok(()) } else { Err(Reject::ConnectionExists) };
    }
    let limits = &settings.realm(id).limits;
    let full = |key| Reject::Full(LimitName::of_realm(id, key));
    let open: usize = relays.iter().map(|relay| connections.count(relay)).sum();
    // [H22]
    if limits.peer_connections_per_allocation.is_some_and(|most| open >= most as usize) {
        return Err(full("peer_connections_per_allocation"));
    }
    let permissions = &allocation.permissions;
    let is_in_use = |address| {
        permissions.is_live(address, now.mono)
            || relays.iter().any(|relay| connections.has_address(relay, address))
    };
    allocation
        .fan_out
        .admit(peer, limits, now.mono, is_in_use)
        .map_err(|too_many| full(too_many.key()))?;
    let (asked, _, signer) = request.into_owner();
    let pending = Pending { asked, signer };
    let id = connections
        .connecting(random, *shard, (via, peer), pending, now.mono)
        .ok_or(Reject::InsufficientCapacity)?;
    outbox.connect_peer(id, via, bind, target);
    Ok(())
}

/// The host's answer.
pub(crate) fn connected(
    bench: &mut Workbench<'_>,
    now: Now,
    id: ConnectionId,
    outcome: Result<(), ConnectFailed>,
) {
    let reject = match outcome {
        Ok(()) => {
            let connections = bench.table.peer_connections_mut();
            if let Some(pending) = connections.connected(id, now.mono) {
                let reply = Reply { connection: Some(id), ..Reply::default() };
                bench.succeed(&pending.asked, &pending.signer, &reply);
            } else if connections.get(id).is_none() {
                // Nobody waits for it any more.
                bench.outbox.close_peer(id);
            }
            return;
        }
        // [X2]
        Err(ConnectFailed::Refused) => Reject::ConnectionFailed,
        Err(ConnectFailed::AddressInUse) => Reject::ConnectionExists,
    };
    let connection = bench.table.peer_connections_mut().remove(id);
    if let Some(State::Connecting { pending, .. }) = connection.map(|connection| connection.state) {
        bench.refuse(&pending.asked, &pending.signer, &reject);
    }
}

/// Where a connection to `peer` from an allocation of `realm` goes: an own relayed transport address is reached at its bound
/// form while it lives, and anything else of this host only where it is allowed `[H6]`.
pub(crate) fn target(
    settings: &Settings,
    shared: &Shared,
    realm: RealmId,
    peer: SocketAddr,
) -> Result<SocketAddr, Denied> {
    let relays = &settings.relay.addresses;
    let peers = &settings.realm(realm).peers;
    // [P6]
    match peers.judge(relays, peer)? {
        Target::Outside(peer) => Ok(peer),
        Target::Inside { relay_address, port } => {
            let is_live =
                shared.tcp_ports(relay_address).is_some_and(|ports| ports.live(port).is_some());
            match relays.get(relay_address) {
                Some(relay) if is_live => Ok(SocketAddr::new(relay.bound, port)),
                Some(_) | None => peers.judge_outside(relays, peer),
            }
        }
    }
}
