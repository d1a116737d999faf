//! Realms and tenants side by side: what one has is nothing to another.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::net::{IpAddr, SocketAddr};

use turn_codec::attribute::{
    AdditionalAddressFamily, ConnectionId, EvenPort, RequestedAddressFamily, ReservationToken,
    XorPeerAddress,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_credentials::LongTermKey;
use turn_engine::{
    AddressRange, AuthFailure, DefaultFamily, EndReason, PeerRule, PerUser, RealmId, Report,
    Tenant, TenantId, TenantLimits, Transport,
};
use turn_testkit::{
    CHANNEL, Client, DENIED_PEER, Draft, OTHER_PEER, PEER, RELAY6, START, World, secs,
};

const HERE: RealmId = RealmId(0);
const THERE: RealmId = RealmId(1);
const ID: [u8; 12] = *b"a request id";

/// Two realms, which know "ann" by the same password.
fn world() -> World {
    World::new().user("ann", "secret").setup(|setup| {
        setup.settings.relay.tcp = true;
        assert_eq!(setup.add_realm("b.example"), THERE);
        setup.add_user_in(THERE, "ann", "secret", None);
        setup.add_user_in(THERE, "bob", "other", None);
    })
}

/// A world whose default realm has two tenants with these limits.
fn tenants(limits: TenantLimits) -> World {
    let tenant = |name: &str| Tenant { name: name.into(), limits };
    World::new().secret("of nobody").setup(|setup| {
        assert_eq!(setup.add_tenant(HERE, "of the app", tenant("app")), APP);
        assert_eq!(setup.add_tenant(HERE, "of the site", tenant("site")), SITE);
    })
}

const APP: TenantId = TenantId(0);
const SITE: TenantId = TenantId(1);

/// A time-limited name.
fn limited(userid: &str) -> String {
    format!("{}:{userid}", START.0 + 3_600)
}

fn rule(peer: SocketAddr) -> PeerRule {
    let range = AddressRange::new(peer.ip(), peer.ip()).expect("one address");
    PeerRule { range, ports: None }
}

#[test]
fn a20_client_is_challenged_by_the_realm_it_speaks_to_whatever_it_names() {
    let world = world();
    for (realm, name) in [(HERE, "example.org"), (THERE, "b.example"), (HERE, "example.org")] {
        let ann = world.client("ann").in_realm(realm);
        for named in ["example.org", "b.example", "c.example"] {
            let ask = ann.allocate_request().raw(AttributeType::REALM, named.as_bytes());
            assert_eq!(ask.once_unsigned().answer().realm(), Some(name));
        }
        assert_eq!(ann.allocate_request().code(), 200);
    }
}

#[test]
fn a20_same_name_and_password_in_another_realm_is_somebody_else() {
    let world = world();
    let ann = world.client("ann").challenged();
    let stolen = ann.allocate_request().signed();
    let there = ann.in_realm(THERE);
    // A whole request that would do at home: the nonce is not ours.
    assert_eq!(there.sends(&stolen).code(), 438);
    // With this realm's nonce and the other's key, which the realm's name is a part of.
    let there = there.challenged();
    let foreign = LongTermKey::md5("ann", "example.org", "secret");
    let asks = |realm: &str, key: &LongTermKey| {
        let nonce = there.nonce();
        let request = Draft::request(Method::ALLOCATE)
            .raw(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
            .raw(AttributeType::USERNAME, b"ann")
            .raw(AttributeType::REALM, realm.as_bytes())
            .raw(AttributeType::NONCE, nonce.as_bytes())
            .integrity(key);
        there.sends(&request.bytes(ID)).code()
    };
    assert_eq!(asks("b.example", &foreign), 401);
    assert_eq!(asks("example.org", &foreign), 401);
    assert_eq!(asks("example.org", &there.key()), 401);
    let reasons: Vec<_> = world.reports().into_iter().filter_map(reason).collect();
    let wrong_realm = (THERE, AuthFailure::WrongRealm);
    assert_eq!(reasons, [(THERE, AuthFailure::WrongPassword), wrong_realm, wrong_realm]);
    assert_eq!(asks("b.example", &there.key()), 200);
}

fn reason(report: Report) -> Option<(RealmId, AuthFailure)> {
    match report {
        Report::AuthFailed { realm, reason, .. } => Some((realm, reason)),
        Report::Created { .. }
        | Report::Ended { .. }
        | Report::Refused { .. }
        | Report::LimitReached { .. }
        | Report::PeerDenied { .. } => None,
    }
}

#[test]
fn a20_users_and_secrets_of_one_realm_are_nobody_in_another() {
    let world = world().secret("shared");
    assert_eq!(world.client("bob").in_realm(THERE).allocate_request().code(), 200);
    let bob = world.client("bob").with_password("other");
    assert_eq!(bob.allocate_request().code(), 401);
    let name = limited("cid");
    let cid = world.client(&name);
    assert_eq!(cid.allocate_request().code(), 200);
    let password = turn_credentials::shared_secret_password(b"shared", &name);
    let there = world.client(&name).in_realm(THERE).with_password(password.as_str());
    assert_eq!(there.allocate_request().code(), 401);
}

#[test]
fn a20_what_belongs_to_one_realm_cannot_be_claimed_from_another() {
    let world = world().shards(2);
    let pair = EvenPort { reserve: true };
    let ann = world.client_on(0, "ann");
    assert_eq!(ann.allocate_request().with(pair).code(), 200);
    let token = ReservationToken(ann.token());
    for shard in [0, 1] {
        let there = world.client_on(shard, "ann").in_realm(THERE);
        assert_eq!(there.allocate_request().with(token).code(), 508);
    }
    assert_eq!(world.client_on(1, "ann").allocate_request().with(token).code(), 200);

    let control = world.tcp_client_on(0, "ann").tcp_allocate();
    let id = control.connect(PEER);
    let there = world.tcp_client_on(0, "ann").in_realm(THERE);
    assert_eq!(there.bind_connection_request(id).code(), 441);
    // Nor does the key of the allocation help, which serves what belongs to it at home.
    let request = Draft::request(Method::CONNECTION_BIND)
        .with(ConnectionId(id))
        .raw(AttributeType::USERNAME, b"ann")
        .raw(AttributeType::REALM, b"b.example")
        .raw(AttributeType::NONCE, there.nonce().as_bytes())
        .integrity(&LongTermKey::md5("ann", "example.org", "secret"));
    assert_eq!(there.sends(&request.bytes(ID)).code(), 401);
    world.tcp_client_on(1, "ann").bind_connection(id);
}

#[test]
fn h27_same_user_of_another_realm_or_tenant_has_a_quota_of_its_own() {
    let world = world().setup(|setup| {
        for realm in [HERE, THERE] {
            setup.realm_of(realm).limits.allocations_per_user = PerUser::Count(1);
        }
    });
    for realm in [HERE, THERE] {
        let ann = || world.client("ann").in_realm(realm);
        assert_eq!((ann().allocate_request().code(), ann().allocate_request().code()), (200, 486));
    }

    let one_each =
        TenantLimits { allocations_per_user: Some(PerUser::Count(1)), ..TenantLimits::default() };
    let world = tenants(one_each);
    let name = limited("ann");
    for tenant in [APP, SITE] {
        let ann = || world.client(&name).of_tenant(tenant);
        assert_eq!((ann().allocate_request().code(), ann().allocate_request().code()), (200, 486));
    }
    // Who belongs to no tenant has the realm's.
    let ann = || world.client(&name).allocate_request().code();
    assert_eq!((ann(), ann()), (200, 200));
}

#[test]
fn h18_quota_of_a_realm_stops_that_realm_and_no_other() {
    let world = world().setup(|setup| setup.realm_of(THERE).limits.allocations = Some(2));
    let there = |name| world.client(name).in_realm(THERE);
    let held = [there("ann"), there("bob")].map(|client| client.allocate());
    assert_eq!(there("bob").allocate_request().code(), 486);
    assert_eq!(there("ann").allocate_request().code(), 486);
    assert_eq!(world.client("ann").allocate_request().code(), 200);
    let limits: Vec<_> = world.reports().into_iter().filter(is_limit).collect();
    let report = Report::LimitReached { key: "allocations", realm: Some(THERE), tenant: None };
    assert_eq!(limits, [report]);
    held[0].refresh(0);
    assert_eq!(there("bob").allocate_request().code(), 200);
}

#[test]
fn h18_quota_of_a_tenant_stops_that_tenant_and_no_other() {
    let world = tenants(TenantLimits { allocations: Some(2), ..TenantLimits::default() });
    let of = |tenant, userid| world.client(&limited(userid)).of_tenant(tenant);
    let held = [of(APP, "ann"), of(APP, "bob")].map(|client| client.allocate());
    assert_eq!(of(APP, "cid").allocate_request().code(), 486);
    assert_eq!(of(SITE, "cid").allocate_request().code(), 200);
    assert_eq!(world.client(&limited("cid")).allocate_request().code(), 200);
    let key = "auth.secrets.limits.allocations";
    let limits: Vec<_> = world.reports().into_iter().filter(is_limit).collect();
    let report = Report::LimitReached { key, realm: Some(HERE), tenant: Some(APP) };
    assert_eq!(limits, [report]);
    held[0].refresh(0);
    assert_eq!(of(APP, "cid").allocate_request().code(), 200);
    world.expect_nothing_left_in_the_end();
}

fn is_limit(report: &Report) -> bool {
    matches!(report, Report::LimitReached { .. })
}

#[test]
fn h19_reservation_counts_toward_realm_and_tenant_and_comes_back() {
    let world = tenants(TenantLimits { allocations: Some(2), ..TenantLimits::default() });
    let of = |tenant, userid| world.client(&limited(userid)).of_tenant(tenant);
    let pair = EvenPort { reserve: true };
    assert_eq!(of(APP, "ann").allocate_request().with(pair).code(), 200);
    assert_eq!(of(APP, "bob").allocate_request().code(), 486);
    let shared = world.shared();
    let units = || (shared.allocations_of_realm(HERE), shared.allocations_of_tenant(HERE, APP));
    assert_eq!(units(), (2, 2));
    world.advance(secs(30));
    assert_eq!(units(), (1, 1));
    assert_eq!(of(APP, "bob").allocate_request().code(), 200);
}

#[test]
fn t13_units_of_realms_and_tenants_come_back_on_every_way_to_end() {
    let world = tenants(TenantLimits::default()).settings(|settings| settings.relay.tcp = true);
    let shared = world.shared();
    type End = fn(&World, &Client);
    let ends: [End; 5] = [
        |_, client| assert_eq!(client.refresh(0).code(), 200),
        |world, _| drop(world.advance(secs(600))),
        |world, client| world.close_link(client),
        |world, client| world.fail_relay(client.relayed()),
        |world, _| assert!(world.end_allocation(world.survey(1)[0].id)),
    ];
    for end in ends {
        let client = world.client(&limited("ann")).over(Transport::Tcp).of_tenant(SITE).allocate();
        assert_eq!(shared.allocations_of_tenant(HERE, SITE), 1);
        end(&world, &client);
        let left = (shared.allocations_of_realm(HERE), shared.allocations_of_tenant(HERE, SITE));
        assert_eq!(left, (0, 0));
    }
    // A request that is refused after its quota was taken has given it back.
    world.fail_binds(Some(turn_engine::OpenError::Exhausted));
    let refused = world.client(&limited("ann")).of_tenant(SITE).allocate_request().code();
    assert_eq!((refused, shared.allocations_of_realm(HERE)), (508, 0));
}

#[test]
fn each_realm_has_its_own_peer_policy() {
    let world = world().setup(|setup| {
        setup.realm_of(THERE).peers.allow.push(rule(DENIED_PEER));
        setup.realm_of(THERE).peers.deny.push(rule(PEER));
    });
    let here = world.client("ann").allocate();
    let there = world.client("ann").in_realm(THERE).allocate();
    for (client, open, shut) in [(&here, PEER, DENIED_PEER), (&there, DENIED_PEER, PEER)] {
        let realm = if shut == PEER { THERE } else { HERE };
        world.reports();
        assert_eq!(client.permit_request(&[shut]).code(), 403);
        assert!(world.reports().contains(&Report::PeerDenied { peer: shut.ip(), realm }));
        assert_eq!(client.bind_request(CHANNEL, shut).code(), 403);
        client.permit(open).send(open, b"x").expect_at_peer(open, b"x");
        client.bind(CHANNEL, open).channel_data(CHANNEL, b"x").expect_at_peer(open, b"x");
        world.peer(open).sends(client.relayed(), b"x").expect_channel_data(client, CHANNEL, b"x");
    }
    let connects = |realm| {
        let control = world.tcp_client("ann").in_realm(realm).tcp_allocate();
        [PEER, DENIED_PEER].map(|peer| control.connect_request(peer).code())
    };
    assert_eq!((connects(HERE), connects(THERE)), ([200, 403], [403, 200]));
}

#[test]
fn p7_reload_of_one_realm_leaves_the_peers_of_another() {
    let world = world();
    let [here, there] = [HERE, THERE].map(|realm| {
        let client = world.client("ann").in_realm(realm).allocate();
        client.permit(OTHER_PEER).bind(CHANNEL, PEER)
    });
    let control = |realm| world.tcp_client("ann").in_realm(realm).tcp_allocate();
    let [kept, closed] = [control(HERE), control(THERE)].map(|control| control.connect(PEER));
    assert_ne!(kept, closed);
    world.reload(|setup| setup.realm_of(THERE).peers.deny.push(rule(PEER)));
    there.channel_data(CHANNEL, b"x").expect_silence();
    world.peer(PEER).sends(there.relayed(), b"x").expect_silence();
    there.send(OTHER_PEER, b"x").expect_at_peer(OTHER_PEER, b"x");
    here.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    world.peer(PEER).sends(here.relayed(), b"x").expect_channel_data(&here, CHANNEL, b"x");
    assert_eq!(world.peer_connections().len(), 1);
    world.tcp_client("ann").bind_connection(kept);
}

#[test]
fn allocations_of_two_realms_reach_each_other_as_peers_do() {
    let world = world();
    let here = world.client("ann").allocate();
    let there = world.client("ann").in_realm(THERE).allocate();
    here.permit(there.relayed());
    here.send(there.relayed(), b"x").expect_silence();
    there.permit(here.relayed());
    here.send(there.relayed(), b"x").expect_indication(&there, here.relayed(), b"x");
}

#[test]
fn realm_relays_at_its_own_addresses() {
    let world = world().setup(|setup| {
        setup.realm().relay_addresses = vec![0];
        setup.realm_of(THERE).relay_addresses = vec![1];
    });
    let here = world.client("ann");
    let there = world.client("ann").in_realm(THERE).allocate();
    assert_eq!(there.relayed().ip(), RELAY6);
    assert!(here.allocate().relayed().is_ipv4());
    let six = RequestedAddressFamily(AddressFamily::Ipv6);
    assert_eq!(world.client("ann").allocate_request().with(six).code(), 440);
    let four = RequestedAddressFamily(AddressFamily::Ipv4);
    let ask = world.client("ann").in_realm(THERE).allocate_request();
    assert_eq!(ask.with(four).code(), 440);
    let both = AdditionalAddressFamily(AddressFamily::Ipv6);
    let answer = world.client("ann").in_realm(THERE).allocate_request().with(both).exchange();
    assert_eq!((answer.code(), answer.relayed().len()), (200, 1));
    // The other realm's relay is our own address all the same, and nothing but a relay.
    let own = SocketAddr::new(RELAY6, 22);
    there.permit(own).send(own, b"x").expect_silence();
}

#[test]
fn client_is_relayed_where_it_has_sent_to_if_that_is_wanted() {
    let [one, two] = [7, 8].map(|last| IpAddr::from([198, 51, 100, last]));
    let world = World::new().user("ann", "secret").relays(&[one, two]).ports(50_000..=50_002);
    let world = world.settings(|settings| settings.relay.prefer_listener = true);
    let relayed = |server: IpAddr| {
        let ann = world.client("ann").to_server(SocketAddr::new(server, 3_478));
        ann.allocate().relayed().ip()
    };
    assert_eq!([two, two, one, two].map(relayed), [two, two, one, two]);
    // Its ports are used up: the other address is better than none.
    assert_eq!(relayed(two), one);
    // And where the client came to no relay address, it is the least used.
    assert_eq!(relayed(IpAddr::from([198, 51, 100, 1])), one);
}

#[test]
fn realm_has_its_own_default_family_and_lifetimes() {
    let world = world().setup(|setup| {
        let there = setup.realm_of(THERE);
        there.default_family = DefaultFamily::Ipv6;
        there.limits.max_lifetime = secs(1_000);
        there.limits.max_allocation_age = Some(secs(900));
    });
    let [here, there] = [HERE, THERE].map(|realm| world.client("ann").in_realm(realm));
    let families = [&here, &there].map(|client| client.clone().allocate().relayed().is_ipv6());
    assert_eq!(families, [false, true]);
    let granted = [&here, &there].map(|client| client.refresh(2_000).lifetime());
    assert_eq!(granted, [Some(2_000), Some(900)]);
}

#[test]
fn removed_realm_ends_what_it_has_and_lets_nobody_in() {
    let world = world().shards(2).setup(|setup| setup.realm_of(THERE).anonymous = true);
    let here = world.client_on(0, "ann").allocate();
    let there = [0, 1].map(|shard| world.client_on(shard, "bob").in_realm(THERE).allocate());
    let control = world.tcp_client("ann").in_realm(THERE).tcp_allocate();
    control.connect(PEER);
    world.reload(|setup| setup.remove_realm(THERE)).expect_silence();
    let ended: Vec<_> = world
        .reports()
        .into_iter()
        .filter(|report| matches!(report, Report::Ended { reason: EndReason::RealmRemoved, .. }))
        .collect();
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert_eq!((world.allocations(), world.peer_connections().len()), (1, 0));
    assert_eq!(here.refresh(600).code(), 200);
    for client in &there {
        assert_eq!(client.allocate_request().code(), 401);
        assert_eq!(client.ask(Method::REFRESH).code(), 401);
    }
    assert_eq!(
        world.client("").in_realm(RealmId(0)).allocate_request().once_unsigned().code(),
        401
    );
}

#[test]
fn allocate_under_way_is_refused_when_its_realm_goes() {
    for reserve in [false, true] {
        let world = world();
        let there = world.client("bob").in_realm(THERE).challenged();
        world.hold_completions();
        there.allocate_request().with(EvenPort { reserve }).once().expect_silence();
        world.reload(|setup| setup.remove_realm(THERE));
        assert_eq!(world.release_completions().code(), 508);
        assert_eq!((world.quota_units(), world.relay_count()), (0, 0));
        world.expect_nothing_left_in_the_end();
    }
}

#[test]
fn userhash_is_one_of_its_realm() {
    let world = world();
    let ann = world.client("ann").in_realm(THERE).challenged();
    let hash = turn_credentials::userhash("ann", "example.org");
    let request = Draft::request(Method::CREATE_PERMISSION)
        .with(XorPeerAddress(PEER))
        .raw(AttributeType::USERHASH, &hash)
        .raw(AttributeType::REALM, b"b.example")
        .raw(AttributeType::NONCE, ann.nonce().as_bytes())
        .integrity(&ann.key());
    assert_eq!(ann.sends(&request.bytes(ID)).code(), 401);
    let unknown = (THERE, AuthFailure::UnknownUser);
    assert_eq!(world.reports().into_iter().filter_map(reason).collect::<Vec<_>>(), [unknown]);
}
