//! Attacks on the engine: forbidden peers in every spelling, reflection, guessing, replay,
//! floods and scans.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use turn_codec::attribute::{
    AdditionalAddressFamily, EvenPort, Lifetime, RequestedTransport, ReservationToken,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_credentials::KeyAlgorithm;
use turn_engine::{AddressRange, DropReason, PeerRule, PerUser, Rate, RealmId, Report, Settings};
use turn_testkit::{
    CHANNEL, Client, Draft, OTHER_PEER, PEER, RELAY4, RELAY6, SERVER4, SERVER6, START, Scheme,
    World, secs,
};

const ID: [u8; 12] = *b"a request id";
const PAIR: EvenPort = EvenPort { reserve: true };

fn world() -> World {
    World::new().user("ann", "secret").user("bob", "other")
}

/// A world in which a client may ask for as many peers as it likes.
fn open_ended(world: World) -> World {
    world.realm(|realm| {
        realm.limits.permissions_per_allocation = None;
        realm.limits.channels_per_allocation = None;
        realm.limits.peers_per_allocation = None;
        realm.limits.new_peers = None;
    })
}

fn dual(world: &World) -> Client {
    let ann = world.client("ann");
    let ask = ann.allocate_request().with(AdditionalAddressFamily(AddressFamily::Ipv6));
    assert_eq!(ask.code(), 200);
    ann
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bare() -> Vec<u8> {
    Draft::request(Method::ALLOCATE).with(RequestedTransport::UDP).bytes(ID)
}

fn net(text: &str, ports: Option<std::ops::RangeInclusive<u16>>) -> PeerRule {
    let net: ipnet::IpNet = text.parse().unwrap();
    PeerRule { range: net.into(), ports }
}

/// No path may lead to this address: not one byte leaves for it.
fn expect_unreachable(client: &Client, address: IpAddr) {
    for port in [1, 53, 80, 3_478, 5_000] {
        let peer = SocketAddr::new(address, port);
        assert_eq!(client.bind_request(CHANNEL, peer).code(), 403, "ChannelBind {peer}");
        client.send(peer, b"x").expect_silence();
        client.channel_data(CHANNEL, b"x").expect_silence();
    }
    let peer = SocketAddr::new(address, 0);
    assert_eq!(client.permit_request(&[peer]).code(), 403, "CreatePermission {address}");
    assert_eq!(client.permit_request(&[PEER, peer]).code(), 403, "CreatePermission {address}");
}

fn expect_all_unreachable(world: World, addresses: &[&str]) {
    let client = dual(&world);
    addresses.iter().for_each(|address| expect_unreachable(&client, ip(address)));
}

#[test]
fn h1_loopback_and_own_listeners_are_unreachable() {
    let own = [SERVER4.ip().to_string(), SERVER6.ip().to_string()];
    let own = own.each_ref().map(String::as_str);
    let loopback = ["127.0.0.1", "127.9.9.9", "127.255.255.255", "::1", "0.0.0.0", "0.1.2.3", "::"];
    expect_all_unreachable(open_ended(world()), &[&loopback[..], &own[..]].concat());
    // No `allow` opens them, with or without ports.
    for ports in [None, Some(1..=65_535)] {
        let world = world().realm(|realm| {
            realm.peers.allow =
                ["0.0.0.0/0", "::/0"].map(|range| net(range, ports.clone())).to_vec();
        });
        expect_all_unreachable(open_ended(world), &loopback);
    }
}

#[test]
fn h1_lab_switch_opens_loopback_but_not_the_listeners() {
    let world = open_ended(world()).realm(|realm| realm.peers.loopback = true);
    let ann = dual(&world);
    let canary = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    ann.permit(canary).send(canary, b"x").expect_at_peer(canary, b"x");
    let world = open_ended(world).realm(|realm| {
        realm.peers.endpoints.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3_478)));
    });
    world.reload(|_| ());
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, 3_478));
    ann.send(listener, b"x").expect_dropped(DropReason::PeerDenied);
    assert_eq!(ann.bind_request(CHANNEL, listener).code(), 403);
}

