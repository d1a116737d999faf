//! Connections as they live: announced, left waiting, metered, closed (RFC 6062
//! sections 5.3 and 5.5).

use super::*;

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
    world.reload(|setup| setup.realm().peers.deny.push(rule(PEER, None)));
    world.peer(PEER).connects(ann.relayed()).expect_silence();
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
            | Report::AuthFailed { .. }
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
    let limit = |realm: &mut Realm| {
        let limits = &mut realm.limits;
        limits.bandwidth_per_allocation = Some(Bandwidth { bytes_per_second: 1_000_000 });
        limits.bandwidth_per_user = Some(Bandwidth { bytes_per_second: 400_000 });
    };
    let world = world().realm(limit);
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
        | Report::AuthFailed { .. }
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
    let emitted = world.reload(|setup| setup.realm().peers.deny.extend(deny));
    assert_eq!(emitted.answer().code(), 403, "to the one that is still waiting");
    assert_eq!(only(&world), kept);
}

#[test]
fn p7_reload_that_closes_a_port_of_an_own_service_closes_connections_to_it() {
    let own = SocketAddr::new(RELAY4, 0);
    let allow = rule(own, Some(8_000..=8_000));
    let world = world().realm(|realm| realm.peers.allow.push(allow));
    let ann = world.tcp_client("ann").tcp_allocate();
    ann.connect(SocketAddr::new(RELAY4, 8_000));
    world.reload(|setup| setup.realm().peers.allow.clear()).expect_silence();
    assert!(world.peer_connections().is_empty());
}
