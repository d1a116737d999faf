//! What goes wrong around a relay costs the packet it belongs to and nothing else: refusals of one
//! peer, a listener that fails, an address that goes and comes, datagrams too large.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Origin, Schedule};
use turn_codec::{AddressFamily, Method};
use turn_config::{Config, Shards};
use turn_tests::foreign::free_port;
use turn_tests::lab::{self, IPV4, IPV6};
use turn_tests::system::{Echo, Scripted, channel, configured, connect, inside, user};

const SOON: Duration = Duration::from_secs(5);
const MINUTES: Duration = Duration::from_secs(600);
const NOTHING: Duration = Duration::from_millis(200);

/// The host of the tests in a namespace, and a port of it that clients may reach.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const MEDIA_PORT: u16 = 20_000;

const IN_A_NAMESPACE: &str = r#"
shards = 1
[[listen]]
address = "192.0.2.1:3478"
[[listen]]
address = "[::1]:3478"
[relay]
addresses = ["192.0.2.1"]
[auth]
users = { ann = "secret" }
[peers]
allow = ["192.0.2.1:20000", "192.0.2.2-192.0.2.254", "198.18.0.0/15", "203.0.113.0/24"]
"#;

#[test]
fn r11_a_peer_that_refuses_never_costs_another_peer_a_packet() {
    for address in [IPV4, IPV6] {
        let server = Scripted::start(&lab::config_with_user("ann", "secret"));
        let (mut client, allocation) = allocated_on(&server, address);
        let healthy = Echo::on(SocketAddr::new(address, 0));
        let refusing = closed_port(address);
        client.bind_channel(channel(0), healthy.address()).unwrap();
        client.bind_channel(channel(1), refusing).unwrap();
        for number in 0..1_000_u32 {
            let message = number.to_be_bytes();
            // Both in one batch, in either order, so that the refusal is there before, between and
            // behind what the healthy peer is sent.
            for turn in [number % 2, (number + 1) % 2] {
                let to = if turn == 0 { channel(0) } else { channel(1) };
                client.send_channel(to, &message).unwrap();
            }
            assert_eq!(healthy.receive(), Some((message.to_vec(), allocation)), "{number}");
            healthy.send(allocation, &message);
            assert_eq!(client.receive(SOON).unwrap().data, message, "{number}");
        }
        client.refresh(MINUTES).unwrap();
        assert_eq!(server.journal().ended(), []);
        assert_eq!(server.counter("relayed_up"), 2_000, "{:?}", server.counters());
        assert_eq!(server.counter("relayed_down"), 1_000, "{:?}", server.counters());
        assert_eq!(server.counter("send_dropped"), 0, "{:?}", server.counters());
    }
}

#[test]
fn r11_a_peer_without_a_route_never_costs_another_peer_a_packet() {
    let commands = [
        "ip address add 192.0.2.1/24 dev lo",
        "ip route add unreachable 198.18.0.0/16",
        "ip route add blackhole 198.19.0.0/16",
    ];
    inside("r11_a_peer_without_a_route_never_costs_another_peer_a_packet", &commands, || {
        let server = Scripted::start(&configured(IN_A_NAMESPACE));
        let (mut client, relayed) = allocated_on(&server, HOST);
        let healthy = Echo::on(SocketAddr::new(HOST, MEDIA_PORT));
        client.bind_channel(channel(0), healthy.address()).unwrap();
        // EHOSTUNREACH, EINVAL, ENETUNREACH.
        let nowhere = ["198.18.0.1:9", "198.19.0.1:9", "203.0.113.1:9"];
        for (n, peer) in (1..).zip(nowhere) {
            client.bind_channel(channel(n), peer.parse().unwrap()).unwrap();
        }
        for number in 0..300_u16 {
            client.send_channel(channel(1 + number % 3), b"to nobody").unwrap();
            client.send_channel(channel(0), &number.to_be_bytes()).unwrap();
            assert_eq!(healthy.receive(), Some((number.to_be_bytes().to_vec(), relayed)));
        }
        client.refresh(MINUTES).unwrap();
        assert_eq!(server.journal().ended(), []);
        assert_eq!(server.counter("send_dropped"), 300, "{:?}", server.counters());
    });
}

