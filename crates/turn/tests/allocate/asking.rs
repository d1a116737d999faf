//! What an Allocate request may say, and what the answer has (RFC 8656 sections 7.1 to 7.3).

use super::*;

#[test]
fn t1_new_transaction_on_a_five_tuple_in_use_is_a_437() {
    let world = world();
    let ann = world.client("ann").allocate();
    assert_eq!(ann.allocate_request().code(), 437);
    assert_eq!((world.allocations(), world.quota_units()), (1, 1));
    // Once it is over, the 5-tuple is free, also before the sweep.
    world.advance_without_sweep(secs(600));
    assert_eq!(ann.allocate_request().code(), 200);
    world.advance(secs(0));
    assert_eq!((world.allocations(), world.quota_units()), (1, 1));
}

#[test]
fn t1_retransmit_gets_the_same_success_and_takes_nothing_more() {
    let world = world().ports(50_000..=50_003);
    let ann = world.client("ann");
    let request = ann.allocate_request().with(PAIR).signed();
    let first = ann.sends(&request).answer();
    assert_eq!(first.code(), 200);
    world.advance(secs(7));
    let again = ann.sends(&request).answer();
    assert_eq!((again.code(), again.relayed()), (200, first.relayed()));
    assert_eq!((again.token(), again.lifetime()), (first.token(), Some(593)));
    assert_eq!((world.quota_units(), world.port_count(0).free), (2, 2));
}

#[test]
fn t1_retransmit_keeps_the_address_error() {
    let world = world().relays(&[RELAY4]);
    let ann = world.client("ann");
    let request = ann.allocate_request().with(AdditionalAddressFamily(IPV6)).signed();
    let first = ann.sends(&request).answer();
    assert_eq!(address_error(&first), Some((IPV6, 440)));
    assert_eq!(ann.sends(&request).answer().as_bytes(), first.as_bytes());
}

#[test]
fn t1_retransmit_while_the_socket_opens_is_answered_once() {
    let world = world();
    let ann = world.client("ann").challenged();
    let request = ann.allocate_request().signed();
    world.hold_completions();
    ann.sends(&request).expect_silence();
    ann.sends(&request).expect_silence();
    assert_eq!(world.release_completions().code(), 200);
    assert_eq!((world.allocations(), world.quota_units()), (1, 1));
}

#[test]
fn t2_transport_is_required_and_only_udp_is_relayed() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.ask(Method::ALLOCATE).code(), 400);
    for len in [0, 1, 3, 5, 8] {
        let odd = ann.ask(Method::ALLOCATE);
        let odd = odd.raw(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0, 0, 0, 0, 0][..len]);
        assert_eq!(odd.code(), 400, "{len} bytes");
    }
    for protocol in [0, 1, 6, 16, 18, 132, 255] {
        let other = ann.ask(Method::ALLOCATE).with(RequestedTransport { protocol });
        assert_eq!(other.code(), 442, "protocol {protocol}");
    }
    assert_eq!(ann.allocate_request().code(), 200);
}

#[test]
fn t3_dont_fragment_is_supported_and_honoured_on_send_only() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.allocate_request().with(DontFragment).code(), 200);
    let ann = ann.permit(PEER).bind(CHANNEL, OTHER_PEER);
    assert!(!ann.send(PEER, b"x").dont_fragment());
    let send = Client::send_indication()
        .with(turn_codec::attribute::XorPeerAddress(PEER))
        .with(DontFragment)
        .raw(AttributeType::DATA, b"x");
    assert!(ann.indicate(send).dont_fragment());
    assert!(!ann.channel_data(CHANNEL, b"x").dont_fragment());
}

#[test]
fn t4_token_beside_what_it_excludes_is_a_400() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
    let token = ann.token();
    let other = || world.client("ann").allocate_request().with(ReservationToken(token));
    assert_eq!(other().with(EvenPort { reserve: false }).code(), 400);
    assert_eq!(other().with(PAIR).code(), 400);
    assert_eq!(other().with(RequestedAddressFamily(IPV4)).code(), 400);
    assert_eq!(other().with(AdditionalAddressFamily(IPV6)).code(), 400);
    for len in [0, 7, 9] {
        let odd = world.client("ann").allocate_request();
        assert_eq!(odd.raw(AttributeType::RESERVATION_TOKEN, &[7; 9][..len]).code(), 400);
    }
    // None of this has used the token up.
    assert_eq!(other().code(), 200);
}

#[test]
fn t4_token_that_is_not_good_is_a_508() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
    let token = ann.token();
    let mut guessed = token;
    guessed[7] ^= 1;
    assert_eq!(claim(&world.client("ann"), guessed), 508);
    assert_eq!(claim(&world.client("bob"), token), 508, "somebody else's");
    assert_eq!(claim(&world.client("ann"), token), 200);
    assert_eq!(claim(&world.client("ann"), token), 508, "used before");

    let late = world.client("ann");
    assert_eq!(late.allocate_request().with(PAIR).code(), 200);
    world.advance_without_sweep(secs(30));
    assert_eq!(claim(&world.client("ann"), late.token()), 508, "expired");
}

