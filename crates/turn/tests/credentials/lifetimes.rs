//! Time-limited names, and what a live allocation outlives.

use super::*;

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