#[test]
fn r11_a_steady_peer_that_goes_and_comes_back_is_reached_and_others_are_heard_all_the_while() {
    for address in [IPV4, IPV6] {
        let server = Scripted::start(&lab::config_with_user("ann", "secret"));
        let (mut client, relayed) = allocated_on(&server, address);
        let [peer, other] = [(); 2].map(|()| Echo::on(SocketAddr::new(address, 0)));
        let here = peer.address();
        client.bind_channel(channel(0), here).unwrap();
        client.bind_channel(channel(1), other.address()).unwrap();
        talk(&mut client, 0, &peer, relayed, 0..100);
        assert_eq!(sockets_at(relayed), 2, "one is connected to the steady peer");
        talk(&mut client, 1, &other, relayed, 100..105);
        drop(peer);
        for number in 105..200 {
            client.send_channel(channel(0), b"refused").unwrap();
            talk(&mut client, 1, &other, relayed, number..number + 1);
        }
        let peer = Echo::on(here);
        talk(&mut client, 0, &peer, relayed, 200..300);
        assert_eq!(server.counter("send_dropped"), 0, "{:?}", server.counters());
        client.refresh(Duration::ZERO).unwrap();
        assert_eq!(sockets_at(relayed), 0);
    }
}

#[test]
fn r11_sockets_of_a_steady_peer_that_are_destroyed_carry_on() {
    let server = Scripted::start(&lab::config_with_user("ann", "secret"));
    let (mut client, relayed) = allocated_on(&server, IPV4);
    let [peer, other] = [(); 2].map(|()| Echo::on(SocketAddr::new(IPV4, 0)));
    client.bind_channel(channel(0), peer.address()).unwrap();
    client.bind_channel(channel(1), other.address()).unwrap();
    talk(&mut client, 0, &peer, relayed, 0..10);
    for _ in 0..4 {
        assert_eq!(sockets_at(relayed), 2);
        destroy(relayed);
        // This one may be lost with the connection.
        client.send_channel(channel(0), b"first").unwrap();
        client.send_channel(channel(0), b"then").unwrap();
        while peer.receive().unwrap().0 != b"then" {}
        // Long enough to be connected again.
        talk(&mut client, 0, &peer, relayed, 0..100);
        talk(&mut client, 1, &other, relayed, 0..5);
    }
    client.refresh(MINUTES).unwrap();
    assert_eq!(server.journal().ended(), []);
}

#[test]
fn r10_a_full_queue_to_one_peer_costs_no_other_peer_and_no_socket() {
    // 64 kbit/s and a queue of 10,000 bytes: of a burst most finds no room.
    let commands = [
        "ip link add v0 type veth peer name v1",
        "ip address add 192.0.2.1/24 dev v0",
        "ip link set v0 up",
        "ip link set v1 up",
        "ip neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev v0",
        "tc qdisc add dev v0 root tbf rate 64kbit burst 2000 limit 10000",
    ];
    inside("r10_a_full_queue_to_one_peer_costs_no_other_peer_and_no_socket", &commands, || {
        let server = Scripted::start(&configured(IN_A_NAMESPACE));
        let (mut client, relayed) = allocated_on(&server, HOST);
        let healthy = Echo::on(SocketAddr::new(HOST, MEDIA_PORT));
        client.bind_channel(channel(0), healthy.address()).unwrap();
        client.bind_channel(channel(1), "192.0.2.99:9".parse().unwrap()).unwrap();
        for number in 0..500_u16 {
            client.send_channel(channel(1), &[7; 1_000]).unwrap();
            client.send_channel(channel(0), &number.to_be_bytes()).unwrap();
            let received = healthy.receive();
            assert_eq!(
                received,
                Some((number.to_be_bytes().to_vec(), relayed)),
                "{:?}",
                server.counters()
            );
        }
        client.refresh(MINUTES).unwrap();
        assert_eq!(server.journal().ended(), []);
        assert_eq!(server.counter("relayed_up"), 1_000, "{:?}", server.counters());
    });
}