#[test]
fn h2_no_spelling_of_an_ipv4_address_is_reachable() {
    let mut addresses = Vec::new();
    for inner in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0"] {
        addresses.extend([
            format!("::ffff:{inner}"),
            format!("::ffff:0:{inner}"),
            format!("::{inner}"),
            format!("64:ff9b::{inner}"),
            format!("64:ff9b:1::{inner}"),
        ]);
        let v4: Ipv4Addr = inner.parse().unwrap();
        let [a, b, c, d] = v4.octets();
        addresses.push(format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"));
    }
    addresses.extend(["2001::1", "2001:0:5ef5:79fb::1"].map(String::from));
    addresses.extend(["2a00::5efe:10.0.0.1", "2a00::200:5efe:127.0.0.1"].map(String::from));
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    expect_all_unreachable(open_ended(world()), &addresses);
    let world = world().realm(|realm| {
        realm.peers.allow = vec![net("0.0.0.0/0", None), net("::/0", None)];
    });
    expect_all_unreachable(open_ended(world), &addresses);
}

/// The denied list of the requirements, as text: a naive oracle compares prefixes.
const DENIED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];

fn oracle_denies(address: IpAddr) -> bool {
    let is_denied =
        DENIED.iter().any(|range| range.parse::<ipnet::IpNet>().unwrap().contains(&address));
    let global: ipnet::IpNet = "2000::/3".parse().unwrap();
    is_denied || address.is_ipv6() && !global.contains(&address)
}

/// Addresses in and right beside every denied range, and anywhere.
fn any_address() -> impl Strategy<Value = IpAddr> {
    let near = (0..DENIED.len(), any::<u128>(), 0_u8..4).prop_map(|(at, low, place)| {
        let net: ipnet::IpNet = DENIED[at].parse().unwrap();
        match (net, place) {
            (_, 0) => net.network(),
            (_, 1) => net.broadcast(),
            (ipnet::IpNet::V4(net), 2) => {
                let host = u32::try_from(low & u128::from(u32::from(net.hostmask()))).unwrap();
                IpAddr::from(Ipv4Addr::from_bits(net.network().to_bits() | host))
            }
            (ipnet::IpNet::V6(net), 2) => IpAddr::from(Ipv6Addr::from_bits(
                net.network().to_bits() | low & net.hostmask().to_bits(),
            )),
            (ipnet::IpNet::V4(net), _) => {
                IpAddr::from(Ipv4Addr::from_bits(net.broadcast().to_bits().wrapping_add(1)))
            }
            (ipnet::IpNet::V6(net), _) => {
                IpAddr::from(Ipv6Addr::from_bits(net.broadcast().to_bits().wrapping_add(1)))
            }
        }
    });
    prop_oneof![
        4 => near,
        2 => any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))),
        2 => any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))),
        1 => any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits >> 3 | 1 << 125))),
    ]
}

#[test]
fn h2_policy_agrees_with_a_naive_oracle_on_any_address() {
    let client = dual(&open_ended(world()));
    let config =
        ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(address in any_address())| {
        let own = [RELAY4, RELAY6];
        // An interface identifier of ISATAP over a denied address is denied on top.
        let is_isatap = matches!(address, IpAddr::V6(v6) if v6.segments()[5] == 0x5efe);
        prop_assume!(!own.contains(&address) && !is_isatap);
        let code = client.permit_request(&[SocketAddr::new(address, 0)]).code();
        prop_assert_eq!(code, if oracle_denies(address) { 403 } else { 200 }, "{}", address);
    });
}

#[test]
fn h3_deny_wins_and_ranges_are_compared_bit_by_bit() {
    // Naive: a range is its first and last number.
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let config =
        ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    // Around a byte boundary, where comparing byte by byte goes wrong.
    let v4 = (0_u32..1_024).prop_map(|low| IpAddr::from(Ipv4Addr::from_bits(0x0b16_fe00 + low)));
    let v6 = (0_u128..1_024)
        .prop_map(|low| IpAddr::from(Ipv6Addr::from_bits((0x2a00_u128 << 112) + 0xfe00 + low)));
    let address = prop_oneof![v4, v6].boxed();
    let range = (address.clone(), address.clone()).prop_filter_map("one family", |(a, b)| {
        let (first, last) = if a <= b { (a, b) } else { (b, a) };
        AddressRange::new(first, last).map(|range| (range, first, last))
    });
    let ranges = prop::collection::vec(range, 0..4);
    proptest!(config, |(deny in ranges.clone(), allow in ranges, peers in prop::collection::vec(address, 16))| {
        let rules = |ranges: &[(AddressRange, IpAddr, IpAddr)]| {
            ranges.iter().map(|(range, ..)| PeerRule { range: *range, ports: None }).collect()
        };
        let (denied, allowed) = (rules(&deny), rules(&allow));
        let world = open_ended(world()).realm(|realm| {
            realm.peers.deny = denied;
            realm.peers.allow = allowed;
        });
        let client = dual(&world);
        for peer in peers {
            let is_in = |first: IpAddr, last: IpAddr| {
                first.is_ipv4() == peer.is_ipv4() && (number(first)..=number(last)).contains(&number(peer))
            };
            let is_denied = deny.iter().any(|(_, first, last)| is_in(*first, *last));
            let code = client.permit_request(&[SocketAddr::new(peer, 0)]).code();
            prop_assert_eq!(code, if is_denied { 403 } else { 200 }, "{}", peer);
        }
    });
}

