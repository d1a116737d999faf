//! What a TCP allocation is, and how it is asked for (RFC 6062 section 5.1).

use super::*;

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
    let world = world().realm(|realm| realm.limits.allocations_per_user = PerUser::Count(2));
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