#[test]
fn r12_a_listener_that_fails_is_bound_anew_and_its_allocations_live_on() {
    for shards in [1, 2] {
        let mut config =
            Config { shards: Shards::Count(shards), ..lab::config_with_user("ann", "secret") };
        // A port that the kernel has chosen is not the socket's own any more once it has failed.
        let port = free_port(IPV4);
        config.listen.iter_mut().for_each(|listen| listen.address.set_port(port));
        let server = Scripted::start(&config);
        let mut others: Vec<_> = (0..8).map(|_| allocated_on(&server, IPV6)).collect();
        let mut clients: Vec<_> = (0..16).map(|_| allocated_on(&server, IPV4)).collect();
        let peer = Echo::on(SocketAddr::new(IPV4, 0));
        for round in 1..=4 {
            // ECONNABORTED on a socket of the port; the one over IPv6 is another listener.
            destroy(server.address_on(IPV4));
            for (client, relayed) in &mut clients {
                // The first request is lost with the socket, and is sent again. A 437 here would
                // mean that the 5-tuple now reaches another shard.
                let bound = client.bind_channel(channel(0), peer.address());
                bound.unwrap_or_else(|error| panic!("{error}: {:?}", server.counters()));
                client.send_channel(channel(0), b"after").unwrap();
                assert_eq!(peer.receive(), Some((b"after".to_vec(), *relayed)));
            }
            assert!(server.counter("listeners_rebuilt") >= round, "{:?}", server.counters());
        }
        for (client, _) in &mut others {
            client.refresh(MINUTES).unwrap();
        }
    }
}

#[test]
fn r12_an_address_that_goes_and_comes_is_served_again() {
    let add = "ip address add 192.0.2.1/24 dev lo";
    inside("r12_an_address_that_goes_and_comes_is_served_again", &[add], || {
        let server = Scripted::start(&configured(IN_A_NAMESPACE));
        let mut client = connect(server.address_on(HOST), user());
        client.set_schedule(Schedule::once(NOTHING));
        client.allocate(&AllocateOptions::default()).unwrap();
        let mut other = connect(server.address_on(IPV6), user());
        other.allocate(&AllocateOptions::default()).unwrap();

        run("ip address del 192.0.2.1/24 dev lo");
        assert!(client.refresh(MINUTES).is_err(), "nobody can reach an address that is not there");
        other.refresh(MINUTES).unwrap();
        run(add);
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Err(error) = client.refresh(MINUTES) {
            assert!(Instant::now() < deadline, "{error}: {:?}", server.counters());
        }
        other.refresh(MINUTES).unwrap();
    });
}

