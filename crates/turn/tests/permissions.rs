//! Permissions and indications at the engine (RFC 8656 sections 9 to 11): who may send to
//! a client, and what a client may send without a channel.

#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::net::{IpAddr, SocketAddr};

use turn_codec::AttributeType;
use turn_codec::Method;
use turn_codec::attribute::{AdditionalAddressFamily, Data, XorPeerAddress};
use turn_engine::{AddressRange, DropReason, PeerRule, Report};
use turn_testkit::{CHANNEL, Client, DENIED_PEER, OTHER_PEER, PEER, PEER6, SERVER4, World, secs};

fn world() -> World {
    World::new().user("ann", "secret")
}

/// Another transport address of the same host.
fn other_port(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip(), peer.port() + 1)
}

fn deny(address: IpAddr) -> PeerRule {
    PeerRule { range: AddressRange::from(address), ports: None }
}

#[test]
fn p1_permission_is_for_an_address_whatever_the_port() {
    let world = world();
    let ann = world.client("ann").allocate();
    ann.permit(SocketAddr::new(PEER.ip(), 0));
    for port in [1, 80, 5_000, 65_535] {
        let peer = SocketAddr::new(PEER.ip(), port);
        ann.send(peer, b"x").expect_at_peer(peer, b"x");
        world.peer(peer).sends(ann.relayed(), b"y").expect_indication(&ann, peer, b"y");
    }
    ann.send(OTHER_PEER, b"x").expect_dropped(DropReason::NoPermission);
    world.peer(OTHER_PEER).sends(ann.relayed(), b"y").expect_dropped(DropReason::NoPermission);
}

#[test]
fn p2_permission_lives_300_seconds_whatever_passes_through_it() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    for _ in 0..299 {
        world.advance(secs(1));
        ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
        world.peer(PEER).sends(ann.relayed(), b"y").expect_indication(&ann, PEER, b"y");
    }
    world.advance(secs(1));
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
    world.peer(PEER).sends(ann.relayed(), b"y").expect_dropped(DropReason::NoPermission);
}

#[test]
fn p2_create_permission_and_channel_bind_refresh_it() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    ann.refresh(3_600);
    world.advance(secs(299));
    ann.permit(other_port(PEER));
    world.advance(secs(299));
    ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
    ann.bind(CHANNEL, other_port(PEER));
    world.advance(secs(299));
    ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
    // A Refresh of the allocation does not.
    ann.refresh(3_600);
    world.advance(secs(1));
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
}

#[test]
fn p3_create_permission_is_refused_with_the_code_of_its_fault() {
    let world = world();
    let ann = world.client("ann").allocate();
    assert_eq!(ann.ask(Method::CREATE_PERMISSION).code(), 400);
    for value in [&[][..], &[0, 1, 0, 0][..], &[0, 3, 0, 0, 1, 2, 3, 4][..], &[7; 21][..]] {
        let odd = ann.ask(Method::CREATE_PERMISSION).raw(AttributeType::XOR_PEER_ADDRESS, value);
        assert_eq!(odd.code(), 400, "{value:?}");
    }
    assert_eq!(ann.permit_request(&[PEER6]).code(), 443);
    assert_eq!(ann.permit_request(&[DENIED_PEER]).code(), 403);
}

