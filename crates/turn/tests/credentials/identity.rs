//! Who a request is from: names, USERHASH, whose allocation it is, and what the answer tells.

use super::*;

#[test]
fn a13_userhash_stands_for_a_user_name() {
    let world = world();
    for algorithm in [KeyAlgorithm::Md5, KeyAlgorithm::Sha256] {
        let scheme = Scheme { userhash: true, ..Scheme::rfc8489(algorithm) };
        let ann = world.client("ann").with_scheme(scheme).allocate().permit(PEER);
        ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
        // The name itself may take over, since it is the same user.
        let named = ann.with_scheme(Scheme::rfc8489(algorithm));
        assert_eq!(named.refresh(600).code(), 200);
    }
    let scheme = Scheme { userhash: true, ..Scheme::BROWSER };
    assert_eq!(world.client("bob").with_scheme(scheme).allocate_request().code(), 401);
}

#[test]
fn a13_userhash_of_a_wrong_length_is_a_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    let hash = [userhash("ann", "example.org"), [0; 32]].concat();
    for len in [0, 31, 33, 64] {
        let draft = allocation(Draft::request(Method::ALLOCATE))
            .raw(AttributeType::USERHASH, &hash[..len])
            .raw(AttributeType::REALM, b"example.org")
            .raw(AttributeType::NONCE, ann.nonce().as_bytes())
            .integrity(&ann.key());
        assert_eq!(ann.sends(&draft.bytes(ID)).code(), 400, "{len} bytes");
    }
}

#[test]
fn a13_anonymity_is_not_announced_where_names_are_not_known_in_advance() {
    for world in [World::new().secret("shared"), world().secret("shared")] {
        let nonce = world.client("ann").challenged().nonce();
        assert!(nonce.starts_with("obMatJos2gAAA"), "{nonce}");
    }
}

#[test]
fn a14_names_with_control_bytes_are_nobodys() {
    let world = world().secret("shared");
    for name in
        ["ann\0", "ann\0bob", "\0ann", "ann\n", "ann\r\nroot", "a\u{1b}[31mnn", "", "\u{202e}ann"]
    {
        let client = world.client(name).with_password("secret");
        assert_eq!(client.allocate_request().code(), 401, "{name:?}");
    }
    // Nor do they pass as time-limited names, whose password fits any name.
    for userid in ["x\0", "x\n2027 ERROR", "\u{7f}"] {
        let client = world.client(&limited(600, userid));
        assert_eq!(client.allocate_request().code(), 401, "{userid:?}");
    }
    assert_eq!(world.allocations(), 0);
}

#[test]
fn a14_two_spellings_of_a_name_are_one_user() {
    // "é" as one character and as two.
    let world = World::new().user("andr\u{e9}", "p\u{e9}");
    let composed = world.client("andr\u{e9}");
    assert_eq!(composed.allocate_request().code(), 200);
    let decomposed = world.client("andre\u{301}").with_password("pe\u{301}");
    assert_eq!(decomposed.allocate_request().code(), 200);
}

#[test]
fn a15_every_error_to_who_has_authenticated_is_signed() {
    let world = world()
        .user("bob", "other")
        .ports(50_000..=50_001)
        .realm(|realm| realm.limits.allocations_per_user = PerUser::Count(1));
    let ann = world.client("ann").allocate();
    let lone = world.client("ann");
    let expect = |answer: &Answer, client: &Client, code: u16| {
        assert_eq!(answer.code(), code);
        assert!(answer.is_signed_with_sha1(&client.key()), "{code}");
    };
    expect(&ann.bind_request(1, PEER).exchange(), &ann, 400);
    expect(&ann.permit_request(&[DENIED_PEER]).exchange(), &ann, 403);
    let unknown = ann.ask(Method::REFRESH).raw(AttributeType::new(0x7abc), b"");
    expect(&unknown.exchange(), &ann, 420);
    expect(&ann.allocate_request().exchange(), &ann, 437);
    expect(&lone.ask(Method::REFRESH).exchange(), &lone, 437);
    expect(&ann.permit_request(&[PEER6]).exchange(), &ann, 443);
    let six = RequestedAddressFamily(AddressFamily::Ipv6);
    expect(&ann.ask(Method::REFRESH).with(six).exchange(), &ann, 443);
    let tcp = lone.ask(Method::ALLOCATE).with(RequestedTransport::TCP);
    expect(&tcp.exchange(), &lone, 442);
    let odd = lone.allocate_request().raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[9, 0, 0, 0]);
    expect(&odd.exchange(), &lone, 440);
    expect(&lone.allocate_request().exchange(), &lone, 486);
    let bad_token = lone.allocate_request().raw(AttributeType::RESERVATION_TOKEN, &[9; 8]);
    expect(&bad_token.exchange(), &lone, 508);
    let bob = ann.renamed("bob");
    expect(&bob.ask(Method::REFRESH).exchange(), &bob, 441);
}

#[test]
fn a16_nobody_is_sent_elsewhere_before_having_authenticated() {
    let world = world();
    let eve = world.client("ann").with_password("wrong").challenged();
    for method in METHODS {
        let bare = eve.ask(method).once_unsigned().code();
        let forged = eve.ask(method).once().code();
        let half = Draft::request(method).integrity(&eve.key()).bytes(ID);
        assert_eq!((bare, forged, eve.sends(&half).code()), (401, 401, 400));
        world.advance(secs(60));
    }
}

