//! TCP allocations (RFC 6062): Connect, ConnectionBind, ConnectionAttempt, and what they close.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::attribute::{
    AdditionalAddressFamily, ConnectionId, DontFragment, EvenPort, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorPeerAddress,
};
use turn_codec::{AddressFamily, Method};
use turn_engine::{
    Bandwidth, Direction, DropReason, EndReason, PeerRule, PerUser, Report, Settings, ShardId,
    Transport,
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

#[test]
fn x1_tcp_allocation_is_refused_with_442_unless_it_is_switched_on() {
    let world = World::new().user("ann", "secret");
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls] {
        let ann = world.client("ann").over(transport);
        assert_eq!(ann.tcp_allocate_request().code(), 442, "{transport:?}");
    }
}

#[test]
fn x1_tcp_allocation_is_made_over_tcp_and_tls_only() {
    let world = world();
    for transport in [Transport::Udp, Transport::Dtls] {
        let ann = world.client("ann").over(transport);
        assert_eq!(ann.tcp_allocate_request().code(), 400, "{transport:?}");
    }
    for transport in [Transport::Tcp, Transport::Tls] {
        world.client("ann").over(transport).tcp_allocate();
    }
    assert_eq!((world.tcp_port_count(0).live, world.port_count(0).live), (2, 0));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x1_tcp_allocation_takes_no_even_port_no_reservation_and_no_dont_fragment() {
    let world = world();
    let ann = world.tcp_client("ann");
    let ask = || ann.tcp_allocate_request();
    assert_eq!(ask().with(EvenPort { reserve: false }).code(), 400);
    assert_eq!(ask().with(EvenPort { reserve: true }).code(), 400);
    assert_eq!(ask().with(ReservationToken([0; 8])).code(), 400);
    assert_eq!(ask().with(DontFragment).code(), 400);
    let answer = ask().exchange();
    assert_eq!(answer.code(), 200);
    assert_eq!(answer.token(), None);
}

#[test]
fn x1_ports_of_tcp_and_udp_do_not_stand_in_each_others_way() {
    let world = world().ports(50_000..=50_000);
    let tcp = world.tcp_client("ann").tcp_allocate();
    let udp = world.client("ann").allocate();
    assert_eq!(tcp.relayed(), udp.relayed());
    assert_eq!(world.tcp_client("ann").tcp_allocate_request().code(), 508);
    // What belongs to one ends without the other.
    world.close_link(&tcp);
    udp.permit(PEER).send(PEER, b"still here").expect_at_peer(PEER, b"still here");
    assert_eq!((world.tcp_port_count(0).quarantined, world.port_count(0).live), (1, 1));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn tcp_allocation_can_have_both_families() {
    let world = world();
    let ann = world.tcp_client("ann");
    let both = AdditionalAddressFamily(AddressFamily::Ipv6);
    assert_eq!(ann.tcp_allocate_request().with(both).exchange().relayed().len(), 2);
    let ids = [ann.connect(PEER), ann.connect(PEER6)];
    assert_eq!(world.peer_connections().len(), 2);
    // RFC 8656 section 8.2: one family ends, and its connections with it.
    let six = RequestedAddressFamily(AddressFamily::Ipv6);
    let end = ann.ask(Method::REFRESH).with(six).with(turn_codec::attribute::Lifetime(0));
    assert_eq!(end.code(), 200);
    assert_eq!(only(&world), ids[0]);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn tcp_allocations_count_toward_the_quota_as_all_do() {
    let world =
        world().settings(|settings| settings.limits.allocations_per_user = PerUser::Count(2));
    world.tcp_client("ann").tcp_allocate();
    world.client("ann").allocate();
    assert_eq!(world.tcp_client("ann").tcp_allocate_request().code(), 486);
    assert_eq!(world.client("ann").allocate_request().code(), 486);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn datagrams_have_no_place_on_a_tcp_allocation_nor_connections_on_a_udp_one() {
    let world = world();
    let tcp = world.tcp_client("ann").tcp_allocate().permit(PEER);
    assert_eq!(tcp.bind_request(CHANNEL, PEER).code(), 403);
    tcp.send(PEER, b"datagram").expect_dropped(DropReason::Unexpected);
    tcp.channel_data(CHANNEL, b"datagram").expect_dropped(DropReason::NoChannel);
    let udp = world.tcp_client("ann").allocate();
    assert_eq!(udp.connect_request(PEER).code(), 403);
    assert!(world.peer(PEER).connects(udp.relayed()).is_silent());
    assert!(world.peer_connections().is_empty());
}

#[test]
fn refresh_and_create_permission_serve_a_tcp_allocation_as_any_other() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    assert_eq!(ann.refresh(3_600).lifetime(), Some(3_600));
    world.advance(secs(3_599));
    assert_eq!(world.allocations(), 1);
    world.advance(secs(1));
    assert_eq!(world.allocations(), 0);
    world.expect_nothing_left_in_the_end();
}

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
fn x3_connection_ids_are_random_and_unique_and_name_their_shard() {
    let ids = |seed| {
        let world = world().shards(2).seed(seed);
        let mut ids = Vec::new();
        for shard in [0, 1] {
            let ann = world.tcp_client_on(shard, "ann").tcp_allocate();
            for port in 0..20 {
                let id = ann.connect(SocketAddr::new(PEER.ip(), 5_000 + port));
                assert_eq!(ShardId(id.to_be_bytes()[0]), ann.shard());
                ids.push(id);
            }
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40);
        ids
    };
    let (some, others) = (ids(1), ids(2));
    assert!(some.iter().all(|id| !others.contains(id)), "nobody can guess them");
    let steps: HashSet<_> = some.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.len() > 35, "they do not count up");
}

#[test]
fn x3_connection_id_serves_its_own_user_and_allocation_only() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    assert_eq!(world.tcp_client("bob").bind_connection_request(id).code(), 441);
    // It ends with its allocation, whatever else its user has.
    let other = world.tcp_client("ann").tcp_allocate();
    world.close_link(&ann);
    assert_eq!(world.tcp_client("ann").bind_connection_request(id).code(), 400);
    assert_eq!(other.connect_request(PEER).code(), 200);
}

#[test]
fn x3_connection_ids_cannot_be_guessed_by_one_who_has_the_same_credentials() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    let guesser = world.tcp_client("ann");
    let codes = (1..=150).map(|guess| guesser.bind_connection_request(id ^ guess).code());
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes.iter().filter(|code| **code == 400).count(), 100);
    assert_eq!(codes.iter().filter(|code| **code == 403).count(), 50);
    assert_eq!(guesser.bind_connection_request(id).code(), 403, "a right guess does not stand out");
    // Whoever comes from elsewhere, and every other user, is not held up.
    let elsewhere = world.client_at("ann", SocketAddr::from(([198, 18, 0, 9], 5_000)));
    let bob = world.tcp_client("bob").tcp_allocate();
    world.tcp_client("bob").bind_connection(bob.connect(OTHER_PEER));
    elsewhere.over(Transport::Tcp).bind_connection(id);
    // In time the guesser may try again.
    world.advance(secs(1));
    assert_eq!(guesser.bind_connection_request(id ^ 1).code(), 400);
}

