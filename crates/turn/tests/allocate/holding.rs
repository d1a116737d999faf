//! What is held: lifetimes, quotas, Refresh, and that everything is given back (RFC 8656 sections 6 and 8).

use super::*;

#[test]
fn t10_lifetime_is_what_is_asked_between_600_and_3600_seconds() {
    let table = [
        (0, 600),
        (1, 600),
        (599, 600),
        (600, 600),
        (601, 601),
        (3_600, 3_600),
        (3_601, 3_600),
        (u32::MAX, 3_600),
    ];
    let world = world();
    let ann = world.client("ann").allocate();
    for (asked, granted) in table {
        let answer = world.client("ann").allocate_request().with(Lifetime(asked)).exchange();
        assert_eq!((answer.code(), answer.lifetime()), (200, Some(granted)), "{asked}");
        if asked > 0 {
            assert_eq!(ann.refresh(asked).lifetime(), Some(granted), "{asked}");
        }
    }
    assert_eq!(world.client("ann").allocate_request().exchange().lifetime(), Some(600));
    assert_eq!(ann.ask(Method::REFRESH).exchange().lifetime(), Some(600));
    assert_eq!(ann.ask(Method::REFRESH).raw(AttributeType::LIFETIME, &[0]).code(), 400);
}

#[test]
fn t10_max_lifetime_and_max_allocation_age_bound_it() {
    let world = world().realm(|realm| {
        realm.limits.max_lifetime = secs(1_000);
        realm.limits.max_allocation_age = Some(secs(1_500));
    });
    let ann = world.client("ann");
    let first = ann.allocate_request().with(Lifetime(3_600)).exchange();
    assert_eq!(first.lifetime(), Some(1_000));
    world.advance(secs(900));
    assert_eq!(ann.refresh(3_600).lifetime(), Some(600));
    world.advance(secs(599));
    assert_eq!(ann.refresh(600).lifetime(), Some(1));
    world.advance(secs(1));
    assert_eq!(world.allocations(), 0);
}

#[test]
fn t11_quota_is_486_capacity_508_and_policy_403() {
    let limited = |change: fn(&mut Settings)| {
        let world = world().settings(change);
        let _held = world.client("ann").allocate();
        world.client("ann").allocate_request().code()
    };
    assert_eq!(limited(|settings| settings.limits.allocations = Some(1)), 486);
    assert_eq!(limited(|settings| settings.limits.allocations_per_source = Some(1)), 486);
    assert_eq!(limited(|settings| settings.realms[0].limits.allocations = Some(1)), 486);
    let one = |settings: &mut Settings| {
        settings.realms[0].limits.allocations_per_user = PerUser::Count(1);
    };
    assert_eq!(limited(one), 486);

    let no_ports = world().ports(50_000..=50_000);
    let _held = no_ports.client("ann").allocate();
    assert_eq!(no_ports.client("ann").allocate_request().code(), 508);
    assert_eq!(no_ports.client("ann").allocate_request().with(PAIR).code(), 508);

    for error in [OpenError::Exhausted, OpenError::AddressUnavailable, OpenError::AddressInUse] {
        let world = world();
        world.fail_binds(Some(error));
        assert_eq!(world.client("ann").allocate_request().code(), 508, "{error}");
        assert_eq!(world.client("ann").allocate_request().with(PAIR).code(), 508, "{error}");
        assert_eq!(dual(&world.client("ann")).code(), 508, "{error}");
        assert_eq!((world.quota_units(), world.relay_count()), (0, 0));
        world.fail_binds(None);
        assert_eq!(world.client("ann").allocate_request().code(), 200);
    }

    let tunnelled = world().client_at("ann", "[2002:c000:204::1]:4000".parse().unwrap());
    assert_eq!(tunnelled.allocate_request().code(), 403);
}

