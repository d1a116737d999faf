//! The advertised form of a relay address changes: what lives keeps what it was told, what is new
//! is told the new one, and both reach each other without a socket in between.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use turn_codec::AddressFamily;
use turn_engine::{AddressRange, DropReason, PeerRule, RelayAddress};
use turn_testkit::{CHANNEL, Client, OTHER_PEER, PEER, RELAY4, World, secs};

const BEFORE: IpAddr = public(1);
const AFTER: IpAddr = public(2);

const fn public(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(11, 22, 99, last))
}

fn world() -> World {
    World::new().user("ann", "secret").user("bob", "secret").external(RELAY4, BEFORE)
}

fn advertise(world: &World, address: IpAddr) {
    let change = |at: &mut RelayAddress| at.advertised = address;
    let emitted = world.reload(|setup| setup.settings.relay.addresses.iter_mut().for_each(change));
    emitted.expect_silence();
}

/// Both name each other by what they were told.
fn introduce(one: &Client, other: &Client) {
    one.bind(CHANNEL, other.relayed());
    other.permit(one.relayed());
}

#[test]
fn new_allocations_are_told_the_new_address_and_old_ones_keep_theirs() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    let told = ann.relayed();
    assert_eq!(told.ip(), BEFORE);
    advertise(&world, AFTER);
    let bob = world.client("bob").allocate();
    assert_eq!(bob.relayed().ip(), AFTER);
    // The old one goes on, by the address that its peers know.
    world.advance(secs(299));
    assert_eq!(ann.refresh(600).code(), 200);
    world.expect_relayed(&ann, PEER, b"up");
    world.peer(PEER).sends(told, b"down").expect_channel_data(&ann, CHANNEL, b"down");
    let seen = world.survey(64);
    let relayed = |client: &Client| {
        seen.iter().find(|seen| seen.link.tuple == client.tuple()).unwrap().relayed
    };
    assert_eq!(relayed(&ann), [Some(told), None]);
    assert_eq!(relayed(&bob), [Some(bob.relayed()), None]);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn retransmitted_allocate_is_answered_with_what_it_was_told_before() {
    let world = world();
    let ann = world.client("ann").challenged();
    let request = ann.allocate_request().signed();
    let first = ann.sends(&request).answer();
    advertise(&world, AFTER);
    assert_eq!(ann.sends(&request).answer().relayed(), first.relayed());
}

#[test]
fn relays_of_the_old_and_of_the_new_address_reach_each_other_inside() {
    for shards in [1, 2] {
        let world = world().shards(shards);
        let ann = world.client_on(0, "ann").allocate();
        advertise(&world, AFTER);
        let bob = world.client_on(shards - 1, "bob").allocate();
        introduce(&ann, &bob);
        introduce(&bob, &ann);
        let data = b"through no socket";
        ann.channel_data(CHANNEL, data).expect_channel_data(&bob, CHANNEL, data);
        bob.channel_data(CHANNEL, data).expect_channel_data(&ann, CHANNEL, data);
        // And those that were introduced before it changed.
        let (eve, dan) = (world.client("ann").allocate(), world.client("bob").allocate());
        introduce(&eve, &dan);
        advertise(&world, public(3));
        eve.channel_data(CHANNEL, data).expect_indication(&dan, eve.relayed(), data);
        eve.send(ann.relayed(), data).expect_dropped(DropReason::NoPermission);
        eve.permit(ann.relayed());
        // Ann has permitted the address that eve was told.
        eve.send(ann.relayed(), data).expect_indication(&ann, eve.relayed(), data);
    }
}

#[test]
fn h6_former_address_never_leads_out() {
    let world = world();
    let ann = world.client("ann").allocate();
    let bob = world.client("bob").allocate();
    let gone = bob.relayed();
    ann.bind(CHANNEL, gone);
    advertise(&world, AFTER);
    assert_eq!(bob.refresh(0).code(), 200);
    ann.channel_data(CHANNEL, b"late").expect_dropped(DropReason::NotRelayed);
    ann.send(gone, b"late").expect_dropped(DropReason::NotRelayed);
    let service = SocketAddr::new(BEFORE, 22);
    ann.permit(service);
    ann.send(service, b"ssh").expect_silence();
    // It stays ours for those that begin now.
    let eve = world.client("ann").allocate().permit(gone);
    eve.send(gone, b"late").expect_dropped(DropReason::NotRelayed);
}

