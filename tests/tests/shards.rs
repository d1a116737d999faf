//! Two shards: clients that learn theirs from their allocation ids, and what must work whichever
//! it is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Allocation, Client, Origin};
use turn_codec::attribute::EvenPort;
use turn_config::{Config, Shards};
use turn_engine::ShardId;
use turn_tests::lab::{self, IPV4};
use turn_tests::system::{
    Echo, Scripted, allocated, bare_allocate, binding_request, channel, connect,
    user as credentials,
};

const SOON: Duration = Duration::from_secs(5);
const ANY_PORT: SocketAddr = SocketAddr::new(IPV4, 0);

#[test]
fn two_hundred_allocations_relay_from_the_first_packet() {
    let server = two_shards();
    let peer = Echo::on(ANY_PORT);
    let mut held = Vec::new();
    let mut shards = Vec::new();
    for number in 0..200_u32 {
        let (mut client, allocation) = allocated(server.address());
        client.bind_channel(channel(0), peer.address()).unwrap();
        let message = number.to_be_bytes();
        client.send_channel(channel(0), &message).unwrap();
        let (data, from) = peer.receive().unwrap();
        assert_eq!((data.as_slice(), from), (&message[..], allocation.relayed));
        peer.send(allocation.relayed, &message);
        let received = client.receive(SOON).unwrap();
        assert_eq!((received.from, received.data.as_slice()), (on(0), &message[..]));
        shards.push(server.journal().shard_of(client.local_addr().unwrap()));
        held.push(client);
    }
    let of_first = shards.iter().filter(|shard| **shard == ShardId(0)).count();
    assert!((40..=160).contains(&of_first), "one shard has {of_first} of 200");
    assert_eq!(server.counter("allocations_created"), 200);
}

#[test]
fn a_reservation_made_on_one_shard_is_used_on_the_other() {
    let server = two_shards();
    let peer = Echo::on(ANY_PORT);
    for first in [ShardId(0), ShardId(1)] {
        let even_port = Some(EvenPort { reserve: true });
        let (maker, pair) = client_on(&server, first, AllocateOptions { even_port, ..plain() });
        let token = pair.token;
        assert!(token.is_some() && pair.relayed.port().is_multiple_of(2), "{pair:?}");

        let other = ShardId(1 - first.0);
        // Its 5-tuple is known to be of the other shard once it has allocated there.
        let (mut user, _) = client_on(&server, other, plain());
        user.refresh(Duration::ZERO).unwrap();
        let allocation = user.allocate(&AllocateOptions { token, ..plain() }).unwrap();
        assert_eq!(server.journal().shard_of(user.local_addr().unwrap()), other);
        assert_eq!(allocation.relayed.ip(), pair.relayed.ip());
        assert_eq!(allocation.relayed.port(), pair.relayed.port() + 1);

        user.bind_channel(channel(0), peer.address()).unwrap();
        user.send_channel(channel(0), b"up").unwrap();
        assert_eq!(peer.receive().unwrap(), (b"up".to_vec(), allocation.relayed));
        peer.send(allocation.relayed, b"down");
        assert_eq!(user.receive(SOON).unwrap().data, b"down");

        // It is used up, on either shard.
        let mut late = connect(server.address(), credentials());
        let again = late.allocate(&AllocateOptions { token, ..plain() });
        assert_eq!(again.unwrap_err().code().unwrap().get(), 508);
        drop(maker);
    }
}

#[test]
fn two_clients_on_different_shards_reach_each_other_relay_to_relay() {
    let server = two_shards();
    let ann = client_on(&server, ShardId(0), plain());
    let bob = client_on(&server, ShardId(1), plain());
    talk_relay_to_relay(ann, bob);
    let moved = ["relayed_inside", "relayed_across", "ring_sent", "ring_received"];
    for counter in moved {
        assert_eq!(server.counter(counter), 200, "{counter}: {:?}", server.counters());
    }
    assert_eq!(server.counter("from_peers"), 0, "no socket lies between two allocations");
}

#[test]
fn two_clients_on_one_shard_reach_each_other_without_a_ring() {
    let server = two_shards();
    for shard in [ShardId(0), ShardId(1)] {
        let ann = client_on(&server, shard, plain());
        let bob = client_on(&server, shard, plain());
        talk_relay_to_relay(ann, bob);
    }
    assert_eq!(server.counter("relayed_inside"), 400);
    assert_eq!(server.counter("relayed_across") + server.counter("ring_sent"), 0);
    assert_eq!(server.counter("from_peers"), 0, "no socket lies between two allocations");
}

#[test]
fn h9_binding_replies_to_one_address_keep_to_its_rate_over_both_shards() {
    let server = two_shards();
    let flood = Flood { ports: 400, every: Duration::from_millis(40), first: 8 };
    flood.run(&server, "binding_replies", binding_request, &[0x01, 0x01]);
    let of_shards = server.fleet().net_counters().map(|shard| shard.binding_replies.get());
    assert!(of_shards.into_iter().all(|replies| replies > 500), "{:?}", server.counters());
}

