//! Long-term credentials at the engine (RFC 8489 section 9.2), time-limited names, and
//! what a live allocation outlives.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::attribute::{
    Lifetime, PasswordAlgorithm, PasswordAlgorithmId, PasswordAlgorithms, RequestedAddressFamily,
    RequestedTransport,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_credentials::{KeyAlgorithm, UnixSeconds, userhash};
use turn_engine::{DropReason, FiveTuple, PerUser, Report, Settings, TimeLimitedRules, Transport};
use turn_testkit::{
    Answer, CHANNEL, Client, DENIED_PEER, Draft, OTHER_PEER, PEER, PEER6, START, Scheme, World,
    secs,
};

const ID: [u8; 12] = *b"a request id";
const METHODS: [Method; 4] =
    [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];

fn world() -> World {
    World::new().user("ann", "secret")
}

/// A name of the shared secret that ends after so many seconds.
fn limited(seconds: u64, userid: &str) -> String {
    format!("{}:{userid}", START.0 + seconds)
}

fn allocation(draft: Draft) -> Draft {
    draft.with(RequestedTransport::UDP)
}

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

#[test]
fn a9_half_or_changed_password_algorithms_are_a_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    let key = ann.key();
    let offered = PasswordAlgorithms::SHA256_MD5;
    let answer = |list: Option<PasswordAlgorithms<'static>>, choice: Option<u16>| {
        let mut draft = allocation(ann.credentials(Method::ALLOCATE));
        if let Some(list) = list {
            draft = draft.with(list);
        }
        if let Some(choice) = choice {
            draft = draft.with(PasswordAlgorithm::bare(PasswordAlgorithmId(choice)));
        }
        ann.sends(&draft.integrity(&key).bytes(ID)).answer()
    };
    let md5 = Some(1);
    assert_eq!(answer(Some(offered), None).code(), 400);
    assert_eq!(answer(None, md5).code(), 400);
    // Somebody on the way took SHA-256 out, or turned the order.
    let shortened = {
        let draft = allocation(ann.credentials(Method::ALLOCATE))
            .raw(AttributeType::PASSWORD_ALGORITHMS, &[0, 1, 0, 0])
            .with(PasswordAlgorithm::bare(PasswordAlgorithmId::MD5));
        ann.sends(&draft.integrity(&key).bytes(ID)).answer()
    };
    assert_eq!(shortened.code(), 400);
    assert_eq!(answer(Some(PasswordAlgorithms::MD5_SHA256), md5).code(), 400);
    for unoffered in [0, 3, 0xffff] {
        let refused = answer(Some(offered), Some(unoffered));
        assert_eq!((refused.code(), refused.kinds().len()), (400, 1), "{unoffered}");
    }
    assert_eq!(world.allocations(), 0);
    // Neither of the two is MD5, and the choice of MD5 is a choice.
    assert_eq!(answer(None, None).code(), 200);
    let bob = world.client("ann");
    let scheme = Scheme { algorithm: Some(KeyAlgorithm::Md5), ..Scheme::BROWSER };
    assert_eq!(bob.with_scheme(scheme).allocate_request().code(), 200);
}

#[test]
fn a9_reload_that_withdraws_the_offer_does_not_break_who_was_offered() {
    let world = world();
    let ann = world.client("ann").with_scheme(Scheme::rfc8489(KeyAlgorithm::Sha256)).allocate();
    world.reload(|setup| setup.add_user("bob", "other", Some(KeyAlgorithm::Md5)));
    assert_eq!(ann.refresh(600).code(), 200);
}

#[test]
fn a10_key_algorithm_and_integrity_attribute_are_independent() {
    let world = world();
    for algorithm in [KeyAlgorithm::Md5, KeyAlgorithm::Sha256] {
        for (sha1, sha256) in [(true, false), (false, true), (true, true)] {
            let scheme = Scheme { algorithm: Some(algorithm), sha1, sha256, ..Scheme::BROWSER };
            let ann = world.client("ann").with_scheme(scheme).allocate().permit(PEER);
            let key = ann.key();
            assert_eq!(key.as_bytes().len(), algorithm.key_len());
            // Success and error alike, each with the one attribute that decided.
            for answer in [ann.refresh(600), ann.bind_request(1, PEER).exchange()] {
                assert_eq!(answer.is_signed_with_sha256(&key), sha256, "{scheme:?}");
                assert_eq!(answer.is_signed_with_sha1(&key), !sha256, "{scheme:?}");
            }
        }
    }
}

