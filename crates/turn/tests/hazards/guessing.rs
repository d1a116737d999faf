//! Guessing, replay, and taking the stronger algorithm out on the way.

use super::*;

#[test]
fn h24_guessing_is_throttled_and_shuts_nobody_else_out() {
    let world = world();
    let live = world.client("ann").allocate();
    let eve = world.client("ann").with_password("wrong").challenged();
    let guess = || eve.allocate_request().once();
    for number in 0..10 {
        assert_eq!(guess().code(), 401, "guess {number}");
    }
    for _ in 0..1_000 {
        guess().expect_dropped(DropReason::ReplyLimit);
    }
    // The right one is not found while the throttle holds.
    eve.clone().with_password("secret").allocate_request().once().expect_silence();
    // From another prefix ann is served, and here everybody else and what is live.
    let elsewhere = world.client_at("ann", SocketAddr::from(([192, 0, 3, 1], 4_000)));
    assert_eq!(elsewhere.allocate_request().code(), 200);
    assert_eq!(world.client("bob").allocate_request().code(), 200);
    assert_eq!(live.refresh(600).code(), 200);
    // Never a lockout: a minute later there are ten more.
    let eve = eve.with_password("wrong");
    world.advance(secs(60));
    let more = (0..100).filter(|_| !eve.allocate_request().once().is_silent()).count();
    assert_eq!(more, 10);
    world.advance(secs(6));
    assert_eq!(eve.with_password("secret").allocate_request().code(), 200);
}

#[test]
fn h25_unknown_users_cannot_be_told_by_the_answer_or_by_the_time() {
    let world = world().settings(|settings| {
        settings.limits.exempt_sources = vec![net("192.0.2.0/24", None).range];
    });
    // A long request, so that one HMAC over it outweighs everything else.
    let request = |name: &str| {
        let client = world.client(name).with_password("wrong").challenged();
        let ask = client.allocate_request().raw(AttributeType::SOFTWARE, &[b'x'; 60_000]);
        let bytes = ask.signed();
        (client, bytes)
    };
    let (known, unknown) = (request("ann"), request("eve"));
    let shape = |(client, bytes): &(Client, Vec<u8>)| {
        let answer = client.sends(bytes).answer();
        (answer.code(), answer.kinds(), answer.as_bytes().len())
    };
    assert_eq!(shape(&known), shape(&unknown));
    let fastest = |(client, bytes): &(Client, Vec<u8>)| {
        (0..300).map(|_| time(|| assert!(!client.sends(bytes).is_silent()))).min().unwrap()
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
fn h26_replay_from_anywhere_else_is_a_438() {
    let world = world();
    let ann = world.client("ann").challenged();
    let request = ann.allocate_request().signed();
    let here = ann.address();
    for other in [
        SocketAddr::new(here.ip(), here.port() + 500),
        SocketAddr::from(([192, 0, 2, 250], here.port())),
    ] {
        assert_eq!(world.from_client(other, &request).code(), 438, "{other}");
    }
    assert_eq!(world.allocations(), 0);
    assert_eq!(ann.sends(&request).code(), 200);
    // Later it is stale at home too.
    assert_eq!(ann.refresh(0).code(), 200);
    world.advance(secs(600));
    assert_eq!(ann.sends(&request).code(), 438);
}

#[test]
fn h26_no_changed_byte_of_a_signed_request_passes() {
    // Without the throttle, which would hide what the integrity check lets through.
    let world = world().settings(|settings| {
        settings.limits.exempt_sources = vec![net("192.0.2.0/24", None).range];
    });
    for scheme in
        [Scheme::BROWSER, Scheme::rfc8489(KeyAlgorithm::Sha256), Scheme::rfc8489(KeyAlgorithm::Md5)]
    {
        let ann = world.client("ann").with_scheme(scheme).allocate().permit(PEER);
        let requests = [
            ann.ask(Method::REFRESH).with(Lifetime(0)).signed(),
            ann.permit_request(&[OTHER_PEER]).signed(),
            ann.bind_request(CHANNEL, OTHER_PEER).signed(),
            world.client("ann").with_scheme(scheme).allocate_request().signed(),
        ];
        for request in requests {
            for at in 0..request.len() {
                for change in [0x01, 0x10, 0x80, 0xff] {
                    let mut changed = request.clone();
                    changed[at] ^= change;
                    let emitted = ann.sends(&changed);
                    let passes = !emitted.is_silent() && emitted.code() == 200;
                    assert!(!passes, "byte {at} changed by {change:#x}");
                }
            }
        }
        ann.send(OTHER_PEER, b"x").expect_dropped(DropReason::NoPermission);
        ann.send(PEER, b"x").expect_at_peer(PEER, b"x");
    }
}

#[test]
fn h26_stronger_algorithm_cannot_be_taken_out_on_the_way() {
    let world = world();
    let ann = world.client("ann").challenged();
    // A challenge without PASSWORD-ALGORITHMS, as an attacker would pass it on: the
    // nonce still says what was offered, so a client that honours it finds out; and a
    // nonce without its cookie is not ours.
    let stripped = &ann.nonce()[13..];
    let draft = Draft::request(Method::ALLOCATE)
        .with(RequestedTransport::UDP)
        .raw(AttributeType::USERNAME, b"ann")
        .raw(AttributeType::REALM, b"example.org")
        .raw(AttributeType::NONCE, stripped.as_bytes())
        .integrity(&ann.key());
    assert_eq!(ann.sends(&draft.bytes(ID)).code(), 438);
}
