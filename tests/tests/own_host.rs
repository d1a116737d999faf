//! The relay's own machine: closed to every client in every spelling, but for the ports that an
//! `allow` entry names.
//!
//! Each test runs in a network namespace where *every* address is one of this machine, so that
//! whatever passes the peer policy reaches a canary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use turn_client::{AllocateOptions, Client, Origin};
use turn_codec::AddressFamily;
use turn_tests::system::{
    Canary, Echo, Scripted, binding_request, channel, configured, connect, inside, user,
};

const SOON: Duration = Duration::from_secs(5);

const MACHINE: [&str; 8] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 192.0.2.10/24 dev v0",
    "ip address add 192.0.2.11/24 dev v0",
    "ip address add 2001:db8::10/64 dev v0 nodad",
    "ip address add 2001:db8::11/64 dev v0 nodad",
    "ip link set v0 up; ip link set v1 up",
    "ip route add local default dev lo",
    "ip -6 route add local default dev lo",
];

/// The relay's own addresses, and others of the same machine.
const RELAY: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
const OTHERS: [&str; 5] = ["192.0.2.11", "2001:db8::11", "127.0.0.1", "127.9.9.9", "::1"];

/// Where a media server of the same machine is, and ports that are no business of a client.
const MEDIA: u16 = 10_005;
const CLOSED: [u16; 4] = [22, 3_478, 9_999, 10_011];

/// All limits off that would keep a sweep from its end; they are not what is tried here.
const CONFIG: &str = r#"
shards = 2
[[listen]]
address = "192.0.2.10:3478"
[[listen]]
address = "[2001:db8::10]:3478"
[auth]
users = { ann = "secret" }
[limits]
permissions_per_allocation = "off"
channels_per_allocation = "off"
peers_per_allocation = "off"
new_peers = "off"
[relay]
addresses = ["192.0.2.10", "2001:db8::10"]
"#;

const EXTERNAL: &str = r#"
external = ["203.0.113.77=192.0.2.10", "2001:db8:77::1=2001:db8::10"]
"#;

#[test]
fn h1_no_spelling_of_an_own_address_reaches_a_canary() {
    inside("h1_no_spelling_of_an_own_address_reaches_a_canary", &MACHINE, || {
        let server = Scripted::start(&configured(CONFIG));
        let canaries = Canaries::new(true);
        sweep(&server, &canaries, &BTreeSet::new());
    });
}

#[test]
fn h2_no_spelling_of_an_own_address_reaches_a_canary_behind_an_external_address() {
    inside(
        "h2_no_spelling_of_an_own_address_reaches_a_canary_behind_an_external_address",
        &MACHINE,
        || {
            let server = Scripted::start(&configured(&format!("{CONFIG}{EXTERNAL}")));
            let canaries = Canaries::new(true);
            sweep(&server, &canaries, &BTreeSet::new());
        },
    );
}

#[test]
fn h6_a_media_servers_port_is_reached_once_it_is_allowed_and_no_other() {
    inside("h6_a_media_servers_port_is_reached_once_it_is_allowed_and_no_other", &MACHINE, || {
        // A range without ports opens no address of the machine itself.
        let allow = r#"
[peers]
allow = ["192.0.2.10:10000-10010", "[2001:db8::10]:10000-10010", "192.0.2.0/24", "2001:db8::/64"]
"#;
        let server = Scripted::start(&configured(&format!("{CONFIG}{allow}")));
        let canaries = Canaries::new(false);
        for address in RELAY.map(ip) {
            let media = Echo::on(SocketAddr::new(address, MEDIA));
            talk_to_the_media_server(&server, &media, media.address());
        }
        let open = RELAY.map(|address| SocketAddr::new(ip(address), MEDIA)).into();
        sweep(&server, &canaries, &open);
    });
}

