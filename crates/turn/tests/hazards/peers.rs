//! Peers that no client may reach, in every spelling.

use super::*;

/// A world in which a client may ask for as many peers as it likes.
fn open_ended(world: World) -> World {
    world.realm(|realm| {
        realm.limits.permissions_per_allocation = None;
        realm.limits.channels_per_allocation = None;
        realm.limits.peers_per_allocation = None;
        realm.limits.new_peers = None;
    })
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