#[test]
fn x4_connection_that_nobody_binds_is_closed_after_30_seconds() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    let made = ann.connect(PEER);
    let accepted = world.peer(OTHER_PEER);
    ann.permit(OTHER_PEER);
    world.advance(secs(10));
    let attempt = accepted.connects(ann.relayed()).attempt(&ann);
    world.advance(secs(19));
    assert_eq!(world.peer_connections().len(), 2);
    world.advance(secs(1));
    assert_eq!(only(&world), attempt.id, "the one that Connect has made is gone");
    assert_eq!(world.tcp_client("ann").bind_connection_request(made).code(), 400);
    world.advance(secs(9));
    world.tcp_client("ann").bind_connection(attempt.id);
    world.advance(secs(300));
    assert_eq!(only(&world), attempt.id, "a bound one stays");
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x4_slow_connect_leaves_the_client_its_whole_30_seconds_to_bind() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.hold_completions();
    ann.connect_request(PEER).once().expect_silence();
    world.advance(secs(25)).expect_silence();
    let id = world.release_completions().answer().connection().expect("an id");
    world.advance(secs(29));
    world.tcp_client("ann").bind_connection(id);
    // And no more than that.
    world.hold_completions();
    ann.connect_request(OTHER_PEER).once().expect_silence();
    world.advance(secs(25)).expect_silence();
    world.release_completions().answer();
    world.advance(secs(29));
    assert_eq!(world.peer_connections().len(), 2);
    world.advance(secs(1));
    assert_eq!(only(&world), id);
}

