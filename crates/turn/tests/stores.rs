//! Users that only a credential store knows: what is asked, what waits and how long, and what a
//! live allocation never waits for.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use turn_codec::{AttributeType, Method};
use turn_credentials::{KeyAlgorithm, UnixSeconds};
use turn_engine::{
    AddressRange, AuthFailure, Bandwidth, EndReason, FoundUser, Marks, PerUser, RealmId, Report,
    TimeLimitedRules, Transport, UserLimits,
};
use turn_testkit::{
    Answer, CHANNEL, Client, OTHER_PEER, PEER, START, Scheme, StoreMode, World, secs,
};

const HERE: RealmId = RealmId(0);

/// A server with one configured user, a shared secret, and a store that knows "sam".
fn world() -> World {
    world_of(FoundUser::default())
}

fn world_of(terms: FoundUser) -> World {
    World::new().user("ann", "secret").secret("shared").setup(|setup| {
        setup.ask_stores(HERE, false);
        setup.add_stored(HERE, "sam", "of the store", terms);
    })
}

/// Sources of tests are not held back.
fn exempt(world: World) -> World {
    world.settings(|settings| {
        let last = [192, 0, 2, 255].into();
        let range = AddressRange::new([192, 0, 2, 0].into(), last).unwrap();
        settings.limits.exempt_sources = vec![range];
        settings.limits.allocations_per_source = None;
    })
}

fn limited(seconds: i64, userid: &str) -> String {
    format!("{}:{userid}", START.0.checked_add_signed(seconds).unwrap())
}

fn counted(world: &World, name: &str) -> u64 {
    let counters = world.counters();
    let counted = counters.iter().flat_map(|shard| shard.snapshot());
    counted.filter(|(known, _)| known == name).map(|(_, count)| count).sum()
}

