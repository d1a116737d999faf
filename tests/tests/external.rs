//! The public address of a server behind NAT is found, told to clients, and followed when it changes.
//!
//! ```text
//! this namespace: server, clients    router: NAT, one public address at a time    world: STUN, peer
//!        10.0.0.5 ------------------- 10.0.0.1 | 203.0.113.7, then .8 ------------- 203.0.113.100
//! ```
//!
//! The router is this test again, in a namespace of its own: it rewrites one address of each packet,
//! so that no packet filter of the kernel is needed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;
use turn_client::{Client, Origin};
use turn_tests::foreign::Running;
use turn_tests::system::{Daemon, Neighbour, allocated, inside};

const SOON: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// The cable to the router, and one that the world is made with.
const CABLES: [&str; 5] = [
    "ip link add v0 type veth peer name v1",
    "ip link add d0 type veth peer name d1",
    "ip address add 10.0.0.5/24 dev v0",
    "ip link set v0 up",
    "ip route add default via 10.0.0.1",
];

const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 100);

/// Says to this test that it is the router, and its public address.
const ROUTER: &str = "TURN_TESTS_ROUTER";

/// What no server of this test needs.
const NOTHING_ELSE: &str =
    "[metrics]\naddress = \"off\"\n[admin]\nsocket = \"off\"\n[usage]\npath = \"off\"\n";

#[test]
fn a_public_address_that_changes_is_told_to_new_allocations_and_old_ones_live_on() {
    const TEST: &str =
        "a_public_address_that_changes_is_told_to_new_allocations_and_old_ones_live_on";
    if let Ok(public) = env::var(ROUTER) {
        route(public.parse().unwrap());
    }
    inside(TEST, &CABLES, || {
        let net = Net::new(TEST);
        let router = net.route_by([203, 0, 113, 7]);
        let server = net.server();
        let (mut old, first) = allocated(server.address());
        assert_eq!(first.relayed.ip(), IpAddr::from([203, 0, 113, 7]), "{}", server.output());
        assert_eq!(net.knock(&mut old, first.relayed), b"from the world");

        drop(router);
        let _router = net.route_by([203, 0, 113, 8]);
        let changed = Instant::now();
        let (mut new, second) = loop {
            let (mut client, allocation) = allocated(server.address());
            if allocation.relayed.ip() == IpAddr::from([203, 0, 113, 8]) {
                break (client, allocation);
            }
            client.refresh(Duration::ZERO).unwrap();
            assert!(changed.elapsed() < MINUTE, "{}", server.output());
            thread::sleep(Duration::from_millis(100));
        };
        eprintln!("the new address is told after {:?}", changed.elapsed());
        assert_eq!(net.knock(&mut new, second.relayed), b"from the world");

        // The old allocation lives: its requests are answered, and the address that it was told still
        // leads to it for whoever is on this relay.
        old.refresh(Duration::from_secs(600)).unwrap();
        old.create_permission(&[second.relayed]).unwrap();
        new.create_permission(&[first.relayed]).unwrap();
        pass(&mut new, &mut old, first.relayed, second.relayed);
        pass(&mut old, &mut new, second.relayed, first.relayed);
        assert_eq!(server.stop("TERM").exit, Some(0));
    });
}

/// Router and world, and the STUN server there.
struct Net {
    test: &'static str,
    router: Neighbour,
    world: Neighbour,
    _stun: Daemon,
    _directory: TempDir,
}

impl Net {
    fn new(test: &'static str) -> Self {
        let router = Neighbour::new("v1", "10.0.0.1/24");
        let world = Neighbour::new("d0", "192.0.2.1/24");
        let mut there = Running::start(world.command("sh").args(["-c", "echo in; exec sleep 100"]));
        wait_for(&there, "in");
        // What comes from the server is the router's own, whoever it is for, and no ICMP is sent,
        // since no socket of the router's kernel is there for it.
        let script = format!(
            "ip link add r1 type veth peer name w0 && ip link set w0 netns {} && \
             ip address add 203.0.113.7/24 dev r1 && ip address add 203.0.113.8/24 dev r1 && \
             ip link set r1 up && ip route add local default dev lo table 7 && \
             ip rule add pref 0 ipproto icmp blackhole && ip rule add pref 1 iif v1 lookup 7",
            there.id()
        );
        run(router.command("sh").args(["-c", &script]));
        run(world
            .command("sh")
            .args(["-c", &format!("ip address add {WORLD}/24 dev w0 && ip link set w0 up")]));
        assert!(there.is_running());

        let directory = TempDir::new().unwrap();
        let file = directory.path().join("stun.toml");
        let text = format!("shards = 1\n[[listen]]\naddress = \"{WORLD}:3478\"\n{NOTHING_ELSE}");
        fs::write(&file, text).unwrap();
        let binary = Daemon::command();
        let mut command = world.command(binary.get_program().to_str().unwrap());
        let stun = Daemon::with(command.arg("--config").arg(&file));
        Self { test, router, world, _stun: stun, _directory: directory }
    }

