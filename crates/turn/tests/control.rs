//! What an operator does and sees: draining, ending an allocation, the table of what lives, reports
//! of allocations and of who was not let in.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::BTreeSet;
use std::time::Duration;

use turn_codec::attribute::{AdditionalAddressFamily, ReservationToken};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_engine::{
    AllocationId, AuthFailure, EndReason, RealmId, Report, ShardId, TimeLimitedRules, Transport,
};
use turn_testkit::{CHANNEL, Client, Draft, OTHER_PEER, PEER, PEER6, START, World, secs};

const ID: [u8; 12] = *b"a request id";

fn world() -> World {
    World::new().user("ann", "secret").user("bob", "other")
}

#[test]
fn r19_draining_server_refuses_new_allocations_and_serves_the_others() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let bob = world.client("bob").challenged();
    world.drain(true);
    let answer = bob.allocate_request().exchange();
    assert_eq!((answer.code(), answer.is_signed()), (508, true));
    assert_eq!(world.client("eve").allocate_request().code(), 401, "strangers are judged first");
    // What lives goes on: retransmit, Refresh, CreatePermission, ChannelBind, data.
    assert_eq!(ann.retransmit().code(), 200);
    assert_eq!(ann.refresh(600).lifetime(), Some(600));
    ann.bind(CHANNEL, OTHER_PEER).channel_data(CHANNEL, b"x").expect_at_peer(OTHER_PEER, b"x");
    world.peer(PEER).sends(ann.relayed(), b"x").expect_indication(&ann, PEER, b"x");
    assert_eq!(ann.allocate_request().code(), 437);
    assert_eq!(world.quota_units(), 1);
    world.drain(false);
    assert_eq!(bob.allocate_request().code(), 200);
}