#[test]
fn h6_peer_whose_address_becomes_ours_is_no_longer_reached_outside() {
    let world = world();
    let elsewhere = SocketAddr::new(AFTER, 49_200);
    let ann = world.client("ann").allocate().bind(CHANNEL, elsewhere);
    ann.channel_data(CHANNEL, b"outside").expect_at_peer(elsewhere, b"outside");
    advertise(&world, AFTER);
    ann.channel_data(CHANNEL, b"outside").expect_dropped(DropReason::NotRelayed);
}

#[test]
fn service_beside_us_is_shown_by_the_address_that_it_was_named_by() {
    let service = |address| SocketAddr::new(address, 10_000);
    let world = world().realm(|realm| {
        for address in [BEFORE, AFTER] {
            let range = AddressRange::new(address, address).unwrap();
            realm.peers.allow.push(PeerRule { range, ports: Some(10_000..=10_000) });
        }
        realm.peers.relay_ports = Some(49_152..=49_407);
    });
    let ann = world.client("ann").allocate().bind(CHANNEL, service(BEFORE));
    advertise(&world, AFTER);
    let bob = world.client("bob").allocate().permit(service(AFTER));
    ann.channel_data(CHANNEL, b"up").expect_at_peer(service(RELAY4), b"up");
    bob.send(service(AFTER), b"up").expect_at_peer(service(RELAY4), b"up");
    let beside = world.peer(service(RELAY4));
    beside.sends(ann.relayed(), b"down").expect_channel_data(&ann, CHANNEL, b"down");
    beside.sends(bob.relayed(), b"down").expect_indication(&bob, service(AFTER), b"down");
}

#[test]
fn address_that_is_long_forgotten_is_anybodys() {
    let world = world();
    for last in 2..8 {
        advertise(&world, public(last));
    }
    let ann = world.client("ann").allocate();
    let known = |last| ann.permit_request(&[SocketAddr::new(public(last), 49_200)]).code();
    assert_eq!(known(7), 200);
    // Four of them are remembered, which the oldest is not.
    let oldest = SocketAddr::new(BEFORE, 49_200);
    ann.permit(oldest).send(oldest, b"out").expect_at_peer(oldest, b"out");
    let former = SocketAddr::new(public(3), 49_200);
    ann.permit(former).send(former, b"in").expect_dropped(DropReason::NotRelayed);
}

#[test]
fn reservation_is_told_where_its_first_half_was() {
    let world = world();
    let ann = world.client("ann");
    let even = turn_codec::attribute::EvenPort { reserve: true };
    assert_eq!(ann.allocate_request().with(even).code(), 200);
    advertise(&world, AFTER);
    let token = turn_codec::attribute::ReservationToken(ann.token());
    let second = world.client("ann");
    assert_eq!(second.allocate_request().with(token).code(), 200);
    let next = SocketAddr::new(BEFORE, ann.relayed().port() + 1);
    assert_eq!(second.relayed_of(AddressFamily::Ipv4), Some(next));
    world.expect_relayed(second.permit(OTHER_PEER), OTHER_PEER, b"up");
}

#[test]
fn x2_connection_to_a_former_address_reaches_the_relay_that_lives_there() {
    let world = world().settings(|settings| settings.relay.tcp = true);
    let bob = world.tcp_client("bob").tcp_allocate();
    advertise(&world, AFTER);
    let ann = world.tcp_client("ann").tcp_allocate();
    bob.permit(ann.relayed());
    // Bob hears of an attempt, ann of her success.
    assert_eq!(ann.connect_request(bob.relayed()).once().events.len(), 2);
    let ends = world.peer_connections();
    assert_eq!(ends.len(), 2, "both ends are here: {ends:?}");
    assert!(ends.iter().all(|end| end.peer.ip() == RELAY4 || end.peer == ann.relayed()));
}
