//! The engine on the way of a packet: a thousand packets of 160 B, one for each
//! of a thousand allocations.

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddr},
};

use gungraun::{library_benchmark, library_benchmark_group};
use turn_codec::{
    ChannelData, Class, MessageWriter, Method, TransactionId,
    attribute::{Data, XorPeerAddress},
};
use turn_engine::{Outcome, Relayed, Route, ShardId};
use turn_instructions::{VirtualClient, VirtualHost};

const ALLOCATIONS: u16 = 1_000;

/// Bytes of application data: an audio frame.
const PAYLOAD: [u8; 160] = [7; 160];

library_benchmark_group!(
    name = relaying_group,
    benchmarks = [
        channel_data_to_peer,
        send_indication_to_peer,
        peer_to_channel_data,
        peer_to_data_indication,
        relay_to_relay,
        relay_to_relay_across_shards
    ]
);

/// A shard with its clients, and what each of them is given to relay.
struct World {
    host: VirtualHost,
    clients: Vec<VirtualClient>,
    packet: Vec<u8>,
}

#[library_benchmark]
#[bench::packets(World::with_packet(frame()))]
fn channel_data_to_peer(mut world: World) -> World {
    for client in &world.clients {
        let outcome = world.host.from_client(client, &world.packet);
        assert!(matches!(relayed(&outcome).route, Route::Peer { .. }));
    }
    world
}

#[library_benchmark]
#[bench::packets(World::with_packet(send_indication()))]
fn send_indication_to_peer(mut world: World) -> World {
    for client in &world.clients {
        let outcome = world.host.from_client(client, &world.packet);
        assert!(matches!(relayed(&outcome).route, Route::Peer { .. }));
    }
    world
}

#[library_benchmark]
#[bench::packets(World::with_packet(PAYLOAD.to_vec()))]
fn peer_to_channel_data(mut world: World) -> World {
    let peer = black_box(VirtualHost::peer());
    for client in &world.clients {
        let outcome = world.host.from_peer(client.relay, peer, &world.packet);
        assert_eq!(relayed(&outcome).prefix.as_bytes().len(), 4);
    }
    world
}

#[library_benchmark]
#[bench::packets(World::with_packet(PAYLOAD.to_vec()))]
fn peer_to_data_indication(mut world: World) -> World {
    // Another port of the same address: permitted, and bound to no channel.
    let peer = VirtualHost::peer();
    let peer = black_box(SocketAddr::new(peer.ip(), peer.port() + 1));
    for client in &world.clients {
        let outcome = world.host.from_peer(client.relay, peer, &world.packet);
        assert!(relayed(&outcome).prefix.as_bytes().len() > 4);
    }
    world
}

#[library_benchmark]
#[bench::packets(World::of_pairs())]
fn relay_to_relay(mut world: World) -> World {
    for client in &world.clients {
        let outcome = world.host.from_client(client, &world.packet);
        assert!(matches!(relayed(&outcome).route, Route::Client { .. }));
    }
    world
}

// Both engines; the ring between them is the host's.
#[library_benchmark]
#[bench::packets(Shards::of_pairs())]
fn relay_to_relay_across_shards(mut shards: Shards) -> Shards {
    for sender in &shards.senders {
        let outcome = shards.one.from_client(sender, &shards.packet);
        let Route::Shard { relay, from, .. } = relayed(&outcome).route else {
            panic!("not across");
        };
        let outcome = shards.other.from_peer(relay, from, &PAYLOAD);
        assert!(matches!(relayed(&outcome).route, Route::Client { .. }));
    }
    shards
}

/// Two shards, and on the first of them the clients that send; their peers are
/// on the second.
struct Shards {
    one: VirtualHost,
    other: VirtualHost,
    senders: Vec<VirtualClient>,
    packet: Vec<u8>,
}

impl World {
    fn with_packet(packet: Vec<u8>) -> Self {
        let (host, clients) = VirtualHost::with_clients(ALLOCATIONS);
        Self { host, clients, packet }
    }

    /// Clients whose peers are each other's relayed transport addresses.
    fn of_pairs() -> Self {
        let mut host = VirtualHost::new();
        let mut clients: Vec<_> = (0..ALLOCATIONS).map(|at| host.allocate(client(at))).collect();
        for pair in clients.chunks_mut(2) {
            let [one, other] = pair else { continue };
            let (first, second) = (one.relayed, other.relayed);
            host.bind(one, second);
            host.bind(other, first);
        }
        Self { host, clients, packet: frame() }
    }
}

impl Shards {
    fn of_pairs() -> Self {
        let mut one = VirtualHost::new();
        let mut other = one.beside(ShardId(1));
        let senders = (0..ALLOCATIONS)
            .map(|at| {
                let mut sender = one.allocate(client(2 * at));
                let mut receiver = other.allocate(client(2 * at + 1));
                one.bind(&mut sender, receiver.relayed);
                other.bind(&mut receiver, sender.relayed);
                sender
            })
            .collect();
        Self { one, other, senders, packet: frame() }
    }
}

/// What leaves; everything here is relayed.
#[inline]
fn relayed(outcome: &Outcome) -> &Relayed {
    let Outcome::Relay(relayed) = black_box(outcome) else { panic!("not relayed") };
    relayed
}

fn frame() -> Vec<u8> {
    let mut buffer = [0; 256];
    let frame = ChannelData::new(VirtualHost::channel(), &PAYLOAD);
    frame.encode(&mut buffer).unwrap().to_vec()
}

fn send_indication() -> Vec<u8> {
    let mut buffer = [0; 256];
    let id = TransactionId::new(*b"transaction.");
    let mut writer = MessageWriter::new(&mut buffer, Class::Indication, Method::SEND, id).unwrap();
    writer.push(&XorPeerAddress(VirtualHost::peer())).unwrap();
    writer.push(&Data(&PAYLOAD)).unwrap();
    writer.finish().to_vec()
}

/// Clients that `VirtualHost::with_clients` does not make.
fn client(number: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 77), 10_000 + number))
}
