//! 401 and 438: realm, nonce, and what proves an address (RFC 8489 sections 9.2.1 to 9.2.4).

use super::*;

#[test]
fn a1_request_without_integrity_is_challenged_with_realm_and_nonce_alone() {
    let world = world();
    for method in METHODS {
        let answer = world.client("ann").ask(method).once_unsigned().answer();
        let expected = [
            AttributeType::ERROR_CODE,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS,
        ];
        assert_eq!((answer.code(), answer.kinds()), (401, expected.to_vec()));
        assert_eq!(answer.realm(), Some("example.org"));
        assert!(!answer.is_signed());
    }
    // USERNAME without integrity changes nothing.
    let named = world.client("ann").allocate_request().raw(AttributeType::USERNAME, b"ann");
    assert_eq!(named.once_unsigned().code(), 401);
}

#[test]
fn a2_nonce_of_one_source_is_worth_nothing_at_another() {
    let world = world();
    let ann = world.client("ann").challenged();
    let mut nonces = HashSet::from([ann.nonce()]);
    let here = ann.address();
    let others = [
        SocketAddr::new(here.ip(), here.port() + 1_000),
        SocketAddr::from(([192, 0, 2, 200], here.port())),
        "[2001:db8::1]:40000".parse().unwrap(),
    ];
    let request = ann.allocate_request().signed();
    for other in others {
        let answer = world.from_client(other, &request).answer();
        assert_eq!(answer.code(), 438, "{other}");
        assert!(nonces.insert(answer.nonce().unwrap().to_owned()), "a nonce issued twice");
    }
    assert_eq!(ann.sends(&request).code(), 200);
}

#[test]
fn a2_nonce_of_a_connection_serves_the_same_host_from_any_port_and_no_other() {
    let world = world();
    let ann = world.client("ann").over(Transport::Tcp).challenged();
    let request = ann.allocate_request().signed();
    let from = |transport, client| {
        let tuple = FiveTuple { transport, client, ..ann.tuple() };
        world.from_tuple(tuple, &request).answer().code()
    };
    let here = ann.address();
    let elsewhere = SocketAddr::from(([192, 0, 2, 200], here.port()));
    assert_eq!(from(Transport::Tcp, elsewhere), 438);
    // Over UDP an address is a transport address.
    assert_eq!(from(Transport::Udp, here), 438);
    // A data connection (RFC 6062) is challenged for nothing.
    let beside = SocketAddr::new(here.ip(), here.port() + 1_000);
    assert_eq!(from(Transport::Tls, beside), 200);
}

#[test]
fn a3_integrity_without_username_realm_or_nonce_is_a_bare_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    let (key, nonce) = (ann.key(), ann.nonce());
    let credentials = [
        (AttributeType::USERNAME, "ann"),
        (AttributeType::REALM, "example.org"),
        (AttributeType::NONCE, &*nonce),
    ];
    for (missing, _) in credentials {
        let present = credentials.iter().filter(|(kind, _)| *kind != missing);
        let draft = allocation(Draft::request(Method::ALLOCATE));
        let draft = present.fold(draft, |draft, (kind, text)| draft.raw(*kind, text.as_bytes()));
        let answer = ann.sends(&draft.integrity(&key).bytes(ID)).answer();
        assert_eq!((answer.code(), answer.kinds()), (400, vec![AttributeType::ERROR_CODE]));
        assert!(!answer.is_signed());
    }
}

#[test]
fn a4_unknown_user_gets_the_same_answer_as_a_wrong_password() {
    let world = world().secret("shared");
    let shape = |client: &Client| {
        let answer = client.allocate_request().exchange();
        (answer.code(), answer.kinds(), answer.as_bytes().len())
    };
    let wrong = shape(&world.client("ann").with_password("wrong"));
    assert_eq!(wrong.0, 401);
    for name in ["bob", "an", "ann ", "ANN", &limited(600, "x"), &limited(0, "x"), "12345"] {
        assert_eq!(shape(&world.client(name).with_password("wrong")), wrong, "{name}");
    }
}

#[test]
fn a4_integrity_of_a_wrong_length_tells_nothing_of_the_user() {
    let world = world();
    let answer = |name: &str| {
        let client = world.client(name).challenged();
        let draft = allocation(client.credentials(Method::ALLOCATE))
            .raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &[7; 16]);
        let answer = client.sends(&draft.bytes(ID)).answer();
        (answer.code(), answer.kinds(), answer.as_bytes().len())
    };
    assert_eq!(answer("ann"), answer("bob"));
}