#[test]
fn x5_connection_bind_comes_over_tcp_or_tls_and_names_a_connection_that_waits() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    for transport in [Transport::Udp, Transport::Dtls] {
        let other = world.client("ann").over(transport);
        assert_eq!(other.bind_connection_request(id).code(), 400, "{transport:?}");
    }
    let data = world.client("ann").over(Transport::Tls);
    assert_eq!(data.ask(Method::CONNECTION_BIND).code(), 400, "no id");
    assert_eq!(data.bind_connection_request(id ^ 1).code(), 400, "an unknown one");
    assert_eq!(data.bind_connection_request(id | 0x0700_0000).code(), 400, "of no shard");
    assert_eq!(ann.bind_connection_request(id).code(), 400, "the control connection");
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(OTHER_PEER).once().expect_silence();
    let pending = world.peer_connections().into_iter().find(|other| other.id != id);
    let pending = pending.expect("it is being made").id;
    assert_eq!(data.bind_connection_request(pending).code(), 400, "not yet there");
    assert_eq!(data.bind_connection_request(id).code(), 200);
    assert_eq!(world.tcp_client("ann").bind_connection_request(id).code(), 400, "bound already");
}

#[test]
fn x5_reply_leaves_before_the_connection_is_spliced() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    let data = world.tcp_client("ann").challenged();
    let answer = data.bind_connection_request(id).once().answer();
    assert_eq!(answer.code(), 200);
    assert!(answer.kinds().is_empty(), "nothing but its signature: {:?}", answer.kinds());
    let [connection] = world.peer_connections()[..] else { panic!("one connection") };
    assert_eq!(connection.spliced, Some(data.tuple()));
    assert_eq!((connection.relayed, connection.peer), (ann.relayed(), PEER));
    assert!(world.serves(&ann) && world.serves(&data));
    assert!(!world.serves(&world.tcp_client("ann")), "nobody yet");
}

#[test]
fn x5_stranger_is_challenged_and_learns_nothing_of_an_id() {
    let world = world();
    let id = world.tcp_client("ann").tcp_allocate().connect(PEER);
    for id in [id, id ^ 1] {
        let stranger = world.tcp_client("eve");
        let answer = stranger.bind_connection_request(id).once_unsigned().answer();
        assert_eq!(answer.code(), 401);
        assert_eq!(stranger.bind_connection_request(id).code(), 401);
    }
    assert_eq!(world.peer_connections()[0].spliced, None);
}

