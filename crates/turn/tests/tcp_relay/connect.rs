//! Connect: whom a client may reach, and what it is told (RFC 6062 section 5.2).

use super::*;

#[test]
fn x2_connect_without_an_allocation_is_a_437() {
    let world = world();
    let ann = world.tcp_client("ann");
    assert_eq!(ann.connect_request(PEER).code(), 437);
    assert_eq!(ann.tcp_allocate().renamed("bob").connect_request(PEER).code(), 441);
}

#[test]
fn x2_connect_to_a_bad_peer_is_a_400_and_to_a_denied_one_a_403() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    assert_eq!(ann.ask(Method::CONNECT).code(), 400, "no peer");
    assert_eq!(ann.connect_request(SocketAddr::new(PEER.ip(), 0)).code(), 400, "port 0");
    let cut = ann.ask(Method::CONNECT);
    assert_eq!(cut.raw(turn_codec::AttributeType::XOR_PEER_ADDRESS, &[0, 1, 2]).code(), 400);
    assert_eq!(ann.connect_request(PEER6).code(), 443, "another family");
    for denied in [
        DENIED_PEER,
        SocketAddr::from(([127, 0, 0, 1], 80)),
        SocketAddr::from(([224, 0, 0, 1], 80)),
        turn_testkit::SERVER4,
        // Own addresses: a port that is no TCP allocation's, and its own.
        SocketAddr::new(RELAY4, 22),
        world.client("bob").allocate().relayed(),
    ] {
        assert_eq!(ann.connect_request(denied).code(), 403, "{denied}");
    }
    assert_eq!(ann.connect_request(ann.relayed()).code(), 403, "itself");
    assert!(world.peer_connections().is_empty());
}

#[test]
fn x2_connect_to_a_peer_that_is_pending_or_active_is_a_446() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.peers_answer(PeerAnswer::IsSilent);
    let request = ann.connect_request(PEER).signed();
    ann.sends(&request).expect_silence();
    assert_eq!(ann.connect_request(PEER).code(), 446, "pending");
    ann.sends(&request).expect_silence();
    world.advance(secs(30));
    world.peers_answer(PeerAnswer::Accepts);
    let id = ann.connect(PEER);
    assert_eq!(ann.connect_request(PEER).code(), 446, "unbound");
    world.tcp_client("ann").bind_connection(id);
    assert_eq!(ann.connect_request(PEER).code(), 446, "active");
    // Another port is another peer, and another allocation has its own.
    ann.connect(SocketAddr::new(PEER.ip(), 6_001));
    world.tcp_client("ann").tcp_allocate().connect(PEER);
    world.close_peer(id);
    ann.connect(PEER);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x2_connect_that_fails_is_a_447_and_one_that_the_kernel_has_a_446() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    for (outcome, code) in [(PeerAnswer::Refuses, 447), (PeerAnswer::IsInUse, 446)] {
        world.peers_answer(outcome);
        assert_eq!(ann.connect_request(PEER).code(), code);
        assert!(world.peer_connections().is_empty());
    }
    world.peers_answer(PeerAnswer::Accepts);
    ann.connect(PEER);
    let counters = &world.counters()[0];
    let count = |code| counters.responses(Method::CONNECT, code);
    assert_eq!((count(447), count(446), count(200)), (1, 1, 1));
}

#[test]
fn x2_connect_times_out_with_447_after_30_seconds_and_not_before() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(PEER).once().expect_silence();
    world.advance(secs(29)).expect_silence();
    assert_eq!(world.peer_connections().len(), 1);
    assert_eq!(world.advance(secs(1)).answer().code(), 447);
    assert!(world.peer_connections().is_empty(), "the attempt has been given up");
    world.advance(secs(60)).expect_silence();
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x2_answer_of_the_host_that_comes_too_late_closes_what_it_brings() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.hold_completions();
    ann.connect_request(PEER).once().expect_silence();
    assert_eq!(world.advance(secs(30)).answer().code(), 447);
    world.release_completions().expect_silence();
    assert!(world.peer_connections().is_empty());
    world.expect_nothing_left_in_the_end();
}