#[test]
fn h10_challenges_to_one_address_keep_to_its_rate_over_both_shards() {
    let server = two_shards();
    // Within what one port gets: ten at once, then five a second.
    let flood = Flood { ports: 600, every: Duration::from_millis(250), first: 8 };
    flood.run(&server, "allocate_401", bare_allocate, &[0x01, 0x13]);
    let of_shards = server.fleet().counters();
    let allocate = turn_codec::Method::ALLOCATE;
    let of_shards: Vec<_> = of_shards.map(|shard| shard.responses(allocate, 401)).collect();
    assert!(of_shards.iter().all(|replies| *replies > 500), "{of_shards:?}");
}

/// Requests from many ports of one address, more than its bucket gives.
struct Flood {
    ports: usize,
    /// How often each port asks.
    every: Duration,
    /// How often it asks at once, in the beginning.
    first: u64,
}

impl Flood {
    /// Floods for three seconds; what comes back must be the burst and the rate of the default
    /// configuration, within a tenth.
    fn run(&self, server: &Scripted, counter: &str, request: fn(u64) -> Vec<u8>, reply: &[u8]) {
        let sockets: Vec<_> = (0..self.ports).map(|_| socket_to(server.address())).collect();
        let mut numbers = 0..;
        let mut ask = |socket: &UdpSocket| {
            socket.send(&request(numbers.next().unwrap())).unwrap();
        };
        let mut replies = 0;
        let start = Instant::now();
        let mut last = start;
        for round in 0.. {
            for socket in &sockets {
                for _ in 0..if round == 0 { self.first } else { 1 } {
                    ask(socket);
                }
                replies += count(socket, reply);
            }
            last = Instant::now();
            if last - start > Duration::from_secs(3) {
                break;
            }
            thread::sleep((self.every * (round + 1)).saturating_sub(start.elapsed()));
        }
        // What is on its way.
        thread::sleep(Duration::from_millis(200));
        replies += sockets.iter().map(|socket| count(socket, reply)).sum::<u64>();
        let seconds = (last - start).as_secs_f64();
        let due = 2_000.0 + 1_000.0 * seconds;
        let share = replies as f64 / due;
        eprintln!("{counter}: {replies} replies in {seconds:.2} s, {share:.3} of burst and rate");
        assert!((0.9..=1.1).contains(&share), "{share}: {:?}", server.counters());
        assert_eq!(server.counter(counter), replies, "{:?}", server.counters());
    }
}

fn talk_relay_to_relay(ann: (Client, Allocation), bob: (Client, Allocation)) {
    let ((mut ann, of_ann), (mut bob, of_bob)) = (ann, bob);
    ann.bind_channel(channel(0), of_bob.relayed).unwrap();
    // The other side has a permission only, and sends and receives indications.
    bob.create_permission(&[of_ann.relayed]).unwrap();
    for number in 0..100_u32 {
        let message = number.to_be_bytes();
        ann.send_channel(channel(0), &message).unwrap();
        let received = bob.receive(SOON).unwrap();
        assert_eq!((received.from, received.data.as_slice()), (of(of_ann), &message[..]));
        bob.send_to(of_ann.relayed, &message).unwrap();
        let received = ann.receive(SOON).unwrap();
        assert_eq!((received.from, received.data.as_slice()), (on(0), &message[..]));
    }
}

/// A client whose allocation is on this shard: source ports are tried until one lands there.
fn client_on(server: &Scripted, shard: ShardId, options: AllocateOptions) -> (Client, Allocation) {
    for _ in 0..100 {
        let mut client = connect(server.address(), credentials());
        let allocation = client.allocate(&options).unwrap();
        if server.journal().shard_of(client.local_addr().unwrap()) == shard {
            return (client, allocation);
        }
        client.refresh(Duration::ZERO).unwrap();
    }
    panic!("no source port of a hundred lands on shard {}", shard.0);
}

fn two_shards() -> Scripted {
    let shards = Shards::Count(2);
    Scripted::start(&Config { shards, ..lab::config_with_user("ann", "secret") })
}

fn plain() -> AllocateOptions {
    AllocateOptions::default()
}

fn on(number: u16) -> Origin {
    Origin::Channel(channel(number))
}

fn of(allocation: Allocation) -> Origin {
    Origin::Peer(allocation.relayed)
}

fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(ANY_PORT).unwrap();
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Counts the replies of this type that have arrived; there must be no others.
fn count(socket: &UdpSocket, reply: &[u8]) -> u64 {
    let mut buffer = [0; 512];
    let mut count = 0;
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => {
                assert!(buffer.starts_with(reply));
                count += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("{error}"),
        }
    }
}
