//! What clients may take: allocations, ports, permissions, and what the next one finds of it.

use super::*;

#[test]
fn h18_flood_of_allocations_stops_at_each_cap() {
    let name = |number: u64| format!("{}:user", START.0 + 3_600 + number);
    let world = World::new().secret("shared");
    for number in 0..PerUser::AUTO {
        world.client(&name(number.into())).allocate();
    }
    assert_eq!(world.client(&name(0)).allocate_request().code(), 486);
    let other = format!("{}:other", START.0 + 60);
    assert_eq!(world.client(&other).allocate_request().code(), 200);

    // Of one source: an address, or a /64.
    let world = world_of_source_cap(2);
    for address in ["[2001:db8:5::1]:4000", "[2001:db8:5::2]:4000"] {
        world.client_at("ann", address.parse().unwrap()).allocate();
    }
    let third = world.client_at("bob", "[2001:db8:5:0:9::3]:4000".parse().unwrap());
    assert_eq!(third.allocate_request().code(), 486);
    let elsewhere = world.client_at("bob", "[2001:db8:6::3]:4000".parse().unwrap());
    assert_eq!(elsewhere.allocate_request().code(), 200);
    // Static users and bare expiries often serve a whole site.
    let world = crate::world().secret("shared");
    for number in 0..u64::from(PerUser::AUTO) {
        world.client("ann").allocate();
        world.client(&(START.0 + 3_600 + number).to_string()).allocate();
    }
    assert_eq!(world.client("ann").allocate_request().code(), 200);
    assert_eq!(world.client(&(START.0 + 60).to_string()).allocate_request().code(), 200);
}

fn world_of_source_cap(most: u32) -> World {
    world().settings(|settings| settings.limits.allocations_per_source = Some(most))
}

#[test]
fn h19_reservations_count_and_ports_come_back() {
    let world = world()
        .ports(50_000..=50_007)
        .realm(|realm| realm.limits.allocations_per_user = PerUser::Count(6));
    let pairs: Vec<_> = (0..3)
        .map(|_| {
            let ann = world.client("ann");
            assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
            ann
        })
        .collect();
    // Three allocations and three reservations are six units and six ports.
    assert_eq!(world.client("ann").allocate_request().code(), 486);
    assert_eq!(world.client("bob").allocate_request().with(PAIR).code(), 200);
    assert_eq!(world.client("bob").allocate_request().code(), 508);
    world.advance(secs(30));
    // The reservations have run out, their ports rest but are better than none.
    assert_eq!((world.quota_units(), world.port_count(0).quarantined), (4, 4));
    let token = pairs[0].token();
    assert_eq!(world.client("ann").allocate_request().with(ReservationToken(token)).code(), 508);
    for _ in 0..4 {
        assert_eq!(world.client("bob").allocate_request().code(), 200);
    }
    assert_eq!(world.client("bob").allocate_request().code(), 508);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn h20_peers_of_a_former_owner_do_not_reach_the_next_one() {
    let world = world().ports(50_000..=50_019);
    let ann = world.client("ann").allocate().permit(PEER).bind(CHANNEL, OTHER_PEER);
    let old = ann.relayed();
    assert_eq!(ann.refresh(0).code(), 200);
    world.peer(PEER).sends(old, b"x").expect_silence();
    // Others rest first: 19 allocations, and none of them at the old port.
    let others: Vec<_> = (0..19).map(|_| world.client("bob").allocate()).collect();
    assert!(others.iter().all(|client| client.relayed() != old));
    // Where it is the last one left it is used, with nothing of what was.
    let next = world.client("bob").allocate();
    assert_eq!(next.relayed(), old);
    world.peer(PEER).sends(old, b"x").expect_dropped(DropReason::NoPermission);
    world.peer(OTHER_PEER).sends(old, b"x").expect_dropped(DropReason::NoPermission);
    next.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
}

#[test]
fn h20_port_that_has_rested_is_used_again() {
    let world = world().ports(50_000..=50_001);
    let ann = world.client("ann").allocate();
    let old = ann.relayed();
    assert_eq!(ann.refresh(0).code(), 200);
    world.advance(secs(59));
    assert_eq!(world.port_count(0).quarantined, 1);
    world.advance(secs(1));
    assert_eq!((world.port_count(0).quarantined, world.port_count(0).free), (0, 2));
    let again: HashSet<_> = (0..2).map(|_| world.client("ann").allocate().relayed()).collect();
    assert!(again.contains(&old));
}

#[test]
fn h21_nothing_of_one_message_shows_in_another() {
    let canary = b"CANARY-CANARY-CANARY-CANARY-CANARY-CANARY";
    let world = world().settings(|settings| settings.limits.challenges = None);
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    let eve = world.client("bob");
    let shows = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"CANARY");
    for len in 0..canary.len() {
        // Long things first: data, names and attributes that fill buffers.
        ann.channel_data(CHANNEL, canary).expect_at_peer(PEER, canary);
        let full = ann.ask(Method::REFRESH).raw(AttributeType::SOFTWARE, canary);
        assert_eq!(full.code(), 200);
        eve.allocate_request().raw(AttributeType::USERNAME, canary).once_unsigned();
        // Then short ones.
        let challenge = eve.allocate_request().once_unsigned().answer();
        assert!(!shows(challenge.as_bytes()));
        let data = vec![b'x'; len];
        let back = world.peer(PEER).sends(ann.relayed(), &data);
        assert!(!shows(back.frame()));
        // And lengths that claim more than there is.
        let claims = [&[0x40, 0, 0, 200][..], &data].concat();
        ann.sends(&claims).expect_silence();
    }
}