#[test]
fn t5_families_that_contradict_each_other_are_a_400() {
    let world = world();
    let ann = world.client("ann");
    let additional = |family| ann.allocate_request().with(AdditionalAddressFamily(family));
    assert_eq!(additional(IPV6).with(RequestedAddressFamily(IPV4)).code(), 400);
    assert_eq!(additional(IPV6).with(RequestedAddressFamily(IPV6)).code(), 400);
    assert_eq!(additional(IPV4).code(), 400);
    assert_eq!(additional(IPV6).with(PAIR).code(), 400);
    // R = 0 is no contradiction: both ports are even.
    let even = additional(IPV6).with(EvenPort { reserve: false }).exchange();
    assert_eq!(even.code(), 200);
    let relayed = even.relayed();
    assert_eq!(relayed.len(), 2);
    assert!(relayed.iter().all(|address| address.port() % 2 == 0));
}

#[test]
fn t6_family_that_is_not_relayed_is_a_440() {
    let world = world().relays(&[RELAY4]);
    let ann = world.client("ann");
    let requested = |family| ann.allocate_request().with(RequestedAddressFamily(family));
    assert_eq!(requested(IPV6).code(), 440);
    for unknown in [0, 3, 255] {
        let kind = AttributeType::REQUESTED_ADDRESS_FAMILY;
        let odd = ann.allocate_request().raw(kind, &[unknown, 0, 0, 0]);
        assert_eq!(odd.code(), 440, "family {unknown}");
    }
    let kind = AttributeType::REQUESTED_ADDRESS_FAMILY;
    assert_eq!(ann.allocate_request().raw(kind, &[1]).code(), 400);
    assert_eq!(requested(IPV4).code(), 200);
}

#[test]
fn t6_family_that_is_not_named_is_the_default_one() {
    let granted = |relays: &[IpAddr], default_family, client: &str| {
        let world = world().relays(relays);
        let world = world.realm(|realm| realm.default_family = default_family);
        let answer = world.client_at("ann", client.parse().unwrap()).allocate_request().exchange();
        match answer.relayed().first() {
            Some(SocketAddr::V4(_)) => 4,
            Some(SocketAddr::V6(_)) => 6,
            None => answer.code(),
        }
    };
    let (v4, v6) = ("192.0.2.1:4000", "[2001:db8:1::1]:4000");
    let both = [RELAY4, RELAY6];
    for client in [v4, v6] {
        assert_eq!(granted(&both, DefaultFamily::Unwritten, client), 4);
        assert_eq!(granted(&[RELAY6], DefaultFamily::Unwritten, client), 6);
        assert_eq!(granted(&both, DefaultFamily::Ipv4, client), 4);
        assert_eq!(granted(&[RELAY6], DefaultFamily::Ipv4, client), 440);
        assert_eq!(granted(&both, DefaultFamily::Ipv6, client), 6);
        assert_eq!(granted(&[RELAY4], DefaultFamily::Ipv6, client), 440);
    }
    assert_eq!(granted(&both, DefaultFamily::Client, v4), 4);
    assert_eq!(granted(&both, DefaultFamily::Client, v6), 6);
    assert_eq!(granted(&[RELAY4], DefaultFamily::Client, v6), 440);
}

#[test]
fn t7_dual_request_gets_both_families() {
    let world = world();
    let ann = world.client("ann");
    let answer = dual(&ann);
    let families: Vec<_> = answer.relayed().iter().map(AddressFamily::of).collect();
    assert_eq!((families, address_error(&answer)), (vec![IPV4, IPV6], None));
    assert_eq!(world.quota_units(), 1);
    let ann = ann.permit(PEER).permit(PEER6);
    ann.send(PEER, b"four").expect_at_peer(PEER, b"four");
    ann.send(PEER6, b"six").expect_at_peer(PEER6, b"six");
}

#[test]
fn t7_half_of_a_dual_request_names_the_other_half() {
    // A family that is not there at all.
    for (there, missing) in [(RELAY4, IPV6), (RELAY6, IPV4)] {
        let world = world().relays(&[there]);
        let answer = dual(&world.client("ann"));
        assert_eq!((answer.code(), address_error(&answer)), (200, Some((missing, 440))));
        assert_eq!(answer.relayed().len(), 1);
    }
    // A family that has no port left.
    for (family, first) in [(IPV4, IPV4), (IPV6, IPV6)] {
        let world = world().ports(50_000..=50_000);
        let other = world.client("ann").allocate_request().with(RequestedAddressFamily(first));
        assert_eq!(other.code(), 200);
        let answer = dual(&world.client("ann"));
        assert_eq!((answer.code(), address_error(&answer)), (200, Some((family, 508))));
    }
    // No family at all.
    let world = world().ports(50_000..=50_000);
    assert_eq!(dual(&world.client("ann")).code(), 200);
    let answer = dual(&world.client("ann"));
    assert_eq!((answer.code(), address_error(&answer)), (508, None));
    assert_eq!(world.quota_units(), 1);
}

