//! What strangers send, and what is sent to them: reflection, challenges, floods, odd messages.

use super::*;

#[test]
fn h7_relayed_transport_address_of_ours_may_not_allocate() {
    let world = world();
    let ann = world.client("ann").allocate();
    let inner = world.client_at("bob", ann.relayed());
    assert_eq!(inner.allocate_request().code(), 403);
    // An own address that relays nothing is a client like any other.
    let beside = world.client_at("bob", SocketAddr::new(RELAY4, 1_024));
    assert_eq!(beside.allocate_request().code(), 200);
}

#[test]
fn h7_control_messages_that_reach_a_relay_are_data_and_never_answered() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    let refresh = ann.ask(Method::REFRESH).with(Lifetime(0)).signed();
    let binding = Draft::request(Method::BINDING).bytes(ID);
    for message in [&refresh, &bare(), &binding] {
        world.peer(OTHER_PEER).sends(ann.relayed(), message).expect_silence();
        let passed = world.peer(PEER).sends(ann.relayed(), message);
        passed.expect_channel_data(&ann, CHANNEL, message);
    }
    assert_eq!(world.allocations(), 1);
}

#[test]
fn h8_no_reply_goes_to_a_port_that_might_answer_back() {
    let world = world();
    let ann = world.client("ann").challenged();
    let half = Draft::request(Method::REFRESH).integrity(&ann.key()).bytes(ID);
    let stolen = ann.allocate_request().signed();
    for port in [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161] {
        let victim = SocketAddr::from(([192, 0, 2, 66], port));
        for request in [&bare(), &half, &stolen] {
            world.from_client(victim, request).expect_dropped(DropReason::ReplyLimit);
        }
        assert!(!world.shared().admit_binding(
            &Settings::default().limits,
            victim,
            world.now().mono
        ));
    }
}

#[test]
fn h9_binding_replies_to_one_address_stop_at_the_bucket() {
    let world = world();
    let limits = Settings::default().limits;
    let admitted = |address: &str| {
        let source = |port| SocketAddr::new(ip(address), port);
        (1_024..6_024)
            .filter(|port| world.shared().admit_binding(&limits, source(*port), world.now().mono))
            .count()
    };
    assert_eq!(admitted("192.0.2.1"), 2_000);
    assert_eq!(admitted("192.0.2.1"), 0);
    assert_eq!(admitted("192.0.2.2"), 2_000);
    // A /64 is one source.
    assert_eq!(admitted("2001:db8::1") + admitted("2001:db8::2:0:0:2"), 2_000);
    world.advance(secs(1));
    assert_eq!(admitted("192.0.2.1"), 1_000);
    let exempt =
        turn_engine::Limits { exempt_sources: vec![net("192.0.2.0/24", None).range], ..limits };
    let source = SocketAddr::new(ip("192.0.2.1"), 2_000);
    assert!(world.shared().admit_binding(&exempt, source, world.now().mono));
}

#[test]
fn h10_challenge_is_at_most_100_bytes_and_76_without_sha256() {
    let size = |world: World| {
        let answer = world.client("ann").allocate_request().once_unsigned().answer();
        // No reason phrase, no SOFTWARE.
        let error = answer.get::<turn_codec::attribute::ErrorCode<'_>>().unwrap();
        assert_eq!(error.reason, "");
        assert!(!answer.has(AttributeType::SOFTWARE));
        (answer.has(AttributeType::PASSWORD_ALGORITHMS), answer.as_bytes().len())
    };
    for world in [world(), World::new().secret("shared"), world().secret("shared")] {
        let (offers, len) = size(world);
        assert!(offers && len <= 100, "{len} bytes");
    }
    for world in [World::new(), world().user_with_key("eve", "x", KeyAlgorithm::Md5)] {
        let (offers, len) = size(world);
        assert!(!offers && len <= 76, "{len} bytes");
    }
    // 438 is as short, 400 shorter than its request.
    let world = world();
    let eve = world.client("ann").challenged();
    let request = eve.allocate_request().signed();
    let stale = world.from_client(SocketAddr::from(([192, 0, 2, 9], 9_999)), &request).answer();
    assert_eq!(stale.code(), 438);
    assert!(stale.as_bytes().len() <= 100);
    let half = Draft::request(Method::REFRESH).integrity(&eve.key()).bytes(ID);
    assert_eq!(eve.sends(&half).answer().as_bytes().len(), 28);
}

#[test]
fn h10_challenges_to_an_unproven_source_stop_at_its_buckets() {
    let world = world();
    let answered = |ports: std::ops::Range<u16>, times: usize| {
        let mut answered = 0;
        for port in ports {
            let from = SocketAddr::from(([192, 0, 2, 88], port));
            for _ in 0..times {
                answered += usize::from(!world.from_client(from, &bare()).is_silent());
            }
        }
        answered
    };
    // One port: a burst of 10, then five a second.
    assert_eq!(answered(2_000..2_001, 50), 10);
    world.advance(secs(1));
    assert_eq!(answered(2_000..2_001, 50), 5);
    world.advance(secs(10));
    // One address: a burst of 2,000, then 1,000 a second.
    assert_eq!(answered(3_000..8_000, 1), 2_000);
    world.advance(secs(1));
    assert_eq!(answered(10_000..15_000, 1), 1_000);
    let limits = world
        .reports()
        .into_iter()
        .filter(|report| matches!(report, Report::LimitReached { key: "challenges", .. }));
    assert_eq!(limits.count(), 1, "one WARN, not one a packet");
}