#[test]
fn h6_a_media_servers_port_is_reached_by_its_public_address_that_is_nowhere_on_the_machine() {
    inside(
        "h6_a_media_servers_port_is_reached_by_its_public_address_that_is_nowhere_on_the_machine",
        &MACHINE,
        || {
            let allow = r#"
[peers]
allow = ["203.0.113.77:10000-10010", "[2001:db8:77::1]:10000-10010"]
"#;
            let server = Scripted::start(&configured(&format!("{CONFIG}{EXTERNAL}{allow}")));
            let canaries = Canaries::new(false);
            let public = ["203.0.113.77", "2001:db8:77::1"].map(ip);
            for (bound, public) in RELAY.map(ip).into_iter().zip(public) {
                let media = Echo::on(SocketAddr::new(bound, MEDIA));
                talk_to_the_media_server(&server, &media, SocketAddr::new(public, MEDIA));
            }
            let open = public.map(|address| SocketAddr::new(address, MEDIA)).into();
            sweep(&server, &canaries, &open);
        },
    );
}

/// Both ways, on a channel and by indications; the media server is always shown as `named`.
fn talk_to_the_media_server(server: &Scripted, media: &Echo, named: SocketAddr) {
    let (mut client, relayed) = allocate(server, AddressFamily::of(&named));
    client.create_permission(&[named]).unwrap();
    client.send_to(named, b"offer").unwrap();
    let (data, from) = media.receive().expect("an allowed port is reached");
    assert_eq!((data.as_slice(), from.port()), (&b"offer"[..], relayed.port()));
    assert!(RELAY.map(ip).contains(&from.ip()), "{from}");
    media.send(from, b"answer");
    let received = client.receive(SOON).unwrap();
    assert_eq!((received.from, received.data.as_slice()), (Origin::Peer(named), &b"answer"[..]));

    client.bind_channel(channel(0), named).unwrap();
    client.send_channel(channel(0), b"media").unwrap();
    assert_eq!(media.echo(), b"media");
    let received = client.receive(SOON).unwrap();
    assert_eq!((received.from, received.data.as_slice()), (on(0), &b"media"[..]));
}

/// Every spelling, every closed port, every way to send: no canary sees anything, and the sockets
/// of our own listeners and relays see nothing either.
fn sweep(server: &Scripted, canaries: &Canaries, open: &BTreeSet<SocketAddr>) {
    let before = server.counter("from_peers");
    let mut tried = 0;
    for address in spellings() {
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            let (mut client, _) = allocate(server, family);
            let ports = CLOSED.into_iter().chain([MEDIA]);
            let peers = ports.map(|port| SocketAddr::new(address, port));
            for (n, peer) in (0..).zip(peers.filter(|peer| !open.contains(peer))) {
                knock(&mut client, n, peer);
                tried += 1;
            }
            client.refresh(Duration::ZERO).unwrap();
        }
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!(canaries.counts(), [], "reached by the sweep");
    assert_eq!(server.counter("binding_replies"), 0, "one of our own listeners was reached");
    assert_eq!(server.counter("from_peers"), before, "{:?}", server.counters());
    eprintln!("{tried} transport addresses, no canary reached");
    canaries.prove(server);
}

/// Sends to a peer in every way, whatever is answered. What reached a listener of ours would be
/// answered, for it is a Binding request.
fn knock(client: &mut Client, n: u16, peer: SocketAddr) {
    let payload = binding_request(n.into());
    client.send_to(peer, &payload).unwrap();
    let permitted = client.create_permission(&[peer]);
    client.send_to(peer, &payload).unwrap();
    let bound = client.bind_channel(channel(n), peer);
    client.send_channel(channel(n), &payload).unwrap();
    let own = RELAY.map(ip).contains(&peer.ip()) || is_external(peer.ip());
    for outcome in [permitted, bound] {
        match outcome.map_err(|error| error.code().unwrap().get()) {
            // Two clients of one relay talk to each other; what is no live port goes nowhere.
            Ok(()) => assert!(own, "{peer} was granted"),
            Err(code) => assert!([400, 403, 443].contains(&code), "{peer}: {code}"),
        }
    }
}

/// Sockets that count, each on what the others leave free.
struct Canaries(Vec<Canary>);