#[test]
fn t8_even_port_without_reservation_reserves_nothing() {
    let world = world();
    for _ in 0..20 {
        let ann = world.client("ann");
        let answer = ann.allocate_request().with(EvenPort { reserve: false }).exchange();
        assert_eq!((answer.code(), answer.token()), (200, None));
        assert_eq!(ann.relayed().port() % 2, 0);
    }
    assert_eq!((world.port_count(0).live, world.port_count(0).held), (20, 0));
}

#[test]
fn t8_reserved_port_is_the_next_one_and_is_held_for_30_seconds() {
    let world = world();
    let ann = world.client("ann");
    assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
    assert_eq!((world.port_count(0).held, world.quota_units()), (1, 2));
    world.advance(secs(29));
    let second = world.client("ann");
    assert_eq!(claim(&second, ann.token()), 200);
    let next = SocketAddr::new(ann.relayed().ip(), ann.relayed().port() + 1);
    assert_eq!((ann.relayed().port() % 2, second.relayed()), (0, next));
    second.permit(PEER).send(PEER, b"rtcp").expect_at_peer(PEER, b"rtcp");

    let wasted = world.client("ann");
    assert_eq!(wasted.allocate_request().with(PAIR).code(), 200);
    world.advance(secs(30));
    let count = world.port_count(0);
    assert_eq!((count.live, count.held, count.quarantined), (3, 0, 1));
    assert_eq!(world.quota_units(), 3);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn t8_tokens_cannot_be_guessed_from_one_another() {
    let world = world();
    let mut tokens = HashSet::new();
    for _ in 0..50 {
        let ann = world.client("ann");
        assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
        let [_, random @ ..] = ann.token();
        assert!(tokens.insert(random));
    }
    // No byte of the seven stands still.
    for at in 0..7 {
        let values: HashSet<u8> = tokens.iter().map(|token| token[at]).collect();
        assert!(values.len() > 25, "byte {at} takes {} values", values.len());
    }
}

#[test]
fn t9_ports_are_in_the_range_and_in_no_order() {
    let range = 49_152..=65_535;
    let mut sequences = HashSet::new();
    for seed in [1, 2] {
        let world = world().ports(range.clone()).seed(seed);
        let ports: Vec<u16> =
            (0..200).map(|_| world.client("ann").allocate().relayed().port()).collect();
        assert!(ports.iter().all(|port| range.contains(port)));
        let distinct: HashSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
        let neighbours = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(neighbours < 10, "{neighbours} of 199 lie beside the one before");
        assert!(sequences.insert(ports), "the same ports with other randomness");
    }
}

#[test]
fn t12_success_has_all_that_the_rfc_names_and_is_signed() {
    let world = world();
    let plain = [
        AttributeType::XOR_RELAYED_ADDRESS,
        AttributeType::LIFETIME,
        AttributeType::XOR_MAPPED_ADDRESS,
    ];
    let ann = world.client("ann");
    let answer = ann.allocate_request().exchange();
    assert_eq!((answer.code(), answer.kinds()), (200, plain.to_vec()));
    assert!(answer.is_signed_with_sha1(&ann.key()));
    assert_eq!(answer.get(), Some(XorMappedAddress(ann.address())));
    assert_eq!(answer.relayed()[0].ip(), RELAY4);

    let answer = world.client("ann").allocate_request().with(PAIR).exchange();
    let with_token = [&plain[..], &[AttributeType::RESERVATION_TOKEN]].concat();
    assert_eq!(answer.kinds(), with_token);
}

#[test]
fn t12_relayed_address_is_the_advertised_one() {
    let public: IpAddr = "203.0.113.7".parse().unwrap();
    let world = world().external(RELAY4, public);
    let ann = world.client("ann").allocate().permit(PEER);
    assert_eq!(ann.relayed().ip(), public);
    ann.send(PEER, b"out").expect_at_peer(PEER, b"out");
    world.peer(PEER).sends(ann.relayed(), b"in").expect_indication(&ann, PEER, b"in");
}

#[test]
fn t14_tunnelled_addresses_are_refused_as_client_and_as_peer() {
    let world = world();
    for tunnelled in ["[2001::1]:4000", "[2001:0:1:2::3]:4000", "[2002:808:808::1]:4000"] {
        let tunnelled: SocketAddr = tunnelled.parse().unwrap();
        assert_eq!(world.client_at("ann", tunnelled).allocate_request().code(), 403);
        let ann = world.client("ann");
        assert_eq!(dual(&ann).code(), 200);
        assert_eq!(ann.permit_request(&[tunnelled]).code(), 403);
        assert_eq!(ann.bind_request(CHANNEL, tunnelled).code(), 403);
        ann.send(tunnelled, b"x").expect_dropped(DropReason::NoPermission);
    }
}