#[test]
fn a17_neither_passwords_nor_keys_show_in_debug_output() {
    let world = World::new().user("ann", "hunter2").secret("hunter3");
    let ann = world.client("ann").allocate();
    let limited = world.client(&limited(600, "x")).allocate();
    let shown = world.debug_output();
    assert!(!shown.contains("hunter"));
    for key in [ann.key(), limited.key()] {
        let bytes = format!("{:?}", key.as_bytes());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "a key shows");
    }
    assert!(shown.contains("LongTermKey(..)"));
}

#[test]
fn a18_credentials_of_somebody_else_on_a_live_allocation_are_a_441() {
    let world = world().user("bob", "other");
    let ann = world.client("ann").allocate().permit(PEER).bind(CHANNEL, OTHER_PEER);
    let bob = ann.renamed("bob");
    assert_eq!(bob.ask(Method::REFRESH).with(Lifetime(0)).code(), 441);
    assert_eq!(bob.permit_request(&[OTHER_PEER]).code(), 441);
    assert_eq!(bob.bind_request(CHANNEL, OTHER_PEER).code(), 441);
    assert_eq!(bob.allocate_request().code(), 437);
    // Only after they have proven to be bob: otherwise 401, whatever the name.
    let eve = bob.with_password("wrong");
    assert_eq!(eve.ask(Method::REFRESH).with(Lifetime(0)).code(), 401);
    let ann = eve.renamed("ann");
    ann.send(PEER, b"still here").expect_at_peer(PEER, b"still here");
    assert_eq!(ann.refresh(600).code(), 200);
}

#[test]
fn a19_without_an_allocation_requests_get_437_and_the_rest_silence() {
    let world = world();
    let ann = world.client("ann").challenged();
    assert_eq!(ann.refresh(600).code(), 437);
    assert_eq!(ann.refresh(0).code(), 437);
    assert_eq!(ann.permit_request(&[PEER]).code(), 437);
    assert_eq!(ann.bind_request(CHANNEL, PEER).code(), 437);
    ann.send(PEER, b"x").expect_dropped(DropReason::NoAllocation);
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoAllocation);
    // An expired allocation is none, also before it is swept.
    let ann = ann.allocate().permit(PEER).bind(CHANNEL, OTHER_PEER);
    world.advance_without_sweep(secs(600));
    assert_eq!(ann.refresh(600).code(), 437);
    ann.send(PEER, b"x").expect_dropped(DropReason::NoAllocation);
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoAllocation);
}

#[test]
fn a20_unauthenticated_packets_pin_neither_realm_nor_origin() {
    let world = world();
    let ann = world.client("ann");
    let origin = AttributeType::new(0x802f);
    let answer = ann
        .allocate_request()
        .raw(origin, b"https://evil.example")
        .raw(AttributeType::REALM, b"evil.example")
        .raw(AttributeType::USERNAME, b"eve")
        .once_unsigned()
        .answer();
    assert_eq!((answer.code(), answer.realm()), (401, Some("example.org")));
    // A realm of one's own is no way in either, with integrity that fits it.
    let challenged = ann.challenged();
    let key = turn_credentials::LongTermKey::md5("ann", "evil.example", "secret");
    let foreign = allocation(Draft::request(Method::ALLOCATE))
        .raw(AttributeType::USERNAME, b"ann")
        .raw(AttributeType::REALM, b"evil.example")
        .raw(AttributeType::NONCE, challenged.nonce().as_bytes())
        .integrity(&key);
    let answer = ann.sends(&foreign.bytes(ID)).answer();
    assert_eq!((answer.code(), answer.realm()), (401, Some("example.org")));
    // And the same 5-tuple is as good as before.
    assert_eq!(ann.allocate_request().code(), 200);
}

#[test]
fn a18_allocation_of_a_user_stays_theirs_when_a_reload_opens_the_realm() {
    let world = world();
    let ann = world.client("ann").allocate();
    world.reload(|setup| setup.realm().anonymous = true);
    assert_eq!(ann.refresh(600).code(), 200);
    ann.permit(PEER).send(PEER, b"x").expect_at_peer(PEER, b"x");
    assert_eq!(ann.ask(Method::REFRESH).with(Lifetime(0)).once_unsigned().code(), 401);
    assert_eq!(world.allocations(), 1);
    assert_eq!(world.client("eve").allocate_request().once_unsigned().code(), 200);
}

#[test]
fn anonymous_realm_serves_everybody_without_credentials() {
    let world = World::new().realm(|realm| realm.anonymous = true);
    let answer = world.client("").allocate_request().once_unsigned().answer();
    assert_eq!(answer.code(), 200);
    assert!(!answer.is_signed());
}

#[test]
fn reports_name_who_made_an_allocation() {
    let world = world();
    let ann = world.client("ann").allocate();
    ann.refresh(0);
    let reports = world.reports();
    let users: Vec<_> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Created { user, .. } | Report::Ended { user, .. } => Some(&**user),
            Report::AuthFailed { .. }
            | Report::Refused { .. }
            | Report::LimitReached { .. }
            | Report::PeerDenied { .. } => None,
        })
        .collect();
    assert_eq!(users, ["ann", "ann"]);
}
