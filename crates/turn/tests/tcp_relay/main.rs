//! TCP allocations (RFC 6062): Connect, ConnectionBind, ConnectionAttempt, and what they close.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod allocation;
mod connect;
mod connection_bind;
mod peer_connections;

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::attribute::{
    AdditionalAddressFamily, ConnectionId, DontFragment, EvenPort, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorPeerAddress,
};
use turn_codec::{AddressFamily, Method};
use turn_engine::{
    Bandwidth, Direction, DropReason, EndReason, PeerRule, PerUser, Realm, RealmId, Report,
    ShardId, Transport,
};
use turn_testkit::{
    Attempt, CHANNEL, Client, DENIED_PEER, Event, OTHER_PEER, PEER, PEER6, PeerAnswer, RELAY4,
    World, secs,
};

fn world() -> World {
    let world = World::new().user("ann", "secret").user("bob", "other");
    world.settings(|settings| settings.relay.tcp = true)
}

/// The one CONNECTION-ID whose connection is open.
fn only(world: &World) -> u32 {
    let open = world.peer_connections();
    assert_eq!(open.len(), 1, "{open:?}");
    open[0].id
}

fn rule(peer: SocketAddr, ports: Option<std::ops::RangeInclusive<u16>>) -> PeerRule {
    PeerRule { range: peer.ip().into(), ports }
}