#[test]
fn a10b_sha256_is_offered_only_where_every_credential_yields_it() {
    let offers = |world: World| {
        let answer = world.client("ann").allocate_request().once_unsigned().answer();
        answer.get::<PasswordAlgorithms<'_>>().map(|list| list.as_bytes().to_vec())
    };
    let both = PasswordAlgorithms::SHA256_MD5.as_bytes().to_vec();
    assert_eq!(offers(world()), Some(both.clone()));
    assert_eq!(offers(World::new().secret("shared")), Some(both.clone()));
    assert_eq!(offers(world().user_with_key("bob", "x", KeyAlgorithm::Sha256)), Some(both));
    assert_eq!(offers(world().user_with_key("bob", "x", KeyAlgorithm::Md5)), None);
    assert_eq!(offers(World::new()), None);
}

#[test]
fn a10b_users_with_one_key_are_served_by_its_algorithm_alone() {
    let world = World::new().user_with_key("ann", "secret", KeyAlgorithm::Md5);
    assert_eq!(world.client("ann").allocate_request().code(), 200);
    let world = World::new().user_with_key("ann", "secret", KeyAlgorithm::Sha256);
    assert_eq!(world.client("ann").allocate_request().code(), 401);
    let scheme = Scheme::rfc8489(KeyAlgorithm::Sha256);
    assert_eq!(world.client("ann").with_scheme(scheme).allocate_request().code(), 200);
}

#[test]
fn a11_truncated_sha256_integrity_is_a_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    for len in [0, 12, 15, 16, 17, 20, 24, 28, 31, 33, 36] {
        let draft = allocation(ann.credentials(Method::ALLOCATE))
            .raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &vec![7; len]);
        assert_eq!(ann.sends(&draft.bytes(ID)).code(), 400, "{len} bytes");
    }
    // The right value, cut: the first 16 bytes of a whole one.
    let whole =
        allocation(ann.credentials(Method::ALLOCATE)).integrity_sha256(&ann.key()).bytes(ID);
    let value = whole[whole.len() - 32..].to_vec();
    let cut = allocation(ann.credentials(Method::ALLOCATE))
        .raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &value[..16]);
    assert_eq!(ann.sends(&cut.bytes(ID)).code(), 400);
    assert_eq!(ann.sends(&whole).code(), 200);
}

#[test]
fn a12_of_two_integrity_attributes_sha256_decides() {
    let world = world();
    let ann = world.client("ann").challenged();
    let eve = world.client("ann").with_password("wrong").key();
    let draft = || allocation(ann.credentials(Method::ALLOCATE));
    let bad = draft().integrity(&ann.key()).integrity_sha256(&eve);
    assert_eq!(ann.sends(&bad.bytes(ID)).code(), 401);
    let good = draft().integrity(&eve).integrity_sha256(&ann.key());
    let answer = ann.sends(&good.bytes(ID)).answer();
    assert_eq!(answer.code(), 200);
    assert!(answer.is_signed_with_sha256(&ann.key()) && !answer.message().has_integrity());
}

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
fn live_allocation_outlives_its_expired_credential() {
    let world = World::new().secret("shared");
    let ann = world.client(&limited(30, "ann")).allocate();
    // Past the expiry and its grace of 300 s.
    for _ in 0..4 {
        world.advance(secs(500));
        assert_eq!(ann.refresh(600).code(), 200);
        ann.permit(PEER).bind(CHANNEL, OTHER_PEER);
        ann.channel_data(CHANNEL, b"x").expect_at_peer(OTHER_PEER, b"x");
    }
    // Nothing new is to be had with it.
    assert_eq!(world.client(&limited(30, "ann")).allocate_request().code(), 401);
    ann.refresh(0);
    assert_eq!(ann.allocate_request().code(), 401);
}

#[test]
fn live_allocation_outlives_its_rotated_secret_and_its_deleted_user() {
    let world = world().secret("old");
    let ann = world.client("ann").allocate();
    let limited_client = world.client(&limited(3_600, "x")).allocate();
    world.reload(|setup| {
        setup.clear_users();
        setup.set_secrets(&["new"]);
    });
    for client in [&ann, &limited_client] {
        assert_eq!(client.refresh(600).code(), 200);
        client.permit(PEER).bind(CHANNEL, OTHER_PEER);
    }
    assert_eq!(world.client("ann").with_password("secret").allocate_request().code(), 401);
    assert_eq!(world.client(&limited(3_600, "x")).allocate_request().code(), 200);
}