#[test]
fn x5_data_connection_at_another_shard_is_handed_over() {
    let world = world().shards(2);
    for (control, data) in [(0, 1), (1, 0), (1, 1)] {
        let ann = world.tcp_client_on(control, "ann").tcp_allocate();
        let id = ann.connect(PEER);
        let data = world.tcp_client_on(data, "ann");
        // The 401 comes from the shard that holds the connection, and so does the answer.
        let challenge = data.bind_connection_request(id).once_unsigned().answer();
        assert_eq!(challenge.code(), 401);
        assert_eq!(data.shard(), ann.shard());
        data.bind_connection(id);
        assert!(world.serves(&data));
        let counters = &world.counters()[usize::from(control)];
        assert!(counters.responses(Method::CONNECTION_BIND, 200) > 0);
        assert!(world.flows(id, Direction::Up, 1_000));
        world.close_link(&data);
        world.close_link(&ann);
    }
    assert!(world.peer_connections().is_empty());
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x5_other_shard_judges_all_of_a_request_that_is_handed_over() {
    let world = world().shards(2);
    let ann = world.tcp_client_on(0, "ann").tcp_allocate();
    let id = ann.connect(PEER);
    assert_eq!(world.tcp_client_on(1, "bob").bind_connection_request(id).code(), 441);
    assert_eq!(world.tcp_client_on(1, "eve").bind_connection_request(id).code(), 401);
    assert_eq!(world.tcp_client_on(1, "ann").bind_connection_request(id ^ 1).code(), 400);
    // A shard that does not exist is never handed anything.
    let nowhere = world.tcp_client_on(1, "ann");
    assert_eq!(nowhere.bind_connection_request(id | 0x0200_0000).code(), 400);
    assert_eq!(nowhere.shard(), ShardId(1));
    // Nor does a connection move that has an allocation here.
    let busy = world.tcp_client_on(1, "ann").tcp_allocate();
    assert_eq!(busy.bind_connection_request(id).code(), 400);
    assert_eq!(busy.shard(), ShardId(1));
    // UDP has no connection that could move.
    let udp = world.client_on(1, "ann");
    assert_eq!(udp.bind_connection_request(id).code(), 400);
    world.tcp_client_on(1, "ann").bind_connection(id);
}

#[test]
fn x5_nobody_is_sent_to_another_shard_while_there_is_no_tcp_allocation() {
    let world = world().shards(2);
    let eve = world.tcp_client_on(0, "eve");
    let answer = eve.bind_connection_request(0x0100_0001).once_unsigned().answer();
    assert_eq!((answer.code(), eve.shard()), (401, ShardId(0)));
}

#[test]
fn x5_connection_that_waits_for_its_allocation_is_no_data_connection() {
    let world = world().shards(2);
    let id = world.tcp_client_on(0, "ann").tcp_allocate().connect(PEER);
    let busy = world.tcp_client_on(1, "ann").challenged();
    world.hold_completions();
    busy.tcp_allocate_request().once().expect_silence();
    assert_eq!(busy.bind_connection_request(id).code(), 400);
    assert_eq!(busy.shard(), ShardId(1));
    assert_eq!(world.release_completions().answer().code(), 200);
}

#[test]
fn x5_stored_key_binds_after_the_credential_has_ended() {
    let world = World::new().secret("shared").shards(2);
    let world = world.settings(|settings| settings.relay.tcp = true);
    let name = format!("{}:ann", turn_testkit::START.0 + 60);
    let ann = world.tcp_client_on(0, &name).tcp_allocate();
    ann.refresh(3_600);
    world.advance(secs(500));
    assert_eq!(world.tcp_client_on(0, &name).allocate_request().code(), 401, "it has ended");
    let id = ann.connect(PEER);
    world.tcp_client_on(1, &name).bind_connection(id);
}

#[test]
fn x6_peer_without_a_permission_is_closed_at_once() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(OTHER_PEER);
    world.peer(PEER).connects(ann.relayed()).expect_silence();
    ann.permit(PEER);
    world.advance(secs(300));
    world.peer(PEER).connects(ann.relayed()).expect_silence();
    assert!(world.peer_connections().is_empty());
}