#[test]
fn a5_wrong_integrity_is_challenged_again() {
    let world = world();
    let answer = world.client("ann").with_password("wrong").allocate_request().exchange();
    assert_eq!(answer.code(), 401);
    assert!(answer.realm().is_some() && answer.nonce().is_some());
    assert!(!answer.has(AttributeType::USERNAME) && !answer.is_signed());
    assert_eq!(world.allocations(), 0);
}

#[test]
fn a6_aged_nonce_is_a_438_whose_nonce_works() {
    let world = world();
    let ann = world.client("ann").challenged();
    let request = ann.allocate_request().signed();
    world.advance(secs(600));
    let stale = ann.sends(&request).answer();
    assert_eq!(stale.code(), 438);
    assert_eq!(stale.realm(), Some("example.org"));
    assert!(stale.has(AttributeType::PASSWORD_ALGORITHMS));
    assert_ne!(stale.nonce(), Some(&*ann.nonce()));
    // The exchange takes the new nonce and succeeds.
    assert_eq!(ann.allocate_request().code(), 200);
}

#[test]
fn a6_invented_nonce_is_a_438() {
    let world = world();
    let ann = world.client("ann").challenged();
    for nonce in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAA", "obMatJos2gAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let draft = allocation(Draft::request(Method::ALLOCATE))
            .raw(AttributeType::USERNAME, b"ann")
            .raw(AttributeType::REALM, b"example.org")
            .raw(AttributeType::NONCE, nonce.as_bytes())
            .integrity(&ann.key());
        assert_eq!(ann.sends(&draft.bytes(ID)).code(), 438, "{nonce:?}");
    }
}

#[test]
fn a6_nonce_of_one_shard_is_good_at_every_other() {
    let world = world().shards(4);
    let ann = world.client("ann").challenged();
    let mut shards = HashSet::new();
    for port in 5_000..5_064 {
        let there = ann.clone().to_server(SocketAddr::from(([198, 51, 100, 1], port)));
        if shards.insert(there.shard()) {
            assert_eq!(there.allocate_request().once().code(), 200);
        }
    }
    assert_eq!(shards.len(), 4);
}

#[test]
fn a7_nonce_has_a_mac_of_112_bits_and_any_change_is_found() {
    let world = world();
    let ann = world.client("ann").challenged();
    let nonce = ann.nonce();
    // 13 characters of cookie, 24 of base64: four bytes of time, fourteen of MAC.
    assert_eq!(nonce.len(), 37);
    for at in 0..nonce.len() {
        let mut changed = nonce.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let draft = allocation(Draft::request(Method::ALLOCATE))
            .raw(AttributeType::USERNAME, b"ann")
            .raw(AttributeType::REALM, b"example.org")
            .raw(AttributeType::NONCE, &changed)
            .integrity(&ann.key());
        world.advance(secs(1));
        assert_eq!(ann.sends(&draft.bytes(ID)).code(), 438, "character {at}");
    }
    assert_eq!(ann.allocate_request().once().code(), 200);
}

#[test]
fn a7_nonces_of_one_second_and_of_two_processes_differ() {
    let mut nonces = HashSet::new();
    for seed in 1..=2 {
        let world = world().seed(seed);
        for _ in 0..500 {
            assert!(nonces.insert(world.client("ann").challenged().nonce()));
        }
    }
    assert!(Settings::default().nonce_lifetime <= secs(3_600));
}

#[test]
fn a8_nonce_begins_with_the_cookie_where_rfc_8489_is_offered() {
    // Bit 0: password algorithms, bit 1: user name anonymity.
    let both = world().client("ann").challenged().nonce();
    assert!(both.starts_with("obMatJos2wAAA"), "{both}");
    let algorithms = world().secret("shared").client("ann").challenged().nonce();
    assert!(algorithms.starts_with("obMatJos2gAAA"), "{algorithms}");
    let none = World::new().user_with_key("ann", "secret", KeyAlgorithm::Md5);
    let nonce = none.client("ann").challenged().nonce();
    assert!(!nonce.starts_with("obMatJos2"), "{nonce}");
}