#[test]
fn h11_strangers_leave_nothing_behind() {
    let world = world().settings(|settings| settings.limits.challenges = None);
    let half = Draft::request(Method::REFRESH).raw(AttributeType::MESSAGE_INTEGRITY, &[7; 20]);
    let requests = [bare(), half.bytes(ID), Draft::request(Method::CHANNEL_BIND).bytes(ID)];
    for source in 0..60_000_u32 {
        let [_, high, middle, low] = source.to_be_bytes();
        let from = SocketAddr::from(([100, high, middle, low], 1_024 + (source % 60_000) as u16));
        let request = &requests[source as usize % requests.len()];
        assert!(matches!(world.from_client(from, request).code(), 400 | 401));
    }
    assert_eq!((world.allocations(), world.relay_count(), world.quota_units()), (0, 0, 0));
    assert!(world.reports().is_empty(), "not one line for a stranger's packet");
    world.expect_nothing_left_in_the_end();
}

#[test]
fn h12_flood_of_strangers_does_not_shut_out_a_client() {
    let world = world();
    let ann = world.client("ann").challenged();
    // Everything that strangers may have of ann's address is used up.
    for port in 1_024..6_000 {
        world.from_client(SocketAddr::new(ann.address().ip(), port), &bare());
    }
    let late = world.client("ann");
    late.allocate_request().once_unsigned().expect_dropped(DropReason::ReplyLimit);
    // Whoever holds a nonce is answered all the same, with success or with an error.
    assert_eq!(ann.clone().with_password("wrong").allocate_request().code(), 401);
    let ann = ann.with_password("secret");
    assert_eq!(ann.allocate_request().code(), 200);
    // And so is everybody elsewhere, however many sources there were.
    for source in 0..50_000_u32 {
        let [_, high, middle, low] = source.to_be_bytes();
        world.from_client(SocketAddr::from(([101, high, middle, low], 2_000)), &bare());
    }
    let served = (0..100).filter(|last| {
        let client = world.client_at("ann", SocketAddr::from(([192, 0, 3, *last], 4_000)));
        !client.allocate_request().once_unsigned().is_silent()
    });
    assert!(served.count() >= 99);
}

#[test]
fn h12_nonce_that_has_aged_proves_the_address_too() {
    let world = world().settings(|settings| settings.nonce_lifetime = secs(10));
    let ann = world.client("ann").allocate();
    world.advance(secs(10));
    for port in 1_024..6_000 {
        world.from_client(SocketAddr::new(ann.address().ip(), port), &bare());
    }
    assert_eq!(ann.refresh(600).code(), 200);
}

#[test]
fn h29_hostile_names_reach_no_report() {
    let world = World::new().user("ann", "secret").secret("shared");
    let hostile =
        ["a\nERROR forged line", "a\u{1b}[2J", "a\0", "a\u{85}b", "a\u{2028}b", "a\u{202e}b"];
    for name in hostile {
        for name in [name.to_owned(), format!("{}:{name}", START.0 + 3_600)] {
            let client = world.client(&name);
            assert_eq!(client.allocate_request().code(), 401, "{name:?}");
            let marked = client.allocate_request().raw(AttributeType::SOFTWARE, name.as_bytes());
            assert_eq!(marked.once_unsigned().code(), 401);
        }
    }
    let ann = world.client("ann").allocate();
    assert_eq!(ann.refresh(0).code(), 200);
    let shown = format!("{:?}", world.reports());
    assert!(shown.contains("ann") && !shown.contains("forged"), "{shown}");
    assert!(!shown.chars().any(char::is_control));
}

#[test]
fn h32_message_of_more_than_32_attributes_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate();
    let many = |count: u16| {
        let ask = ann.ask(Method::REFRESH);
        (0..count).fold(ask, |ask, number| ask.raw(AttributeType::new(0x9000 + number), b""))
    };
    // USERNAME, REALM, NONCE and MESSAGE-INTEGRITY are four.
    assert_eq!(many(28).once().code(), 200);
    many(29).once().expect_dropped(DropReason::Malformed);
    many(10_000).once().expect_dropped(DropReason::Malformed);
}

#[test]
fn h32_table_full_of_sources_that_a_stranger_chose_still_serves_newcomers() {
    let world = world();
    let (shared, now) = (world.shared(), world.now().mono);
    let limits = turn_engine::Limits {
        binding_replies: Some(Rate::new(1, secs(3_600), 1)),
        ..turn_engine::Limits::default()
    };
    let admit = |number| {
        let source = SocketAddr::from((Ipv4Addr::from_bits(number), 1_024));
        shared.admit_binding(&limits, source, now)
    };
    // Six times as many as the table has places, all of them used up.
    for number in 0x0a00_0000..0x0a06_0000 {
        admit(number);
    }
    let served = (0x1400_0000..0x1400_0800).filter(|number| admit(*number)).count();
    assert!(served >= 2_028, "{served} of 2048 newcomers were served");
}