#[test]
fn p3_create_permission_is_all_or_nothing() {
    let world = world().realm(|realm| realm.limits.permissions_per_allocation = Some(2));
    let third = SocketAddr::from(([11, 22, 33, 66], 1));
    let malformed = |client: &Client| {
        let ask = client.permit_request(&[PEER]);
        ask.raw(AttributeType::XOR_PEER_ADDRESS, &[0, 9]).code()
    };
    let ann = world.client("ann").allocate();
    assert_eq!(ann.permit_request(&[PEER, PEER6]).code(), 443);
    assert_eq!(ann.permit_request(&[PEER, DENIED_PEER]).code(), 403);
    assert_eq!(ann.permit_request(&[DENIED_PEER, PEER]).code(), 403);
    assert_eq!(ann.permit_request(&[PEER, OTHER_PEER, third]).code(), 508);
    assert_eq!(malformed(&ann), 400);
    for peer in [PEER, OTHER_PEER, third] {
        ann.send(peer, b"x").expect_dropped(DropReason::NoPermission);
    }
    // The same address twice takes one place, a live one takes none.
    assert_eq!(ann.permit_request(&[PEER, PEER, OTHER_PEER]).code(), 200);
    assert_eq!(ann.permit_request(&[OTHER_PEER, PEER]).code(), 200);
    assert_eq!(ann.permit_request(&[OTHER_PEER, third]).code(), 508);
    assert_eq!(ann.bind_request(CHANNEL, third).code(), 508);
    // An expired one makes room.
    world.advance(secs(300));
    assert_eq!(ann.permit_request(&[third]).code(), 200);
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
}

#[test]
fn p4_data_of_a_peer_needs_a_permission_even_where_a_channel_is_bound() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    ann.refresh(3_600);
    world.advance(secs(299));
    world.peer(PEER).sends(ann.relayed(), b"x").expect_channel_data(&ann, CHANNEL, b"x");
    world.advance(secs(1));
    world.peer(PEER).sends(ann.relayed(), b"x").expect_dropped(DropReason::NoPermission);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    ann.permit(PEER);
    world.peer(PEER).sends(ann.relayed(), b"x").expect_channel_data(&ann, CHANNEL, b"x");
}

#[test]
fn p5_send_that_lacks_anything_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let send = Client::send_indication;
    ann.indicate(send().with(Data(b"x"))).expect_dropped(DropReason::Malformed);
    ann.indicate(send().with(XorPeerAddress(PEER))).expect_dropped(DropReason::Malformed);
    ann.indicate(send()).expect_dropped(DropReason::Malformed);
    let odd = send().raw(AttributeType::XOR_PEER_ADDRESS, &[0, 1, 0]).with(Data(b"x"));
    ann.indicate(odd).expect_dropped(DropReason::Malformed);
    ann.send(OTHER_PEER, b"x").expect_dropped(DropReason::NoPermission);
    ann.send(DENIED_PEER, b"x").expect_dropped(DropReason::NoPermission);
    ann.send(PEER6, b"x").expect_dropped(DropReason::NoPermission);
    ann.send(SocketAddr::new(PEER.ip(), 0), b"x").expect_dropped(DropReason::Malformed);
}

#[test]
fn p5_data_of_any_length_is_relayed_as_it_is() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    for len in [0, 1, 2, 3, 4, 1_200, 65_507] {
        let data = vec![0xab; len];
        ann.send(PEER, &data).expect_at_peer(PEER, &data);
    }
    for len in [0, 1, 2, 3, 4, 1_200, 65_000] {
        let data = vec![0xcd; len];
        world.peer(PEER).sends(ann.relayed(), &data).expect_indication(&ann, PEER, &data);
    }
}

#[test]
fn p6_denied_peer_is_denied_on_every_path() {
    let world = world().realm(|realm| realm.peers.deny.push(deny(PEER.ip())));
    let ann = world.client("ann").allocate();
    for peer in [DENIED_PEER, PEER, SERVER4] {
        assert_eq!(ann.permit_request(&[peer]).code(), 403, "{peer}");
        assert_eq!(ann.bind_request(CHANNEL, peer).code(), 403, "{peer}");
        ann.send(peer, b"x").expect_silence();
        ann.channel_data(CHANNEL, b"x").expect_silence();
        world.peer(peer).sends(ann.relayed(), b"x").expect_silence();
    }
    let denied = world.reports().into_iter().filter(
        |report| matches!(report, Report::PeerDenied { peer, .. } if *peer == DENIED_PEER.ip()),
    );
    assert_eq!(denied.count(), 2);
}