impl Canaries {
    /// `with_media`: also where the media server would be.
    fn new(with_media: bool) -> Self {
        // A socket on [::] takes both families, and every address is local here.
        let everywhere = CLOSED.into_iter().filter(|port| *port != 3_478);
        let everywhere = everywhere.map(|port| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
        let others = OTHERS.map(ip).into_iter();
        let others = others.flat_map(|address| [3_478, MEDIA].map(|port| (address, port).into()));
        let media = RELAY.map(|address| SocketAddr::new(ip(address), MEDIA));
        let media = media.into_iter().filter(|_| with_media);
        Self(everywhere.chain(others).chain(media).map(Canary::on).collect())
    }

    /// Who was reached, and how often.
    fn counts(&self) -> Vec<(SocketAddr, usize)> {
        let counts = self.0.iter().map(|canary| (canary.address(), canary.count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Shows that they would have counted: a peer that the policy lets pass reaches them.
    fn prove(&self, server: &Scripted) {
        let outside = ["8.8.8.8", "2606:4700::1111"].map(ip);
        for address in outside {
            let (mut client, _) = allocate(server, AddressFamily::of_ip(&address));
            let peer = SocketAddr::new(address, 9_999);
            client.create_permission(&[peer]).unwrap();
            client.send_to(peer, b"hello").unwrap();
        }
        thread::sleep(Duration::from_millis(100));
        let counts: Vec<_> =
            self.counts().into_iter().map(|(on, count)| (on.port(), count)).collect();
        assert_eq!(counts, [(9_999, outside.len())]);
    }
}

/// Own addresses, addresses that a kernel takes for them, and everything that spells one of them.
fn spellings() -> BTreeSet<IpAddr> {
    let mut all: BTreeSet<IpAddr> = RELAY.map(ip).into_iter().chain(OTHERS.map(ip)).collect();
    let special = [
        "0.0.0.0",
        "0.0.0.1",
        "127.255.255.254",
        "192.0.2.255",
        "255.255.255.255",
        "224.0.0.1",
        "239.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "168.63.129.16",
        "240.0.0.1",
        "::",
        "ff02::1",
        "ff05::1",
        "ff0e::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00::1",
        "100::1",
        "5f00::1",
        "3fff::1",
        "2620:4f:8000::1",
    ];
    all.extend(special.map(ip));
    let inner: Vec<Ipv4Addr> = all
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .collect();
    all.extend(inner.into_iter().flat_map(embedded).map(IpAddr::V6));
    // What only an external address makes ours is swept with the rest.
    all.extend([ip("203.0.113.77"), ip("2001:db8:77::1")]);
    all
}

/// Every IPv6 spelling of an IPv4 address that some stack takes for it.
fn embedded(inner: Ipv4Addr) -> [Ipv6Addr; 11] {
    let [high, low] =
        [inner.to_bits() >> 16, inner.to_bits() & 0xFFFF].map(|half| u16::try_from(half).unwrap());
    [
        // IPv4-mapped, -compatible and -translated.
        [0, 0, 0, 0, 0, 0xFFFF, high, low],
        [0, 0, 0, 0, 0, 0, high, low],
        [0, 0, 0, 0, 0xFFFF, 0, high, low],
        // NAT64, well-known and local-use.
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low],
        [0x64, 0xFF9B, 1, 0, 0, 0, high, low],
        // 6to4.
        [0x2002, high, low, 0, 0, 0, 0, 1],
        // Teredo: as server, and as client with its bits inverted.
        [0x2001, 0, high, low, 0, 0, 0, 0],
        [0x2001, 0, 0, 0, 0, 0, !high, !low],
        // ISATAP, link-local and global.
        [0xFE80, 0, 0, 0, 0, 0x5EFE, high, low],
        [0x2606, 0x4700, 0, 0, 0, 0x5EFE, high, low],
        [0x2606, 0x4700, 0, 0, 0x0200, 0x5EFE, high, low],
    ]
    .map(Ipv6Addr::from)
}

fn allocate(server: &Scripted, family: AddressFamily) -> (Client, SocketAddr) {
    let mut client = connect(server.address_on(ip(RELAY[0])), user());
    let options = AllocateOptions { family: Some(family), ..AllocateOptions::default() };
    let allocation = client.allocate(&options).unwrap();
    (client, allocation.relayed)
}

fn is_external(address: IpAddr) -> bool {
    ["203.0.113.77", "2001:db8:77::1"].map(ip).contains(&address)
}

fn on(number: u16) -> Origin {
    Origin::Channel(channel(number))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