#[test]
fn p8_the_longest_datagrams_are_relayed_whole_or_not_at_all() {
    let server = Scripted::start(&lab::config_with_user("ann", "secret"));
    let (mut client, relayed) = allocated_on(&server, IPV4);
    let peer = Echo::on(SocketAddr::new(IPV4, 0));
    client.bind_channel(channel(0), peer.address()).unwrap();
    // UDP over IPv4 carries 65,507 bytes, of which a ChannelData header takes four.
    let longest = pattern(65_503);
    client.send_channel(channel(0), &longest).unwrap();
    assert!(peer.receive() == Some((longest.clone(), relayed)), "up, whole");
    peer.send(relayed, &longest);
    let received = client.receive(SOON).unwrap();
    assert!(received.from == Origin::Channel(channel(0)) && received.data == longest, "down");

    // One byte more has no room behind the header: dropped, counted, and never cut.
    for too_long in [65_504, 65_507] {
        let before = server.counter("send_dropped");
        peer.send(relayed, &pattern(too_long));
        assert!(client.receive(NOTHING).is_err(), "{too_long} bytes and a header fit nowhere");
        assert_eq!(server.counter("send_dropped"), before + 1, "{:?}", server.counters());
    }
    // A Data indication takes 36 bytes around its data.
    let indicated = Echo::on(SocketAddr::new(IPV4, 0));
    client.create_permission(&[indicated.address()]).unwrap();
    for (length, arrives) in [(65_468, true), (65_476, false), (65_507, false)] {
        let data = pattern(length);
        indicated.send(relayed, &data);
        match client.receive(if arrives { SOON } else { NOTHING }) {
            Ok(received) => {
                assert!(arrives && received.data == data, "{length} bytes are cut");
                assert_eq!(received.from, Origin::Peer(indicated.address()));
            }
            Err(error) => assert!(!arrives, "{length} bytes do not arrive: {error}"),
        }
    }
    // The sockets are as good as before.
    client.send_channel(channel(0), b"and on").unwrap();
    assert_eq!(peer.receive(), Some((b"and on".to_vec(), relayed)));
    assert_eq!(server.counter("truncated"), 0);
    assert_eq!(server.responses(Method::CHANNEL_BIND, 200), 1);
}

#[test]
fn p8_a_longer_datagram_than_channel_data_says_is_cut_to_what_it_says_and_a_shorter_dropped() {
    let server = Scripted::start(&lab::config_with_user("ann", "secret"));
    let (mut client, relayed) = allocated_on(&server, IPV4);
    let peer = Echo::on(SocketAddr::new(IPV4, 0));
    client.bind_channel(channel(0), peer.address()).unwrap();
    client.raw().send(b"\x40\x00\x00\x05hell").unwrap();
    client.raw().send(b"\x40\x00\x00\x05hello...").unwrap();
    assert_eq!(peer.receive(), Some((b"hello".to_vec(), relayed)));
    assert_eq!(server.counter("dropped_malformed"), 1, "{:?}", server.counters());
}

fn allocated_on(server: &Scripted, address: IpAddr) -> (Client, SocketAddr) {
    let mut client = connect(server.address_on(address), user());
    let family = Some(AddressFamily::of_ip(&address));
    let options = AllocateOptions { family, ..Default::default() };
    let allocation = client.allocate(&options).unwrap();
    (client, allocation.relayed)
}

/// Sends numbers over a channel (0 or 1), each of which the peer sends back.
fn talk(client: &mut Client, over: u8, peer: &Echo, relayed: SocketAddr, numbers: Range<u32>) {
    for number in numbers {
        let message = number.to_be_bytes();
        client.send_channel(channel(over.into()), &message).unwrap();
        assert_eq!(peer.receive(), Some((message.to_vec(), relayed)), "{number}");
        peer.send(relayed, &message);
        assert_eq!(client.receive(SOON).unwrap().data, message, "{number}");
    }
}

/// How many sockets have this address.
fn sockets_at(local: SocketAddr) -> usize {
    let filter = format!("src {local}");
    let output = Command::new("ss").args(["-H", "-u", "-a", "-n", &filter]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().count()
}

/// A port that nobody listens on; what is sent there is refused.
fn closed_port(address: IpAddr) -> SocketAddr {
    UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap()
}

/// Bytes that show where something was cut or put together wrongly.
fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Makes sockets of a local address fail with ECONNABORTED, one at least.
fn destroy(local: SocketAddr) {
    let filter = format!("src {local}");
    let output = Command::new("ss").args(["-H", "-K", "-u", "-a", &filter]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(&local.port().to_string()),
        "ss -K ends no socket; it needs root and a kernel with INET_DIAG_DESTROY: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a command of the shell.
fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}