#[test]
fn h4_metadata_services_are_unreachable() {
    expect_all_unreachable(
        open_ended(world()),
        &[
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fe80::a9fe:a9fe",
        ],
    );
}

#[test]
fn h5_multicast_and_broadcast_are_unreachable() {
    let broadcast = ip("11.22.33.255");
    let world = open_ended(world()).realm(|realm| {
        realm.peers.broadcasts.push(broadcast);
        realm.peers.allow = vec![net("0.0.0.0/0", None), net("::/0", None)];
    });
    expect_all_unreachable(
        world,
        &["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "ff0e::1", "11.22.33.255"],
    );
}

#[test]
fn h6_two_clients_of_one_server_reach_each_other() {
    let world = world();
    let ann = world.client("ann").allocate();
    let bob = world.client("bob").allocate();
    let (ann, bob) = (ann.permit(bob.relayed()), bob.permit(ann.relayed()));
    ann.send(bob.relayed(), b"hi").expect_indication(&bob, ann.relayed(), b"hi");
    let bob = bob.bind(CHANNEL, ann.relayed());
    ann.send(bob.relayed(), b"hi").expect_channel_data(&bob, CHANNEL, b"hi");
    bob.channel_data(CHANNEL, b"ho").expect_indication(&ann, bob.relayed(), b"ho");
    assert_eq!(world.counters()[0].relayed_inside.get(), 3);
}

#[test]
fn h6_no_other_port_of_an_own_address_is_reached() {
    let world = open_ended(world());
    let ann = world.client("ann").allocate();
    let own = |port| SocketAddr::new(RELAY4, port);
    let ann = ann.permit(own(0));
    for port in [22, 53, 80, 3_478, 9_641, 49_151, 60_000] {
        ann.send(own(port), b"x").expect_dropped(DropReason::NotRelayed);
        assert_eq!(ann.bind_request(CHANNEL, own(port)).code(), 200);
        ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NotRelayed);
        assert_eq!(ann.refresh(0).code(), 200);
        ann.allocate().permit(own(0));
    }
    // A reserved port is nobody's yet.
    let pair = world.client("bob");
    assert_eq!(pair.allocate_request().with(PAIR).code(), 200);
    ann.send(own(pair.relayed().port() + 1), b"x").expect_dropped(DropReason::NotRelayed);
}

#[test]
fn h6_allowed_port_of_an_own_address_is_reached_at_its_bound_form() {
    let public = ip("203.0.113.7");
    let allow = net("203.0.113.7/32", Some(10_000..=10_010));
    let world = world().external(RELAY4, public).realm(|realm| realm.peers.allow.push(allow));
    let service = SocketAddr::new(public, 10_000);
    let bound = SocketAddr::new(RELAY4, 10_000);
    let ann = world.client("ann").allocate().permit(service);
    ann.send(service, b"x").expect_at_peer(bound, b"x");
    // What it answers is shown as it was addressed.
    world.peer(bound).sends(ann.relayed(), b"y").expect_indication(&ann, service, b"y");
    for shut in [22, 9_999, 10_011, 3_478] {
        ann.send(SocketAddr::new(public, shut), b"x").expect_dropped(DropReason::NotRelayed);
    }
    assert_eq!(ann.permit_request(&[bound]).code(), 200);
    ann.send(bound, b"x").expect_dropped(DropReason::NotRelayed);
}

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
fn h18_flood_of_allocations_stops_at_each_cap() {
    let name = |number: u64| format!("{}:user", START.0 + 3_600 + number);
    let world = World::new().secret("shared");
    for number in 0..PerUser::AUTO {
        world.client(&name(number.into())).allocate();
    }
    assert_eq!(world.client(&name(0)).allocate_request().code(), 486);
    let other = format!("{}:other", START.0 + 60);
    assert_eq!(world.client(&other).allocate_request().code(), 200);

    // Of one source: an address, or a /64.
    let world = world_of_source_cap(2);
    for address in ["[2001:db8:5::1]:4000", "[2001:db8:5::2]:4000"] {
        world.client_at("ann", address.parse().unwrap()).allocate();
    }
    let third = world.client_at("bob", "[2001:db8:5:0:9::3]:4000".parse().unwrap());
    assert_eq!(third.allocate_request().code(), 486);
    let elsewhere = world.client_at("bob", "[2001:db8:6::3]:4000".parse().unwrap());
    assert_eq!(elsewhere.allocate_request().code(), 200);
    // Static users and bare expiries often serve a whole site.
    let world = crate::world().secret("shared");
    for number in 0..u64::from(PerUser::AUTO) {
        world.client("ann").allocate();
        world.client(&(START.0 + 3_600 + number).to_string()).allocate();
    }
    assert_eq!(world.client("ann").allocate_request().code(), 200);
    assert_eq!(world.client(&(START.0 + 60).to_string()).allocate_request().code(), 200);
}