#[test]
fn r19_reservation_cannot_be_claimed_while_the_server_drains() {
    let world = world();
    let ann = world.client("ann");
    let pair = turn_codec::attribute::EvenPort { reserve: true };
    assert_eq!(ann.allocate_request().with(pair).code(), 200);
    world.drain(true);
    let claim = world.client("ann").allocate_request().with(ReservationToken(ann.token()));
    assert_eq!(claim.code(), 508);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn operator_ends_an_allocation_and_all_that_it_has() {
    let world = world().shards(2).settings(|settings| settings.relay.tcp = true);
    let ann = world.client_on(1, "ann").allocate().bind(CHANNEL, PEER);
    let bob = world.tcp_client_on(0, "bob").tcp_allocate();
    let data = world.tcp_client_on(0, "bob").bind_connection(bob.connect(PEER));
    let id = |client: &Client| {
        let seen = world.survey(64).into_iter().find(|seen| seen.link.tuple == client.tuple());
        seen.expect("it lives").id
    };
    let (of_ann, of_bob) = (id(&ann), id(&bob));
    world.reports();
    assert!(world.end_allocation(of_ann) && !world.end_allocation(of_ann));
    assert_eq!(ended(&world).len(), 1);
    ann.channel_data(CHANNEL, b"x").expect_silence();
    assert_eq!(ann.refresh(600).code(), 437);
    assert!(world.end_allocation(of_bob));
    assert!(world.peer_connections().is_empty() && !world.serves(&data));
    assert!(!world.end_allocation(AllocationId { shard: ShardId(0), serial: 77 }));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn what_has_expired_cannot_be_ended_though_it_was_not_swept_yet() {
    let world = world();
    world.client("ann").allocate();
    let id = world.survey(1)[0].id;
    world.advance_without_sweep(secs(600));
    assert!(!world.end_allocation(id));
    world.advance(secs(1));
    assert_eq!(ended(&world), [EndReason::Expired]);
}

fn ended(world: &World) -> Vec<EndReason> {
    let reason = |report: Report| match report {
        Report::Ended { reason, .. } => Some(reason),
        Report::Created { .. }
        | Report::AuthFailed { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    };
    world.reports().into_iter().filter_map(reason).collect()
}

#[test]
fn survey_shows_what_lives_once_and_as_it_is() {
    let world = world().shards(2);
    let ann = world.client_on(0, "ann");
    let both = AdditionalAddressFamily(AddressFamily::Ipv6);
    assert_eq!(ann.allocate_request().with(both).code(), 200);
    ann.permit(PEER).permit(PEER6).bind(CHANNEL, OTHER_PEER);
    ann.channel_data(CHANNEL, b"four");
    world.advance(secs(100));
    let others: Vec<_> = (0..40).map(|at| world.client_on(at % 2, "bob").allocate()).collect();
    for most in [1, 7, 64, usize::MAX] {
        let seen = world.survey(most);
        let ids: BTreeSet<_> = seen.iter().map(|it| it.id.to_string()).collect();
        assert_eq!((seen.len(), ids.len()), (41, 41));
        let it = seen.iter().find(|it| it.user == "ann").expect("ann's");
        assert_eq!(it.link.tuple, ann.tuple());
        assert_eq!((it.realm, it.tenant), (RealmId(0), None));
        assert_eq!(it.relayed[0], Some(ann.relayed()));
        assert_eq!(it.relayed[1], ann.relayed_of(AddressFamily::Ipv6));
        assert_eq!((it.age, it.expires_in), (secs(100), secs(500)));
        assert_eq!(it.grants, (3, 1));
        assert_eq!(it.peers, [OTHER_PEER.ip(), PEER.ip(), PEER6.ip()]);
        assert_eq!((it.traffic.up_packets, it.traffic.up_bytes), (1, 4));
    }
    // What has expired is not shown, whether it was swept or not.
    others[0].refresh(600);
    world.advance_without_sweep(secs(599));
    assert_eq!(world.survey(64).len(), 40);
    world.advance_without_sweep(secs(2));
    assert!(world.survey(64).len() <= 1);
}

#[test]
fn reports_of_an_allocation_say_what_it_was() {
    let world = world();
    let ann = world.client("ann").challenged();
    let asked = world.now().mono;
    world.hold_completions();
    ann.allocate_request().once().expect_silence();
    world.advance_without_sweep(Duration::from_millis(7));
    let answer = world.release_completions().answer();
    ann.permit(PEER).bind(CHANNEL, OTHER_PEER);
    ann.channel_data(CHANNEL, b"four");
    world.advance(secs(42));
    ann.refresh(0);
    let reports = world.reports();
    let [Report::Created { id, realm, tenant, relayed, asked_at, .. }, last] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!((*realm, *tenant, *asked_at), (RealmId(0), None, asked));
    assert_eq!(relayed[0], answer.relayed().first().copied());
    let Report::Ended { id: same, user, link, relayed: known, peers, reason, traffic, age, .. } =
        last
    else {
        panic!("{last:?}")
    };
    assert_eq!((same, &**user, known, reason), (id, "ann", relayed, &EndReason::Deleted));
    assert_eq!((link.tuple, traffic.up_bytes, *age), (ann.tuple(), 4, secs(42)));
    assert_eq!(**peers, [OTHER_PEER.ip(), PEER.ip()]);
}

#[test]
fn end_of_an_allocation_of_two_families_names_both_relayed_addresses() {
    let world = world();
    let ann = world.client("ann");
    let both = AdditionalAddressFamily(AddressFamily::Ipv6);
    let relayed = ann.allocate_request().with(both).exchange().relayed();
    world.advance(secs(600));
    let known = world.reports().into_iter().find_map(|report| match report {
        Report::Ended { relayed, .. } => Some(relayed),
        Report::Created { .. }
        | Report::AuthFailed { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    });
    assert_eq!(known, Some([Some(relayed[0]), Some(relayed[1])]));
}

#[test]
fn at_most_eight_peers_are_named() {
    let world = world().realm(|realm| realm.limits.new_peers = None);
    let ann = world.client("ann").allocate();
    for last in 1..=20_u8 {
        ann.permit(std::net::SocketAddr::from(([11, 22, 33, last], 9)));
    }
    assert_eq!(world.survey(1)[0].peers.len(), Report::MOST_PEERS);
}

/// The failures that were reported, and that the counters agree.
fn failures(world: &World) -> Vec<(Option<String>, AuthFailure)> {
    let failure = |report: Report| match report {
        Report::AuthFailed { user, reason, .. } => Some((user.map(String::from), reason)),
        Report::Created { .. }
        | Report::Ended { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    };
    world.reports().into_iter().filter_map(failure).collect()
}

fn counted(world: &World, reason: AuthFailure) -> u64 {
    world.counters().iter().map(|counters| counters.auth_failures(reason)).sum()
}

#[test]
fn each_failure_is_reported_with_its_reason_and_counted() {
    let rules = TimeLimitedRules { max_ttl: Some(86_400), ..TimeLimitedRules::default() };
    let world = world().secret("shared").rules(rules);
    let limited = |seconds: i64| format!("{}:cid", START.0.saturating_add_signed(seconds));
    let cases = [
        ("eve".to_owned(), "secret", AuthFailure::UnknownUser),
        ("ann".to_owned(), "wrong", AuthFailure::WrongPassword),
        (limited(600), "wrong", AuthFailure::WrongSecret),
        (limited(-600), "wrong", AuthFailure::Expired),
        (limited(200_000), "wrong", AuthFailure::TooLongLived),
    ];
    for (name, password, reason) in cases {
        let client = world.client(&name).with_password(password);
        assert_eq!(client.allocate_request().code(), 401, "{reason:?}");
        assert_eq!(failures(&world), [(Some(name), reason)]);
        assert_eq!(counted(&world, reason), 1, "{reason:?}");
    }
    assert_eq!(world.client(&limited(600)).allocate_request().code(), 200);
    world.reports();

    let ann = world.client("ann").challenged();
    world.advance(secs(700));
    assert_eq!(ann.allocate_request().once().code(), 438);
    assert_eq!(failures(&world), [(Some("ann".into()), AuthFailure::StaleNonce)]);
    let short = ann.challenged().credentials(Method::ALLOCATE);
    let short = short.raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &[7; 16]);
    assert_eq!(ann.sends(&short.bytes(ID)).code(), 400);
    assert_eq!(failures(&world), [(Some("ann".into()), AuthFailure::Malformed)]);
}

#[test]
fn first_challenge_is_no_failure() {
    let world = world();
    world.client("ann").allocate();
    assert_eq!(failures(&world), []);
    assert!(AuthFailure::ALL.into_iter().all(|reason| counted(&world, reason) == 0));
}

#[test]
fn h29_strangers_make_no_report_and_names_break_no_line() {
    let world = world();
    let forged = Draft::request(Method::ALLOCATE)
        .raw(AttributeType::USERNAME, b"ann")
        .raw(AttributeType::REALM, b"example.org")
        .raw(AttributeType::NONCE, b"an invented nonce")
        .raw(AttributeType::MESSAGE_INTEGRITY, &[7; 20]);
    assert_eq!(world.client("ann").sends(&forged.bytes(ID)).code(), 438);
    let half = Draft::request(Method::ALLOCATE).raw(AttributeType::MESSAGE_INTEGRITY, &[7; 20]);
    assert_eq!(world.client("ann").sends(&half.bytes(ID)).code(), 400);
    assert_eq!(failures(&world), []);
    let both = [AuthFailure::StaleNonce, AuthFailure::Malformed];
    assert_eq!(both.map(|reason| counted(&world, reason)), [1, 1]);

    let eve = world.client("ann\nroot").with_password("secret");
    assert_eq!(eve.allocate_request().code(), 401);
    assert_eq!(failures(&world), [(None, AuthFailure::UnknownUser)]);
}

#[test]
fn h24_silence_after_too_many_attempts_is_counted_and_not_reported() {
    let world = world();
    let eve = world.client("ann").with_password("wrong").over(Transport::Tcp).challenged();
    for _ in 0..10 {
        assert_eq!(eve.allocate_request().once().code(), 401);
    }
    assert_eq!(failures(&world).len(), 10);
    for _ in 0..5 {
        eve.allocate_request().once().expect_silence();
    }
    assert_eq!((failures(&world).len(), counted(&world, AuthFailure::TooManyAttempts)), (0, 5));
}