#[test]
fn both_secrets_serve_while_they_rotate() {
    let world = World::new().secret("old");
    let old = world.client(&limited(3_600, "x"));
    world.reload(|setup| setup.set_secrets(&["new", "old"]));
    let new = world.client(&limited(3_600, "x"));
    assert_eq!(old.allocate_request().code(), 200);
    assert_eq!(new.allocate_request().code(), 200);
}

#[test]
fn live_allocation_outlives_its_nonce() {
    let world = world().settings(|settings| settings.nonce_lifetime = secs(10));
    let ann = world.client("ann").allocate();
    world.advance(secs(10));
    let (refresh, permit) = (ann.ask(Method::REFRESH), ann.permit_request(&[PEER]));
    let bind = ann.bind_request(CHANNEL, OTHER_PEER).signed();
    assert_eq!(refresh.once().code(), 438);
    assert_eq!(permit.once().code(), 438);
    assert_eq!(ann.sends(&bind).code(), 438);
    assert_eq!(ann.refresh(600).code(), 200);
    ann.permit(PEER).bind(CHANNEL, OTHER_PEER);
}

#[test]
fn strict_expiry_ends_an_allocation_with_its_credential() {
    let strict = TimeLimitedRules { strict_expiry: true, ..TimeLimitedRules::default() };
    let world = World::new().secret("shared").rules(strict);
    // 300 s of grace for clocks that differ come on top.
    let ann = world.client(&limited(60, "ann"));
    assert_eq!(ann.allocate_request().exchange().lifetime(), Some(360));
    world.advance(secs(200));
    assert_eq!(ann.refresh(3_600).lifetime(), Some(160));
    world.advance(secs(159));
    assert_eq!(world.allocations(), 1);
    world.advance(secs(1));
    assert_eq!(world.allocations(), 0);
    world.advance(secs(1));
    assert_eq!(ann.allocate_request().code(), 401);
}

#[test]
fn max_credential_ttl_refuses_names_that_live_too_long() {
    let rules = TimeLimitedRules { max_ttl: Some(86_400), ..TimeLimitedRules::default() };
    let world = World::new().secret("shared").rules(rules);
    assert_eq!(world.client(&limited(86_400, "a")).allocate_request().code(), 200);
    assert_eq!(world.client(&limited(90_000, "a")).allocate_request().code(), 401);
}

#[test]
fn time_limited_names_are_read_in_three_forms_and_with_another_separator() {
    let world = World::new().secret("shared");
    let UnixSeconds(start) = START;
    for name in [format!("{}:x", start + 60), format!("x:{}", start + 60), (start + 60).to_string()]
    {
        assert_eq!(world.client(&name).allocate_request().code(), 200, "{name}");
    }
    let rules = TimeLimitedRules { separator: '-', ..TimeLimitedRules::default() };
    let world = World::new().secret("shared").rules(rules);
    assert_eq!(world.client(&format!("{}-x", start + 60)).allocate_request().code(), 200);
    assert_eq!(world.client(&limited(60, "x")).allocate_request().code(), 401);
}

#[test]
fn expired_name_has_a_grace_of_300_seconds() {
    let world = World::new().secret("shared");
    world.jump_wall_clock(360);
    assert_eq!(world.client(&limited(60, "x")).allocate_request().code(), 200);
    world.jump_wall_clock(1);
    assert_eq!(world.client(&limited(60, "x")).allocate_request().code(), 401);
}

#[test]
fn jump_of_the_wall_clock_moves_no_expiry() {
    let decade = 10 * 365 * 86_400;
    for jump in [decade, -decade] {
        let world = world();
        let ann = world.client("ann").allocate().permit(PEER);
        world.jump_wall_clock(jump);
        world.advance(secs(299));
        ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
        world.advance(secs(1));
        ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
        // The nonce is stale, and a new one serves.
        assert_eq!(ann.ask(Method::REFRESH).once().code(), 438);
        assert_eq!(ann.refresh(600).code(), 200);
        world.advance(secs(600));
        assert_eq!(world.allocations(), 0);
    }
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