#[test]
fn x6_peer_with_a_permission_is_announced_on_the_control_connection() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    // [P1] The port does not count.
    let peer = SocketAddr::new(PEER.ip(), 61_234);
    let first = world.peer(peer).connects(ann.relayed());
    let Attempt { peer: shown, id } = first.attempt(&ann);
    assert_eq!((shown, id), (peer, only(&world)));
    let again = world.peer(PEER).connects(ann.relayed());
    assert_eq!(again.attempt(&ann).peer, PEER);
    // Each is a message of its own.
    assert_ne!(first.frame()[8..20], again.frame()[8..20]);
    world.tcp_client("ann").bind_connection(id);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x6_permission_that_a_reload_takes_away_admits_nobody() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    world.reload(|setup| setup.settings.peers.deny.push(rule(PEER, None)));
    world.peer(PEER).connects(ann.relayed()).expect_silence();
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
    let world = world().settings(|settings| {
        let own = SocketAddr::new(RELAY4, 0);
        settings.peers.allow.push(rule(own, Some(8_000..=8_010)));
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
fn x8_connections_end_with_their_allocation() {
    type End = fn(&World, &Client);
    let ends: [(End, EndReason); 4] = [
        (|_, ann| assert_eq!(ann.refresh(0).code(), 200), EndReason::Deleted),
        (|world, _| drop(world.advance(secs(600))), EndReason::Expired),
        (|world, ann| world.close_link(ann), EndReason::LinkClosed),
        (|world, ann| world.fail_relay(ann.relayed()), EndReason::SocketFailed),
    ];
    for (end, reason) in ends {
        let world = world();
        let ann = world.tcp_client("ann").tcp_allocate().permit(OTHER_PEER);
        let data = world.tcp_client("ann").bind_connection(ann.connect(PEER));
        world.peer(OTHER_PEER).connects(ann.relayed()).attempt(&ann);
        end(&world, &ann);
        assert!(world.peer_connections().is_empty(), "{reason:?}");
        assert!(!world.serves(&data) && !world.serves(&ann), "{reason:?}");
        let ended = world.reports().into_iter().find_map(|report| match report {
            Report::Ended { reason, .. } => Some(reason),
            Report::Created { .. }
            | Report::Refused { .. }
            | Report::LimitReached { .. }
            | Report::PeerDenied { .. } => None,
        });
        assert_eq!(ended, Some(reason));
        world.expect_nothing_left_in_the_end();
    }
}

#[test]
fn x8_either_half_that_closes_closes_the_other() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    let data = world.tcp_client("ann").bind_connection(id);
    world.close_link(&data);
    assert!(world.peer_connections().is_empty(), "the client's half has ended");
    let id = ann.connect(PEER);
    let data = world.tcp_client("ann").bind_connection(id);
    world.close_peer(id);
    assert!(!world.serves(&data), "the peer's half has ended");
    let id = ann.connect(PEER);
    world.close_peer(id);
    assert_eq!(
        world.tcp_client("ann").bind_connection_request(id).code(),
        400,
        "before it is bound"
    );
    assert!(world.serves(&ann), "the allocation lives on");
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x8_connect_that_is_pending_when_its_allocation_ends_gets_no_answer() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(PEER).once().expect_silence();
    assert_eq!(ann.refresh(0).code(), 200);
    assert!(world.peer_connections().is_empty());
    world.advance(secs(60)).expect_silence();
}

#[test]
fn x8_connection_that_is_made_for_nobody_is_closed() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    world.hold_completions();
    ann.connect_request(PEER).once().expect_silence();
    world.close_link(&ann);
    world.release_completions().expect_silence();
    assert!(world.peer_connections().is_empty());
    world.expect_nothing_left_in_the_end();
}

#[test]
fn s19_what_is_said_to_a_client_goes_on_the_connection_that_it_has() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    let bystander = world.tcp_client("ann").tcp_allocate();
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(OTHER_PEER).once().expect_silence();
    bystander.connect_request(OTHER_PEER).once().expect_silence();
    world.peer(PEER).connects(ann.relayed()).attempt(&ann);
    // When a connection is gone, nothing that was meant for it goes anywhere.
    world.close_link(&ann);
    let emitted = world.advance(secs(30));
    let [Event::ToClient { tuple, .. }] = &emitted.events[..] else { panic!("{emitted:?}") };
    assert_eq!(*tuple, bystander.tuple());
}

#[test]
fn c7_dtls_ends_its_allocation_as_a_stream_does_and_is_not_padded() {
    let world = world();
    let ann = world.client("ann").over(Transport::Dtls).allocate().bind(CHANNEL, PEER);
    let frame = world.peer(PEER).sends(ann.relayed(), b"odd");
    assert_eq!(frame.frame().len(), 7);
    assert!(world.serves(&ann));
    world.close_link(&ann);
    assert_eq!(world.allocations(), 0);
    assert!(!world.serves(&ann));
}