fn world_of_source_cap(most: u32) -> World {
    world().settings(|settings| settings.limits.allocations_per_source = Some(most))
}

#[test]
fn h19_reservations_count_and_ports_come_back() {
    let world = world()
        .ports(50_000..=50_007)
        .realm(|realm| realm.limits.allocations_per_user = PerUser::Count(6));
    let pairs: Vec<_> = (0..3)
        .map(|_| {
            let ann = world.client("ann");
            assert_eq!(ann.allocate_request().with(PAIR).code(), 200);
            ann
        })
        .collect();
    // Three allocations and three reservations are six units and six ports.
    assert_eq!(world.client("ann").allocate_request().code(), 486);
    assert_eq!(world.client("bob").allocate_request().with(PAIR).code(), 200);
    assert_eq!(world.client("bob").allocate_request().code(), 508);
    world.advance(secs(30));
    // The reservations have run out, their ports rest but are better than none.
    assert_eq!((world.quota_units(), world.port_count(0).quarantined), (4, 4));
    let token = pairs[0].token();
    assert_eq!(world.client("ann").allocate_request().with(ReservationToken(token)).code(), 508);
    for _ in 0..4 {
        assert_eq!(world.client("bob").allocate_request().code(), 200);
    }
    assert_eq!(world.client("bob").allocate_request().code(), 508);
    world.expect_nothing_left_in_the_end();
}

#[test]
fn h20_peers_of_a_former_owner_do_not_reach_the_next_one() {
    let world = world().ports(50_000..=50_019);
    let ann = world.client("ann").allocate().permit(PEER).bind(CHANNEL, OTHER_PEER);
    let old = ann.relayed();
    assert_eq!(ann.refresh(0).code(), 200);
    world.peer(PEER).sends(old, b"x").expect_silence();
    // Others rest first: 19 allocations, and none of them at the old port.
    let others: Vec<_> = (0..19).map(|_| world.client("bob").allocate()).collect();
    assert!(others.iter().all(|client| client.relayed() != old));
    // Where it is the last one left it is used, with nothing of what was.
    let next = world.client("bob").allocate();
    assert_eq!(next.relayed(), old);
    world.peer(PEER).sends(old, b"x").expect_dropped(DropReason::NoPermission);
    world.peer(OTHER_PEER).sends(old, b"x").expect_dropped(DropReason::NoPermission);
    next.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
}

#[test]
fn h20_port_that_has_rested_is_used_again() {
    let world = world().ports(50_000..=50_001);
    let ann = world.client("ann").allocate();
    let old = ann.relayed();
    assert_eq!(ann.refresh(0).code(), 200);
    world.advance(secs(59));
    assert_eq!(world.port_count(0).quarantined, 1);
    world.advance(secs(1));
    assert_eq!((world.port_count(0).quarantined, world.port_count(0).free), (0, 2));
    let again: HashSet<_> = (0..2).map(|_| world.client("ann").allocate().relayed()).collect();
    assert!(again.contains(&old));
}