#[test]
fn t11_port_that_somebody_else_has_is_passed_over() {
    let world = world().ports(50_000..=50_007);
    for port in [50_000, 50_001, 50_003, 50_004, 50_006] {
        world.take_port(SocketAddr::new(RELAY4, port));
    }
    let mut ports: Vec<u16> =
        (0..3).map(|_| world.client("ann").allocate().relayed().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [50_002, 50_005, 50_007]);
    // Half of a pair is no pair; nothing stays behind of the tries.
    let pair = world.client("ann").allocate_request().with(PAIR).code();
    assert_eq!((pair, world.quota_units(), world.relay_count()), (508, 3, 3));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn t13_quota_unit_is_held_for_life_and_given_back_once_on_every_way_out() {
    let world = world().settings(|settings| settings.limits.allocations = Some(2));
    let full = || assert_eq!(world.client("bob").allocate_request().code(), 486);
    let stream = || world.client("ann").over(Transport::Tcp);

    let expired = world.client("ann").allocate();
    let deleted = world.client("ann").allocate();
    full();
    assert_eq!(deleted.refresh(0).code(), 200);
    assert_eq!(deleted.refresh(0).code(), 437);
    let closed = stream().allocate();
    full();
    world.close_link(&closed);
    world.close_link(&closed);
    let failed = world.client("ann").allocate();
    full();
    world.fail_relay(failed.relayed());
    assert_eq!(world.quota_units(), 1);
    let both = world.client("ann");
    assert_eq!(dual(&both).code(), 200);
    full();
    for family in [IPV4, IPV6] {
        assert_eq!(world.quota_units(), 2);
        world.fail_relay(both.relayed_of(family).unwrap());
    }
    assert_eq!(world.quota_units(), 1);
    // A reservation that runs out, and one that becomes an allocation.
    assert_eq!(expired.refresh(0).code(), 200);
    let pair = world.client("ann");
    assert_eq!(pair.allocate_request().with(PAIR).code(), 200);
    full();
    world.advance(secs(30));
    assert_eq!(world.quota_units(), 1);
    assert_eq!(pair.refresh(0).code(), 200);
    assert_eq!(pair.allocate_request().with(PAIR).code(), 200);
    let claimed = world.client("ann");
    assert_eq!(claim(&claimed, pair.token()), 200);
    full();
    // One that could not be opened.
    assert_eq!(pair.refresh(0).code(), 200);
    world.fail_binds(Some(OpenError::Exhausted));
    assert_eq!(world.client("ann").allocate_request().code(), 508);
    world.fail_binds(None);
    assert_eq!(world.quota_units(), 1);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn t13_stream_that_ends_while_its_socket_opens_leaves_nothing() {
    for reserve in [false, true] {
        let world = world();
        let ann = world.client("ann").over(Transport::Tcp).challenged();
        world.hold_completions();
        ann.allocate_request().with(EvenPort { reserve }).once().expect_silence();
        world.close_link(&ann);
        world.release_completions().expect_silence();
        assert_eq!((world.allocations(), world.relay_count(), world.quota_units()), (0, 0, 0));
        world.expect_nothing_left_in_the_end();
    }
}

#[test]
fn t15_refresh_with_lifetime_zero_ends_everything_at_once() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER).bind(CHANNEL, OTHER_PEER);
    let relayed = ann.relayed();
    let answer = ann.refresh(0);
    assert_eq!((answer.code(), answer.lifetime()), (200, Some(0)));
    assert_eq!((world.allocations(), world.relay_count(), world.quota_units()), (0, 0, 0));
    ann.send(PEER, b"x").expect_dropped(DropReason::NoAllocation);
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoAllocation);
    world.peer(PEER).sends(relayed, b"x").expect_silence();
    assert_eq!(ann.refresh(600).code(), 437);
    // What is made anew knows nothing of what was.
    let ann = ann.allocate();
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    let ended = world.reports().into_iter().filter_map(|report| match report {
        Report::Ended { reason, .. } => Some(reason),
        Report::Created { .. }
        | Report::AuthFailed { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [EndReason::Deleted]);
}

#[test]
fn t16_refresh_of_a_family_that_is_not_there_is_a_443() {
    let world = world();
    let ann = world.client("ann").allocate();
    let refresh = |family| ann.ask(Method::REFRESH).with(RequestedAddressFamily(family));
    assert_eq!(refresh(IPV6).with(Lifetime(0)).code(), 443);
    let kind = AttributeType::REQUESTED_ADDRESS_FAMILY;
    assert_eq!(ann.ask(Method::REFRESH).raw(kind, &[9, 0, 0, 0]).code(), 443);
    assert_eq!(ann.ask(Method::REFRESH).raw(kind, &[1]).code(), 400);
    assert_eq!(refresh(IPV4).code(), 200);
}

#[test]
fn t16_refresh_of_one_family_leaves_the_other_alone() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(dual(&ann).code(), 200);
    let ann = ann.permit(PEER).permit(PEER6);
    let refresh = |family, seconds| {
        let ask = ann.ask(Method::REFRESH).with(Lifetime(seconds));
        ask.with(RequestedAddressFamily(family)).exchange()
    };
    assert_eq!(refresh(IPV4, 1_200).lifetime(), Some(1_200));
    world.advance(secs(599));
    ann.permit(PEER).permit(PEER6);
    world.advance_without_sweep(secs(1));
    // The IPv6 half has expired, the IPv4 half has not; a Refresh of all wakes no dead.
    ann.send(PEER6, b"x").expect_silence();
    ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
    assert_eq!(ann.refresh(600).code(), 200);
    ann.send(PEER6, b"x").expect_silence();
    assert_eq!(refresh(IPV6, 600).code(), 443);
    world.advance(secs(0));
    assert_eq!((world.allocations(), world.relay_count()), (1, 1));
    assert_eq!(refresh(IPV4, 0).lifetime(), Some(0));
    assert_eq!((world.allocations(), world.quota_units()), (0, 0));
}