#[test]
fn p6_policy_judges_the_port_of_each_packet_that_is_sent() {
    // The address may have a permission for the sake of some port; the others stay shut.
    let host = SocketAddr::from(([192, 168, 1, 7], 10_000));
    let allow = PeerRule { range: AddressRange::from(host.ip()), ports: Some(10_000..=10_010) };
    let world = world().realm(|realm| realm.peers.allow.push(allow));
    let ann = world.client("ann").allocate().permit(host);
    ann.send(host, b"x").expect_at_peer(host, b"x");
    for port in [22, 9_999, 10_011] {
        let shut = SocketAddr::new(host.ip(), port);
        ann.send(shut, b"x").expect_dropped(DropReason::PeerDenied);
        assert_eq!(ann.bind_request(CHANNEL, shut).code(), 403);
    }
    assert_eq!(ann.bind_request(CHANNEL, host).code(), 200);
}

#[test]
fn p7_reload_that_denies_a_range_ends_what_it_covers_at_once() {
    let world = world();
    let ann = world.client("ann");
    let dual =
        ann.allocate_request().with(AdditionalAddressFamily(turn_codec::AddressFamily::Ipv6));
    assert_eq!(dual.code(), 200);
    let ann = ann.permit(PEER).bind(CHANNEL, other_port(PEER)).bind(CHANNEL + 1, OTHER_PEER);
    world.reload(|setup| setup.realm().peers.deny.push(deny(PEER.ip())));
    ann.send(PEER, b"x").expect_silence();
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    world.peer(PEER).sends(ann.relayed(), b"x").expect_dropped(DropReason::NoPermission);
    assert_eq!(ann.permit_request(&[PEER]).code(), 403);
    // All else goes on.
    ann.channel_data(CHANNEL + 1, b"x").expect_at_peer(OTHER_PEER, b"x");
    let back = world.peer(OTHER_PEER).sends(ann.relayed(), b"x");
    back.expect_channel_data(&ann, CHANNEL + 1, b"x");
}

#[test]
fn p7_reload_that_withdraws_an_allowed_port_ends_its_channel() {
    let host = SocketAddr::from(([192, 168, 1, 7], 10_000));
    let allow = PeerRule { range: AddressRange::from(host.ip()), ports: Some(10_000..=10_010) };
    let world = world().realm(|realm| realm.peers.allow.push(allow));
    let ann = world.client("ann").allocate().bind(CHANNEL, host);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(host, b"x");
    world.reload(|setup| setup.realm().peers.allow.clear());
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    ann.send(host, b"x").expect_silence();
    world.peer(host).sends(ann.relayed(), b"x").expect_dropped(DropReason::NoPermission);
}

#[test]
fn what_is_dropped_is_not_counted_as_relayed() {
    let world = world();
    let ann = world.client("ann").allocate();
    let nobody = SocketAddr::new(ann.relayed().ip(), 60_000);
    let ann = ann.permit(nobody);
    ann.send(nobody, b"x").expect_dropped(DropReason::NotRelayed);
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
    let counters = &world.counters()[0];
    assert_eq!((counters.relayed_up.get(), counters.relayed_up_bytes.get()), (0, 0));
    let dropped =
        [DropReason::NotRelayed, DropReason::NoPermission].map(|why| counters.dropped(why));
    assert_eq!(dropped, [1, 1]);
    ann.permit(PEER).send(PEER, b"four").expect_at_peer(PEER, b"four");
    assert_eq!((counters.relayed_up.get(), counters.relayed_up_bytes.get()), (1, 4));
}

#[test]
fn data_indications_have_transaction_ids_of_their_own() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let mut ids = std::collections::HashSet::new();
    for _ in 0..100 {
        let emitted = world.peer(PEER).sends(ann.relayed(), b"x");
        let message = turn_codec::Message::parse(emitted.frame());
        assert!(message.is_ok_and(|message| ids.insert(message.transaction_id())));
    }
}