#[test]
fn h21_nothing_of_one_message_shows_in_another() {
    let canary = b"CANARY-CANARY-CANARY-CANARY-CANARY-CANARY";
    let world = world().settings(|settings| settings.limits.challenges = None);
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    let eve = world.client("bob");
    let shows = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"CANARY");
    for len in 0..canary.len() {
        // Long things first: data, names and attributes that fill buffers.
        ann.channel_data(CHANNEL, canary).expect_at_peer(PEER, canary);
        let full = ann.ask(Method::REFRESH).raw(AttributeType::SOFTWARE, canary);
        assert_eq!(full.code(), 200);
        eve.allocate_request().raw(AttributeType::USERNAME, canary).once_unsigned();
        // Then short ones.
        let challenge = eve.allocate_request().once_unsigned().answer();
        assert!(!shows(challenge.as_bytes()));
        let data = vec![b'x'; len];
        let back = world.peer(PEER).sends(ann.relayed(), &data);
        assert!(!shows(back.frame()));
        // And lengths that claim more than there is.
        let claims = [&[0x40, 0, 0, 200][..], &data].concat();
        ann.sends(&claims).expect_silence();
    }
}

#[test]
fn h22_permissions_channels_and_peers_of_an_allocation_are_bounded() {
    let world = world().realm(|realm| realm.limits.new_peers = None);
    let ann = world.client("ann").allocate();
    let peer = |last: u8| SocketAddr::from(([11, 22, 44, last], 1_000));
    for last in 0..64 {
        ann.permit(peer(last));
    }
    assert_eq!(ann.permit_request(&[peer(64)]).code(), 508);
    assert_eq!(ann.bind_request(CHANNEL, peer(64)).code(), 508);
    for last in 0..64 {
        ann.bind(CHANNEL + u16::from(last), peer(last));
    }
    let further = SocketAddr::new(peer(0).ip(), 2_000);
    assert_eq!(ann.bind_request(CHANNEL + 64, further).code(), 508);
    assert_eq!(ann.permit_request(&[peer(3)]).code(), 200);
    assert_eq!(ann.bind_request(CHANNEL, peer(0)).code(), 200);
    // 64 peers by channel, 192 more by Send, and no further.
    let reached = (3_000..4_000)
        .filter(|port| !ann.send(SocketAddr::new(peer(1).ip(), *port), b"x").is_silent());
    assert_eq!(reached.count(), 192);
    ann.send(further, b"x").expect_dropped(DropReason::NewPeers);
}

#[test]
fn h22_port_scan_is_slowed_to_ten_a_second() {
    let world = world().realm(|realm| realm.limits.peers_per_allocation = None);
    let ann = world.client("ann").allocate().permit(PEER);
    let scan = || {
        (1..=1_000)
            .filter(|port| !ann.send(SocketAddr::new(PEER.ip(), *port), b"x").is_silent())
            .count()
    };
    assert_eq!(scan(), 64);
    let (key, realm) = ("new_peers", Some(RealmId(0)));
    let limit = Report::LimitReached { key, realm, tenant: None };
    let told = world.reports().into_iter().filter(|report| *report == limit);
    assert_eq!(told.count(), 1, "one WARN, not one a packet");
    let counted = world.counters()[0].limit_refusals().find(|(counted, _)| *counted == key);
    assert_eq!(counted, Some((key, 936)));
    // Those that were reached stay reachable; new ones come slowly.
    for second in 1..=5 {
        world.advance(secs(1));
        assert_eq!(scan(), 64 + 10 * second);
    }
    assert_eq!(ann.bind_request(CHANNEL, SocketAddr::new(PEER.ip(), 999)).code(), 508);
}

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

#[test]
fn h27_fresh_timestamps_do_not_evade_the_quota() {
    let world = World::new().secret("shared");
    let allocate = |name: String| world.client(&name).allocate_request().code();
    let granted = (0..100).filter(|&number| {
        let name = format!("{}:ann", START.0 + 3_600 + number);
        let code = allocate(name);
        assert!(matches!(code, 200 | 486));
        code == 200
    });
    assert_eq!(granted.count(), PerUser::AUTO as usize);
    // The other way to write it is the same user, another userid is not.
    assert_eq!(allocate(format!("ann:{}", START.0 + 60)), 486);
    assert_eq!(allocate(format!("{}:bob", START.0 + 60)), 200);
}

#[test]
fn h27_names_without_a_userid_are_one_user() {
    let world = World::new()
        .secret("shared")
        .realm(|realm| realm.limits.allocations_per_user = PerUser::Count(2));
    let allocate = |name: String| world.client(&name).allocate_request().code();
    assert_eq!(allocate((START.0 + 60).to_string()), 200);
    assert_eq!(allocate(format!("{}:", START.0 + 61)), 200);
    assert_eq!(allocate((START.0 + 62).to_string()), 486);
    assert_eq!(allocate(format!("{}:ann", START.0 + 62)), 200);
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