fn failures(world: &World) -> Vec<AuthFailure> {
    let reports = world.reports().into_iter();
    let of = |report| match report {
        Report::AuthFailed { reason, .. } => Some(reason),
        Report::Created { .. }
        | Report::Ended { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    };
    reports.filter_map(of).collect()
}

fn ended(world: &World) -> Vec<EndReason> {
    let of = |report| match report {
        Report::Ended { reason, .. } => Some(reason),
        Report::Created { .. }
        | Report::AuthFailed { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    };
    world.reports().into_iter().filter_map(of).collect()
}

fn expect_bare_500(answer: &Answer) {
    assert_eq!((answer.code(), answer.kinds()), (500, vec![AttributeType::ERROR_CODE]));
    assert!(!answer.is_signed());
    assert!(answer.as_bytes().len() <= 28 + 8, "{} bytes", answer.as_bytes().len());
}

#[test]
fn user_of_the_store_allocates_and_is_asked_for_once() {
    let world = world();
    let sam = world.client("sam").allocate().bind(CHANNEL, PEER);
    sam.permit(OTHER_PEER).refresh(600);
    world.expect_relayed(&sam, PEER, b"data");
    assert_eq!(world.names_asked(), ["sam"]);
    assert_eq!(counted(&world, "key_lookups"), 1);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn r16_store_that_is_down_for_ten_minutes_costs_no_live_allocation() {
    let world = world();
    let sam = world.client("sam").allocate().bind(CHANNEL, PEER);
    world.names_asked();
    for mode in [StoreMode::IsDown, StoreMode::IsSilent, StoreMode::IsLate] {
        world.store(mode);
        for _ in 0..120 {
            world.advance(secs(5));
            assert_eq!(sam.refresh(600).code(), 200);
            sam.bind(CHANNEL, PEER);
            world.expect_relayed(&sam, PEER, b"still here");
        }
    }
    // Nor does a user who is gone from it lose what lives.
    world.store(StoreMode::Answers);
    world.reload(|setup| setup.remove_stored(HERE, "sam"));
    assert_eq!(sam.refresh(600).code(), 200);
    assert!(world.names_asked().is_empty(), "a live client's request goes by its stored key");
    assert_eq!(world.client("sam").allocate_request().code(), 401);
}

#[test]
fn r16_wrong_password_beside_a_live_allocation_asks_nobody() {
    let world = world();
    let sam = world.client("sam").allocate();
    world.names_asked();
    world.store(StoreMode::IsDown);
    let wrong = sam.clone().with_password("wrong");
    assert_eq!(wrong.refresh(600).code(), 401);
    assert!(world.names_asked().is_empty());
    assert_eq!(failures(&world), [AuthFailure::WrongPassword]);
    assert_eq!(sam.with_password("of the store").refresh(600).code(), 200);
}

#[test]
fn r16_store_that_is_down_is_a_bare_500_and_never_401() {
    let world = world();
    world.store(StoreMode::IsDown);
    let methods = [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION];
    for (method, name) in methods.into_iter().zip(["sam", "sam", "nobody"]) {
        let client = world.client(name).challenged();
        expect_bare_500(&client.ask(method).once().answer());
    }
    assert_eq!(failures(&world), [AuthFailure::StoreUnavailable; 3]);
    assert_eq!(counted(&world, "key_lookups_unavailable"), 3);
    assert_eq!(counted(&world, "auth_failed_store_unavailable"), 3);
    // Configured users and those of the secret need no store.
    world.client("ann").allocate();
    world.client(&limited(600, "cid")).allocate();
    world.store(StoreMode::Answers);
    world.client("sam").allocate();
}

#[test]
fn r16_store_that_never_answers_is_a_500_after_five_seconds() {
    let world = world();
    world.store(StoreMode::IsSilent);
    let sam = world.client("sam").challenged();
    let request = sam.allocate_request().signed();
    sam.sends(&request).expect_silence();
    for _ in 0..4 {
        world.advance(secs(1)).expect_silence();
        // The retransmits of a client wait with their request.
        sam.sends(&request).expect_silence();
        assert_eq!(world.waiting_for_keys(), 1);
    }
    world.advance(Duration::from_millis(999)).expect_silence();
    expect_bare_500(&world.advance(Duration::from_millis(1)).answer());
    assert_eq!((world.waiting_for_keys(), world.names_asked().len()), (0, 1));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn late_answer_is_served_once_and_one_that_comes_too_late_is_not() {
    let world = world();
    world.store(StoreMode::IsLate);
    let sam = world.client("sam").challenged();
    let request = sam.allocate_request().signed();
    sam.sends(&request).expect_silence();
    world.advance(secs(4));
    assert_eq!(world.answer_keys().code(), 200);
    assert_eq!(world.allocations(), 1);
    world.answer_keys().expect_silence();
    // Its retransmit finds the allocation.
    assert_eq!(sam.sends(&request).code(), 200);
    let other = world.client("sam").challenged();
    other.allocate_request().once().expect_silence();
    assert_eq!(world.advance(secs(5)).code(), 500);
    world.answer_keys().expect_silence();
    assert_eq!(world.allocations(), 1);
}

#[test]
fn requests_of_one_user_wait_each_for_itself_and_in_order() {
    let world = world();
    world.store(StoreMode::IsLate);
    let sam = world.client("sam").challenged();
    sam.allocate_request().once().expect_silence();
    sam.permit_request(&[PEER]).once().expect_silence();
    world.client("sam").challenged().allocate_request().once().expect_silence();
    assert_eq!((world.waiting_for_keys(), world.names_asked().len()), (3, 3));
    let codes: Vec<_> = world.answer_keys().events.into_iter().collect();
    assert_eq!(codes.len(), 3);
    assert_eq!(world.allocations(), 2);
    sam.send(PEER, b"permitted").expect_at_peer(PEER, b"permitted");
}

#[test]
fn a6_request_whose_nonce_ages_while_it_waits_gets_438() {
    let world = world().settings(|settings| settings.nonce_lifetime = secs(3));
    world.store(StoreMode::IsLate);
    let sam = world.client("sam").challenged();
    sam.allocate_request().once().expect_silence();
    world.advance(secs(4));
    assert_eq!(world.answer_keys().code(), 438);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn answer_after_a_reload_is_judged_by_what_is_in_force_then() {
    let world = world();
    world.store(StoreMode::IsLate);
    let sam = world.client("sam").challenged();
    sam.allocate_request().once().expect_silence();
    world.reload(|setup| setup.remove_realm(HERE)).expect_silence();
    assert_eq!(world.answer_keys().code(), 401);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn request_of_a_connection_that_has_closed_waits_no_more() {
    let world = world();
    world.store(StoreMode::IsLate);
    let (gone, here) = (world.tcp_client("sam"), world.tcp_client("sam"));
    for client in [&gone, &here] {
        client.challenged().allocate_request().once().expect_silence();
    }
    world.close_link(&gone);
    assert_eq!(world.waiting_for_keys(), 1);
    assert_eq!(world.answer_keys().code(), 200);
    assert_eq!(world.allocations(), 1);
}

#[test]
fn h11_what_waits_is_bounded_for_each_source_and_in_all() {
    let world = world();
    world.store(StoreMode::IsSilent);
    let at = |source: u8, port: u16| {
        let address = SocketAddr::from(([192, 0, source, 9], 10_000 + port));
        world.client_at("sam", address).over(Transport::Tcp).challenged()
    };
    for port in 0..256 {
        at(3, port).allocate_request().once().expect_silence();
    }
    expect_bare_500(&at(3, 256).allocate_request().once().answer());
    for source in 4..7 {
        for port in 0..256 {
            at(source, port).allocate_request().once().expect_silence();
        }
    }
    assert_eq!(world.waiting_for_keys(), 1_024);
    expect_bare_500(&at(7, 0).allocate_request().once().answer());
    assert_eq!(counted(&world, "key_lookups_full"), 2);
    assert_eq!(world.names_asked().len(), 1_024);
    // All of them hear of it, and then there is room again.
    assert_eq!(world.advance(secs(5)).events.len(), 1_024);
    assert_eq!(world.waiting_for_keys(), 0);
    at(7, 1).allocate_request().once().expect_silence();
}

#[test]
fn h11_request_beyond_two_kilobytes_does_not_wait() {
    let world = world();
    world.store(StoreMode::IsLate);
    let sam = world.client("sam").challenged();
    let request = |len| sam.allocate_request().raw(AttributeType::SOFTWARE, &vec![b'x'; len]);
    expect_bare_500(&request(2_048).once().answer());
    request(1_800).once().expect_silence();
    assert_eq!(world.answer_keys().code(), 200);
}

#[test]
fn h24_random_names_are_no_lever_on_the_store() {
    let world = world();
    let guess = |number: u32| {
        let address = SocketAddr::from(([192, 0, 3, 9], 10_000 + u16::try_from(number).unwrap()));
        let client = world.client_at(&format!("nobody-{number}"), address);
        client.over(Transport::Tcp).challenged().allocate_request().once()
    };
    for number in 0..100 {
        assert_eq!(guess(number).code(), 401, "{number}");
    }
    for number in 100..200 {
        guess(number).expect_silence();
    }
    assert_eq!(world.names_asked().len(), 100);
    // Another source is served as ever, and so is this one half a minute later.
    world.client("sam").allocate();
    world.advance(secs(30));
    assert_eq!((200..300).filter(|number| !guess(*number).is_silent()).count(), 50);
}

#[test]
fn h24_exempt_source_may_ask_for_any_number_of_names() {
    let world = exempt(world());
    for number in 0..300 {
        let client = world.client(&format!("nobody-{number}"));
        assert_eq!(client.allocate_request().code(), 401);
    }
    assert_eq!(world.names_asked().len(), 300);
}

#[test]
fn h24_password_of_a_stored_user_is_not_guessed_at_line_rate() {
    let world = world();
    let sam = world.client("sam").with_password("wrong").challenged();
    let codes = |tries: usize| {
        let sent = (0..tries).map(|_| sam.allocate_request().once());
        sent.filter(|emitted| !emitted.is_silent()).count()
    };
    assert_eq!(codes(30), 10);
    assert_eq!(world.names_asked().len(), 10, "who is not judged is not looked up");
}

#[test]
fn h25_unknown_name_of_a_store_cannot_be_told_by_the_answer_or_by_the_time() {
    let world = exempt(world());
    // As long as may wait, so that one HMAC over it outweighs as much as it can.
    let request = |name: &str| {
        let client = world.client(name).with_password("wrong").challenged();
        let ask = client.allocate_request().raw(AttributeType::SOFTWARE, &[b'x'; 1_800]);
        let bytes = ask.signed();
        (client, bytes)
    };
    let (known, unknown) = (request("sam"), request("eve"));
    let shape = |(client, bytes): &(Client, Vec<u8>)| {
        let answer = client.sends(bytes).answer();
        (answer.code(), answer.kinds(), answer.as_bytes().len())
    };
    assert_eq!(shape(&known), shape(&unknown));
    let fastest = |(client, bytes): &(Client, Vec<u8>)| {
        (0..500).map(|_| time(|| assert!(!client.sends(bytes).is_silent()))).min().unwrap()
    };
    let (known, unknown) = (fastest(&known), fastest(&unknown));
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{known:?} for a user, {unknown:?} for a stranger");
}

#[expect(clippy::disallowed_methods, reason = "the time that it takes is what is tested")]
fn time(act: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    act();
    start.elapsed()
}

#[test]
fn h25_integrity_of_a_wrong_length_tells_nothing_of_the_store() {
    let world = exempt(world());
    let codes = ["sam", "eve", "ann"].map(|name| {
        let client = world.client(name).challenged();
        let method = Method::ALLOCATE;
        let draft =
            client.credentials(method).raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &[7; 16]);
        client.sends(&draft.bytes([3; 12])).code()
    });
    assert_eq!(codes, [400; 3]);
}

#[test]
fn who_is_known_here_is_judged_here() {
    let world = exempt(world());
    let codes = [
        ("ann".to_owned(), 401),
        (limited(600, "cid"), 401),
        (limited(-600, "cid"), 401),
        (START.0.to_string(), 401),
    ];
    for (name, code) in codes {
        let client = world.client(&name).with_password("wrong");
        assert_eq!(client.allocate_request().code(), code, "{name}");
    }
    // Nor is a name asked for that belongs to another realm.
    let sam = world.client("sam").challenged();
    let key = sam.key();
    let draft = sam.allocate_request().unsigned();
    assert!(!draft.is_empty());
    let elsewhere = turn_testkit::Draft::request(Method::ALLOCATE)
        .raw(AttributeType::USERNAME, b"sam")
        .raw(AttributeType::REALM, b"elsewhere.example")
        .raw(AttributeType::NONCE, sam.nonce().as_bytes())
        .integrity(&key);
    assert_eq!(sam.sends(&elsewhere.bytes([1; 12])).code(), 401);
    assert!(world.names_asked().is_empty());
}

#[test]
fn number_that_is_no_time_may_be_anybodys_name() {
    let world = exempt(world()).setup(|setup| {
        setup.add_stored(HERE, "1001", "of the desk", FoundUser::default());
        setup.add_stored(HERE, "14155552671", "of the telephone", FoundUser::default());
    });
    world.client("1001").allocate();
    assert_eq!(world.names_asked(), ["1001"]);
    // It could be a time of a secret, too.
    world.client("14155552671").allocate();
    assert_eq!(world.names_asked().last().map(String::as_str), Some("14155552671"));
}

#[test]
fn realm_without_stores_asks_nobody() {
    let world = World::new().user("ann", "secret");
    world.store(StoreMode::IsSilent);
    assert_eq!(world.client("sam").allocate_request().code(), 401);
    assert!(world.names_asked().is_empty());
}

#[test]
fn name_is_asked_for_as_it_is_prepared() {
    let world = world().setup(|setup| {
        setup.add_stored(HERE, "Zo\u{eb}", "of the store", FoundUser::default());
    });
    // The same name with a combining diaeresis.
    let zoe = world.client("Zoe\u{308}").with_password("of the store").allocate();
    assert_eq!(world.names_asked(), ["Zo\u{eb}"]);
    assert_eq!(zoe.refresh(600).code(), 200);
    // A name that OpaqueString refuses is nobody's.
    let control = world.client("s\u{7}m");
    assert_eq!(control.allocate_request().code(), 401);
    assert!(world.names_asked().is_empty());
    let (count, _) = world.end_allocations_of(HERE, "Zo\u{eb}", 64);
    assert_eq!(count, 1);
}

#[test]
fn a10b_store_without_sha256_keys_withdraws_the_offer() {
    let keyed = |sha256| {
        World::new().user("ann", "secret").setup(|setup| {
            setup.ask_stores(HERE, sha256);
            setup.add_stored(HERE, "sam", "of the store", FoundUser::default());
        })
    };
    let offers = |world: &World| {
        let answer = world.client("sam").allocate_request().once_unsigned().answer();
        let nonce = answer.nonce().unwrap().to_owned();
        (answer.has(AttributeType::PASSWORD_ALGORITHMS), nonce)
    };
    let (has_offer, _) = offers(&keyed(false));
    assert!(!has_offer);
    let world = keyed(true);
    let (has_offer, nonce) = offers(&world);
    assert!(has_offer);
    // [A13] Names of a store are not known in advance: the second bit of the set is off.
    let plain = World::new().user("ann", "secret");
    let (_, with_anonymity) = offers(&plain);
    assert_ne!(nonce.as_bytes()[..13], with_anonymity.as_bytes()[..13]);
    for algorithm in [KeyAlgorithm::Sha256, KeyAlgorithm::Md5] {
        world.client("sam").with_scheme(Scheme::rfc8489(algorithm)).allocate();
    }
}

#[test]
fn expired_user_of_a_store_is_a_401_like_any_other() {
    let expiry = Some(UnixSeconds(START.0 + 60));
    let world = exempt(world_of(FoundUser { expiry, ..FoundUser::default() }));
    let sam = world.client("sam").allocate();
    world.advance(secs(61));
    let late = world.client("sam");
    assert_eq!(late.allocate_request().code(), 401);
    assert_eq!(failures(&world), [AuthFailure::Expired]);
    // What lives goes on.
    assert_eq!(sam.refresh(3_600).lifetime(), Some(3_600));
}

#[test]
fn strict_expiry_ends_what_a_stored_credential_has_opened() {
    let rules = TimeLimitedRules { strict_expiry: true, ..TimeLimitedRules::default() };
    let expiry = Some(UnixSeconds(START.0 + 60));
    let world = exempt(world_of(FoundUser { expiry, ..FoundUser::default() })).rules(rules);
    let answer = world.client("sam").allocate_request().exchange();
    // With the grace that clocks are given.
    assert_eq!((answer.code(), answer.lifetime()), (200, Some(360)));
    world.advance(secs(361));
    assert_eq!(world.allocations(), 0);
}

#[test]
fn h18_smaller_of_the_realms_quota_and_the_users_own_binds() {
    for (of_realm, own, expected) in [
        (PerUser::Off, Some(2), 2),
        (PerUser::Auto, Some(2), 2),
        (PerUser::Count(1), Some(2), 1),
        (PerUser::Count(3), Some(2), 2),
        (PerUser::Count(3), None, 3),
    ] {
        let limits = UserLimits { allocations: own, ..UserLimits::default() };
        let world = world_of(FoundUser { limits, ..FoundUser::default() })
            .realm(|realm| realm.limits.allocations_per_user = of_realm);
        let codes = (0..5).map(|_| world.client("sam").allocate_request().code());
        let granted = codes.filter(|code| *code == 200).count();
        assert_eq!(granted, expected, "{of_realm:?} and {own:?}");
        let key = world.reports().into_iter().find_map(|report| match report {
            Report::LimitReached { key, .. } => Some(key),
            Report::Created { .. }
            | Report::Ended { .. }
            | Report::AuthFailed { .. }
            | Report::Refused { .. }
            | Report::PeerDenied { .. } => None,
        });
        let is_own = own == u32::try_from(expected).ok();
        let name = if is_own { "auth.stores.limits.allocations" } else { "allocations_per_user" };
        assert_eq!(key, Some(name));
    }
}

#[test]
fn bandwidth_of_a_stored_user_binds_all_its_allocations_together() {
    let bandwidth = Some(Bandwidth { bytes_per_second: 100_000 });
    let limits = UserLimits { bandwidth, ..UserLimits::default() };
    let world = world_of(FoundUser { limits, ..FoundUser::default() });
    let clients = [(); 2].map(|()| world.client("sam").allocate().bind(CHANNEL, PEER));
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    let mut passed = 0;
    for _ in 0..1_000 {
        world.advance(Duration::from_millis(10));
        for client in &clients {
            let emitted = client.channel_data(CHANNEL, &[7; 1_000]);
            passed += emitted.events.len() * 1_000;
        }
        assert!(!ann.channel_data(CHANNEL, &[7; 1_000]).is_silent());
    }
    assert!((950_000..=1_150_000).contains(&passed), "{passed} bytes in ten seconds");
    assert!(counted(&world, "refused_by_auth.stores.limits.bandwidth") > 0);
}

#[test]
fn marks_of_a_stored_user_are_in_reports_and_surveys() {
    let marks = Marks { label: Some("web".into()), credential: Some("c-1".into()) };
    let marks = Some(Arc::new(marks));
    let world = world_of(FoundUser { marks: marks.clone(), ..FoundUser::default() });
    let (sam, ann) = (world.client("sam").allocate(), world.client("ann").allocate());
    let seen = world.survey(64);
    let of = |user: &str| seen.iter().find(|seen| seen.user == user).unwrap().marks.clone();
    assert_eq!((of("sam"), of("ann")), (marks.clone(), None));
    sam.refresh(0);
    ann.refresh(0);
    let marked = |report| match report {
        Report::Created { user, marks, .. } | Report::Ended { user, marks, .. } => {
            Some((user, marks))
        }
        Report::AuthFailed { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    };
    let reported: Vec<_> = world.reports().into_iter().filter_map(marked).collect();
    let expected = |user: &str| if user == "sam" { marks.clone() } else { None };
    assert_eq!(reported.len(), 4);
    assert!(reported.iter().all(|(user, marks)| *marks == expected(user)), "{reported:?}");
}

#[test]
fn disabled_credential_ends_what_it_has_opened_and_nothing_else() {
    let world = world().shards(2);
    let sams: Vec<_> = (0..6).map(|n| world.client_on(n % 2, "sam").allocate()).collect();
    let others = [world.client_on(0, "ann").allocate(), world.client_on(1, "ann").allocate()];
    let limited = world.client(&limited(600, "sam")).allocate();
    world.reports();
    world.reload(|setup| setup.remove_stored(HERE, "sam"));
    let (count, emitted) = world.end_allocations_of(HERE, "sam", 2);
    emitted.expect_silence();
    assert_eq!(count, 6);
    assert_eq!(ended(&world), [EndReason::Disabled; 6]);
    assert_eq!(EndReason::Disabled.as_str(), "credential disabled");
    assert_eq!(world.allocations(), 3);
    assert_eq!(sams[0].refresh(600).code(), 401);
    others.iter().chain([&limited]).for_each(|other| assert_eq!(other.refresh(600).code(), 200));
    // In another realm the name is another user's.
    assert_eq!(world.end_allocations_of(RealmId(7), "ann", 2).0, 0);
    assert_eq!(world.end_allocations_of(HERE, "sam", 2).0, 0);
}

#[test]
fn disabled_credential_stops_what_is_being_opened_and_what_waits() {
    let world = world();
    let (opening, waiting) = (world.client("sam").challenged(), world.client("sam").challenged());
    world.hold_completions();
    opening.allocate_request().once().expect_silence();
    world.store(StoreMode::IsLate);
    waiting.allocate_request().once().expect_silence();
    let (count, emitted) = world.end_allocations_of(HERE, "sam", 64);
    assert_eq!((count, emitted.events.len()), (1, 2));
    // The host's answers come too late.
    world.release_completions().expect_silence();
    world.answer_keys().expect_silence();
    assert_eq!((world.allocations(), world.quota_units(), world.waiting_for_keys()), (0, 0, 0));
    world.expect_nothing_left_in_the_end();
}