#[test]
fn relay_to_relay_goes_through_the_kernel_and_shows_advertised_addresses() {
    let public = [203, 0, 113, 7].into();
    for shards in [1, 2] {
        let world = world().shards(shards).external(RELAY4, public);
        let ann = world.tcp_client_on(0, "ann").tcp_allocate();
        let bob = world.tcp_client_on(shards - 1, "bob").tcp_allocate();
        assert_eq!(ann.relayed().ip(), public);
        // X6 holds between allocations too: it is accepted by the kernel, and then closed.
        assert_eq!(ann.connect_request(bob.relayed()).code(), 200);
        assert!(world.peer_connections().is_empty());

        bob.permit(ann.relayed());
        let emitted = ann.connect_request(bob.relayed()).once();
        let attempts = emitted.events.iter().filter_map(|event| match event {
            Event::ToClient { tuple, bytes } if *tuple == bob.tuple() => Attempt::read(bytes),
            Event::ToClient { .. } | Event::ToPeer { .. } => None,
        });
        let [attempt] = attempts.collect::<Vec<_>>()[..] else { panic!("{emitted:?}") };
        assert_eq!(attempt.peer, ann.relayed());
        let open = world.peer_connections();
        assert!(open.iter().all(|end| end.relayed.ip() == RELAY4 && end.peer.ip() == RELAY4));
        assert_eq!(open.len(), 2, "both ends");
        world.tcp_client("bob").bind_connection(attempt.id);
        // One end closes: so does the other.
        world.close_link(&ann);
        assert!(world.peer_connections().is_empty());
        world.expect_nothing_left_in_the_end();
    }
}

#[test]
fn h6_own_service_is_connected_to_where_its_port_is_allowed() {
    let world = world().realm(|realm| {
        let own = SocketAddr::new(RELAY4, 0);
        realm.peers.allow.push(rule(own, Some(8_000..=8_010)));
    });
    let ann = world.tcp_client("ann").tcp_allocate();
    ann.connect(SocketAddr::new(RELAY4, 8_000));
    assert_eq!(ann.connect_request(SocketAddr::new(RELAY4, 8_011)).code(), 403);
}

#[test]
fn h7_client_that_is_itself_a_tcp_relay_may_not_allocate() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let inner = world.client_at("bob", ann.relayed());
    assert_eq!(inner.clone().over(Transport::Tcp).allocate_request().code(), 403);
    // A UDP client of the same address is somebody else.
    assert_eq!(inner.over(Transport::Udp).allocate_request().code(), 200);
}

#[test]
fn h22_connections_of_an_allocation_are_bounded() {
    let world = world().realm(|realm| {
        realm.limits.peer_connections_per_allocation = Some(3);
    });
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    let ids = [1, 2].map(|port| ann.connect(SocketAddr::new(PEER.ip(), port)));
    world.peer(PEER).connects(ann.relayed()).attempt(&ann);
    assert_eq!(ann.connect_request(OTHER_PEER).code(), 508);
    world.peer(SocketAddr::new(PEER.ip(), 7)).connects(ann.relayed()).expect_silence();
    let reports = world.reports();
    let (key, realm) = ("peer_connections_per_allocation", Some(RealmId(0)));
    assert!(reports.contains(&Report::LimitReached { key, realm, tenant: None }), "{reports:?}");
    world.close_peer(ids[0]);
    ann.connect(OTHER_PEER);
}

#[test]
fn h22_connect_is_no_port_scanner() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.peers_answer(PeerAnswer::Refuses);
    let scan = |ports: std::ops::Range<u16>| {
        let codes = ports.map(|port| ann.connect_request(SocketAddr::new(PEER.ip(), port)).code());
        codes.filter(|code| *code == 447).count()
    };
    assert_eq!(scan(1..200), 64);
    world.advance(secs(1));
    assert_eq!(scan(200..400), 10);
}

#[test]
fn h22_peer_is_remembered_for_as_long_as_it_is_connected() {
    let world = world().realm(|realm| realm.limits.peers_per_allocation = Some(1));
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    assert_eq!(ann.connect_request(OTHER_PEER).code(), 508);
    world.close_peer(id);
    assert_eq!(ann.connect_request(OTHER_PEER).code(), 200);
}

#[test]
fn unknown_attribute_in_a_connect_is_a_420() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let odd = ann.connect_request(PEER).raw(turn_codec::AttributeType::new(0x7abc), b"");
    assert_eq!(odd.code(), 420);
    let request = ann.ask(Method::CONNECT).with(XorPeerAddress(PEER)).with(ConnectionId(1));
    assert_eq!(request.code(), 200, "a known one that does not belong there is passed over");
    let udp = ann.ask(Method::ALLOCATE).with(RequestedTransport::UDP);
    assert_eq!(udp.code(), 437, "a control connection has one allocation");
}