    /// From now on the router is `public` to the world, until the value is dropped.
    fn route_by(&self, public: [u8; 4]) -> Running {
        let binary = env::current_exe().unwrap();
        let mut command = self.router.command(binary.to_str().unwrap());
        command.args([self.test, "--exact", "--nocapture", "--test-threads=1"]);
        let router = Running::start(command.env(ROUTER, Ipv4Addr::from(public).to_string()));
        wait_for(&router, "routing");
        router
    }

    fn server(&self) -> Daemon {
        Daemon::with_file(&format!(
            "realm = \"turn.example.org\"\nshards = 2\n[[listen]]\naddress = \"{PRIVATE}:3478\"\n\
             [relay]\naddresses = [\"{PRIVATE}\"]\nexternal = \"auto:{WORLD}\"\n\
             external_refresh = \"5s\"\n[auth]\nusers = {{ ann = \"secret\" }}\n\
             [peers]\nallow = [\"203.0.113.0/24\"]\n{NOTHING_ELSE}"
        ))
    }

    /// What the client gets when somebody in the world sends to its relayed transport address.
    fn knock(&self, client: &mut Client, relayed: SocketAddr) -> Vec<u8> {
        client.create_permission(&[SocketAddr::from((WORLD, 9))]).unwrap();
        let (ip, port) = (relayed.ip(), relayed.port());
        let script = format!("printf 'from the world' > /dev/udp/{ip}/{port}");
        run(self.world.command("bash").args(["-c", &script]));
        let received = client.receive(SOON).unwrap();
        let Origin::Peer(from) = received.from else { panic!("{received:?}") };
        assert_eq!(from.ip(), IpAddr::from(WORLD));
        received.data
    }
}

/// One client sends to the relayed transport address of the other, who sees it as `seen`.
fn pass(from: &mut Client, to: &mut Client, at: SocketAddr, seen: SocketAddr) {
    from.send_to(at, b"from a relay").unwrap();
    let received = to.receive(SOON).unwrap();
    assert_eq!(received.data, b"from a relay");
    assert_eq!(received.from, Origin::Peer(seen));
}

/// Rewrites one address of every UDP packet between [`PRIVATE`] and the world, until it is killed.
fn route(public: Ipv4Addr) -> ! {
    let mut packets = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    // IPPROTO_RAW: the header is ours.
    let out = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
    eprintln!("routing as {public}");
    let mut buffer = [0; 65_536];
    loop {
        let length = packets.read(&mut buffer).unwrap();
        let packet = &mut buffer[..length];
        let is =
            |packet: &[u8], at: usize, address: Ipv4Addr| packet[at..at + 4] == address.octets();
        if is(packet, 12, PRIVATE) {
            packet[12..16].copy_from_slice(&public.octets());
        } else if is(packet, 16, public) {
            packet[16..20].copy_from_slice(&PRIVATE.octets());
        } else {
            continue;
        }
        // RFC 768: no checksum. That of IPv4 the kernel fills in.
        let udp = usize::from(packet[0] & 15) * 4;
        packet[udp + 6..udp + 8].fill(0);
        let to: [u8; 4] = packet[16..20].try_into().unwrap();
        // A neighbour that is gone is no reason to end.
        let _ = out.send_to(packet, &SocketAddrV4::new(to.into(), 0).into());
    }
}

fn wait_for(program: &Running, word: &str) {
    let begun = Instant::now();
    while !program.output().contains(word) {
        assert!(begun.elapsed() < SOON, "{}", program.output());
        thread::sleep(Duration::from_millis(10));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
