//! What the engine itself costs, without a socket: each direction of relaying
//! with one allocation and with a thousand in turn, and a life of one.

#![expect(clippy::unwrap_used, reason = "a bench stops at its first surprise")]

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use turn_client::SendIndication;
use turn_codec::{ChannelData, TransactionId};
use turn_engine::{Outcome, Route};
use turn_instructions::{VirtualClient, VirtualHost};

/// Bytes of application data: an audio frame.
const PAYLOAD: [u8; 160] = [7; 160];

const ALLOCATIONS: [u16; 2] = [1, 1_000];

fn relaying(criterion: &mut Criterion) {
    let peer = VirtualHost::peer();
    let stranger = SocketAddr::new(peer.ip(), peer.port() + 1);
    let frame = frame();
    let indication = send_indication(peer);
    in_turn(criterion, "ChannelData from client", |host, client| host.from_client(client, &frame));
    in_turn(criterion, "Send indication", |host, client| host.from_client(client, &indication));
    in_turn(criterion, "from peer to ChannelData", |host, client| {
        host.from_peer(client.relay, peer, &PAYLOAD)
    });
    // Another port of the same address: permitted, and bound to no channel.
    in_turn(criterion, "from peer to Data indication", |host, client| {
        host.from_peer(client.relay, stranger, &PAYLOAD)
    });
}

/// Packets of all clients in turn, each of which must be relayed.
fn in_turn(
    criterion: &mut Criterion,
    name: &str,
    mut packet: impl FnMut(&mut VirtualHost, &VirtualClient) -> Outcome,
) {
    let mut group = criterion.benchmark_group(format!("engine/{name}"));
    group.throughput(Throughput::Elements(1));
    for allocations in ALLOCATIONS {
        let (mut host, clients) = VirtualHost::with_clients(allocations);
        let mut turn = clients.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(allocations), |b| {
            b.iter(|| {
                // Not returned: a copy of it would be timed as well.
                let outcome = packet(&mut host, turn.next().unwrap());
                assert!(matches!(black_box(&outcome), Outcome::Relay(_)));
            });
        });
    }
    group.finish();
}

/// Pairs of clients whose peers are each other's relayed transport addresses.
fn relay_to_relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/relay to relay");
    group.throughput(Throughput::Elements(1));
    let frame = frame();
    for allocations in [2, 1_000] {
        let mut host = VirtualHost::new();
        let mut clients: Vec<_> = (0..allocations).map(|at| host.allocate(client(at))).collect();
        for pair in clients.chunks_mut(2) {
            let [one, other] = pair else { continue };
            let (first, second) = (one.relayed, other.relayed);
            host.bind(one, second);
            host.bind(other, first);
        }
        let mut turn = clients.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(allocations), |b| {
            b.iter(|| {
                let outcome = host.from_client(turn.next().unwrap(), &frame);
                let Outcome::Relay(relayed) = black_box(&outcome) else { panic!("not relayed") };
                assert!(matches!(relayed.route, Route::Client { .. }));
            });
        });
    }
    group.finish();
}

/// Allocate, 401, Allocate, Refresh 0: what the engine does of it.
fn allocate_cycle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/allocate cycle");
    for others in [0, 1_000] {
        let (mut host, _clients) = VirtualHost::with_clients(others);
        group.bench_function(BenchmarkId::new("beside", others), |b| {
            b.iter_custom(|iterations| {
                let before = host.spent();
                for _ in 0..iterations {
                    let client = host.allocate(client(0));
                    host.end(client);
                    // Ports rest for a minute, and buckets refill.
                    host.advance(1);
                }
                host.spent() - before
            });
        });
    }
    group.finish();
}

fn frame() -> Vec<u8> {
    let mut buffer = [0; 256];
    let frame = ChannelData::new(VirtualHost::channel(), &PAYLOAD);
    frame.encode(&mut buffer).unwrap().to_vec()
}

fn send_indication(peer: SocketAddr) -> Vec<u8> {
    let mut buffer = [0; 512];
    let id = TransactionId::new(*b"transaction.");
    SendIndication::new(peer, &PAYLOAD).encode(&mut buffer, id).unwrap().to_vec()
}

/// Clients that `VirtualHost::with_clients` does not make.
fn client(number: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 77), 10_000 + number))
}

criterion_group! {
    name = engine;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000);
    targets = relaying, relay_to_relay, allocate_cycle
}
criterion_main!(engine);