#[test]
fn h22_permissions_channels_and_peers_of_an_allocation_are_bounded() {
    let world = world().realm(|realm| realm.limits.new_peers = None);
    let ann = world.client("ann").allocate();
    let peer = |last: u8| SocketAddr::from(([11, 22, 44, last], 1_000));
    for last in 0..64 {
        ann.permit(peer(last));
    }
    assert_eq!(ann.permit_request(&[peer(64)]).code(), 508);
    assert_eq!(ann.bind_request(CHANNEL, peer(64)).code(), 508);
    for last in 0..64 {
        ann.bind(CHANNEL + u16::from(last), peer(last));
    }
    let further = SocketAddr::new(peer(0).ip(), 2_000);
    assert_eq!(ann.bind_request(CHANNEL + 64, further).code(), 508);
    assert_eq!(ann.permit_request(&[peer(3)]).code(), 200);
    assert_eq!(ann.bind_request(CHANNEL, peer(0)).code(), 200);
    // 64 peers by channel, 192 more by Send, and no further.
    let reached = (3_000..4_000)
        .filter(|port| !ann.send(SocketAddr::new(peer(1).ip(), *port), b"x").is_silent());
    assert_eq!(reached.count(), 192);
    ann.send(further, b"x").expect_dropped(DropReason::NewPeers);
}

#[test]
fn h22_port_scan_is_slowed_to_ten_a_second() {
    let world = world().realm(|realm| realm.limits.peers_per_allocation = None);
    let ann = world.client("ann").allocate().permit(PEER);
    let scan = || {
        (1..=1_000)
            .filter(|port| !ann.send(SocketAddr::new(PEER.ip(), *port), b"x").is_silent())
            .count()
    };
    assert_eq!(scan(), 64);
    let (key, realm) = ("new_peers", Some(RealmId(0)));
    let limit = Report::LimitReached { key, realm, tenant: None };
    let told = world.reports().into_iter().filter(|report| *report == limit);
    assert_eq!(told.count(), 1, "one WARN, not one a packet");
    let counted = world.counters()[0].limit_refusals().find(|(counted, _)| *counted == key);
    assert_eq!(counted, Some((key, 936)));
    // Those that were reached stay reachable; new ones come slowly.
    for second in 1..=5 {
        world.advance(secs(1));
        assert_eq!(scan(), 64 + 10 * second);
    }
    assert_eq!(ann.bind_request(CHANNEL, SocketAddr::new(PEER.ip(), 999)).code(), 508);
}

#[test]
fn h27_fresh_timestamps_do_not_evade_the_quota() {
    let world = World::new().secret("shared");
    let allocate = |name: String| world.client(&name).allocate_request().code();
    let granted = (0..100).filter(|&number| {
        let name = format!("{}:ann", START.0 + 3_600 + number);
        let code = allocate(name);
        assert!(matches!(code, 200 | 486));
        code == 200
    });
    assert_eq!(granted.count(), PerUser::AUTO as usize);
    // The other way to write it is the same user, another userid is not.
    assert_eq!(allocate(format!("ann:{}", START.0 + 60)), 486);
    assert_eq!(allocate(format!("{}:bob", START.0 + 60)), 200);
}

#[test]
fn h27_names_without_a_userid_are_one_user() {
    let world = World::new()
        .secret("shared")
        .realm(|realm| realm.limits.allocations_per_user = PerUser::Count(2));
    let allocate = |name: String| world.client(&name).allocate_request().code();
    assert_eq!(allocate((START.0 + 60).to_string()), 200);
    assert_eq!(allocate(format!("{}:", START.0 + 61)), 200);
    assert_eq!(allocate((START.0 + 62).to_string()), 486);
    assert_eq!(allocate(format!("{}:ann", START.0 + 62)), 200);
}