#[test]
fn spliced_bytes_are_counted_and_wait_for_the_bandwidth_limits() {
    let limit = |settings: &mut Settings| {
        let limits = &mut settings.limits;
        limits.bandwidth_per_allocation = Some(Bandwidth { bytes_per_second: 1_000_000 });
        limits.bandwidth_per_user = Some(Bandwidth { bytes_per_second: 400_000 });
    };
    let world = world().settings(limit);
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    world.tcp_client("ann").bind_connection(id);
    let passed = |direction| (0..2_000).filter(|_| world.flows(id, direction, 1_000)).count();
    // 250 ms of 400 kB/s for the user; what that refuses costs the allocation's bucket nothing.
    assert_eq!(passed(Direction::Up), 100);
    assert_eq!(passed(Direction::Down), 100);
    world.advance(secs(1));
    assert_eq!(passed(Direction::Up), 100);
    world.close_link(&ann);
    let reports = world.reports();
    let is_limit = |report: &&Report| matches!(report, Report::LimitReached { .. });
    assert_eq!(reports.iter().filter(is_limit).count(), 1, "{reports:?}");
    let traffic = reports.into_iter().find_map(|report| match report {
        Report::Ended { traffic, .. } => Some(traffic),
        Report::Created { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    });
    let traffic = traffic.expect("it has ended");
    assert_eq!((traffic.up_bytes, traffic.down_bytes), (200_000, 100_000));
    assert_eq!((traffic.up_packets, traffic.down_packets), (0, 0), "a stream has no packets");
    let counters = &world.counters()[0];
    assert_eq!(counters.relayed_up_bytes.get(), 200_000);
}

#[test]
fn p7_reload_closes_the_connections_with_peers_that_it_denies() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate().permit(OTHER_PEER);
    let kept = ann.connect(SocketAddr::from(([11, 22, 33, 66], 80)));
    world.tcp_client("ann").bind_connection(ann.connect(PEER));
    world.peer(OTHER_PEER).connects(ann.relayed()).attempt(&ann);
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(SocketAddr::new(PEER.ip(), 81)).once().expect_silence();
    assert_eq!(world.peer_connections().len(), 4);
    let deny = [rule(PEER, None), rule(OTHER_PEER, None)];
    let emitted = world.reload(|setup| setup.settings.peers.deny.extend(deny));
    assert_eq!(emitted.answer().code(), 403, "to the one that is still waiting");
    assert_eq!(only(&world), kept);
}

#[test]
fn p7_reload_that_closes_a_port_of_an_own_service_closes_connections_to_it() {
    let own = SocketAddr::new(RELAY4, 0);
    let allow = rule(own, Some(8_000..=8_000));
    let world = world().settings(|settings| settings.peers.allow.push(allow));
    let ann = world.tcp_client("ann").tcp_allocate();
    ann.connect(SocketAddr::new(RELAY4, 8_000));
    world.reload(|setup| setup.settings.peers.allow.clear()).expect_silence();
    assert!(world.peer_connections().is_empty());
}

#[test]
fn h22_connections_of_an_allocation_are_bounded() {
    let world = world().settings(|settings| {
        settings.limits.peer_connections_per_allocation = Some(3);
    });
    let ann = world.tcp_client("ann").tcp_allocate().permit(PEER);
    let ids = [1, 2].map(|port| ann.connect(SocketAddr::new(PEER.ip(), port)));
    world.peer(PEER).connects(ann.relayed()).attempt(&ann);
    assert_eq!(ann.connect_request(OTHER_PEER).code(), 508);
    world.peer(SocketAddr::new(PEER.ip(), 7)).connects(ann.relayed()).expect_silence();
    let reports = world.reports();
    let key = "peer_connections_per_allocation";
    assert!(reports.contains(&Report::LimitReached { key }), "{reports:?}");
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
    let world = world().settings(|settings| settings.limits.peers_per_allocation = Some(1));
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