#[test]
fn t16_deleting_one_family_keeps_the_other() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(dual(&ann).code(), 200);
    let ann = ann.permit(PEER).permit(PEER6).bind(CHANNEL, PEER6);
    let delete = ann.ask(Method::REFRESH).with(Lifetime(0));
    assert_eq!(delete.with(RequestedAddressFamily(IPV6)).code(), 200);
    ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
    ann.send(PEER6, b"x").expect_silence();
    ann.channel_data(CHANNEL, b"x").expect_silence();
    assert_eq!(ann.permit_request(&[PEER6]).code(), 443);
    assert_eq!(ann.bind_request(CHANNEL, PEER6).code(), 443);
    assert_eq!((world.allocations(), world.quota_units(), world.relay_count()), (1, 1, 1));
}

#[test]
fn t17_only_refresh_extends_an_allocation() {
    let world = world();
    let ann = world.client("ann").allocate();
    for _ in 0..5 {
        let ann = ann.permit(PEER).bind(CHANNEL, OTHER_PEER);
        ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
        ann.channel_data(CHANNEL, b"x").expect_at_peer(OTHER_PEER, b"x");
        world.peer(PEER).sends(ann.relayed(), b"x").expect_indication(&ann, PEER, b"x");
        world.advance(secs(119));
    }
    assert_eq!(world.allocations(), 1);
    world.advance(secs(5));
    assert_eq!(world.allocations(), 0);
}

#[test]
fn refresh_may_shorten_a_lifetime() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.allocate_request().with(Lifetime(3_600)).code(), 200);
    world.advance(secs(10));
    assert_eq!(ann.refresh(600).lifetime(), Some(600));
    world.advance(secs(599));
    assert_eq!(world.allocations(), 1);
    world.advance(secs(1));
    assert_eq!(world.allocations(), 0);
}

#[test]
fn bandwidth_of_an_allocation_is_bounded_and_the_excess_dropped() {
    let world = world().realm(|realm| {
        realm.limits.bandwidth_per_allocation = Some(Bandwidth { bytes_per_second: 1_000 });
    });
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    // The burst is 64 KiB.
    let sent = (0..100).filter(|_| !ann.channel_data(CHANNEL, &[7; 1_000]).is_silent()).count();
    assert_eq!(sent, 65);
    ann.channel_data(CHANNEL, &[7; 1_000]).expect_dropped(DropReason::Bandwidth);
    // The other direction has a bucket of its own.
    let back = world.peer(PEER).sends(ann.relayed(), &[7; 1_000]);
    back.expect_channel_data(&ann, CHANNEL, &[7; 1_000]);
    world.advance(secs(1));
    assert!(!ann.channel_data(CHANNEL, &[7; 1_000]).is_silent());
}
