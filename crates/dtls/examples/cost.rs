//! What things cost: `cargo run --release -p turn-dtls --example cost`.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures for a reader"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Client, Server};
use turn_dtls::Limits;

fn main() {
    time();
    memory();
}

fn nanoseconds(elapsed: Duration, count: u32) -> u128 {
    elapsed.as_nanos() / u128::from(count)
}

/// Resident memory of this process in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn time() {
    let mut server = Server::new(Limits::default());

    let client = Client::new(1, server.now);
    let hello = client.outgoing[0].clone();
    let start = Instant::now();
    for _ in 0..100_000 {
        server.receive(client.path, &hello);
        server.drain();
    }
    println!("HelloVerifyRequest: {} ns", nanoseconds(start.elapsed(), 100_000));

    let (mut accepting, mut finishing) = (Duration::ZERO, Duration::ZERO);
    let mut clients = Vec::new();
    for n in 2..502 {
        let mut client = Client::new(n, server.now);
        let second = server.second_hello(&mut client);
        let start = Instant::now();
        let flight = server.answers(client.path, &second);
        accepting += start.elapsed();
        client.receive(server.now, &flight[0]);
        let rest = client.outgoing.remove(0);
        let start = Instant::now();
        let last = server.answers(client.path, &rest);
        finishing += start.elapsed();
        client.receive(server.now, &last[0]);
        assert!(client.is_connected);
        clients.push(client);
    }
    println!("verified hello to flight: {} ns", nanoseconds(accepting, 500));
    println!("client's flight to done: {} ns", nanoseconds(finishing, 500));

    let session = server.connected[0];
    for len in [172, 1200] {
        let message = vec![1; len];
        let start = Instant::now();
        for _ in 0..100_000 {
            server.sessions.send(session, &message).unwrap();
            server.drain();
        }
        println!("{len} B to a client: {} ns", nanoseconds(start.elapsed(), 100_000));
        let sealed: Vec<_> = (0..20_000)
            .map(|_| {
                clients[0].send(&message);
                clients[0].outgoing.pop().unwrap()
            })
            .collect();
        let path = clients[0].path;
        let start = Instant::now();
        for datagram in &sealed {
            server.receive(path, datagram);
            server.drain();
        }
        println!("{len} B from a client: {} ns", nanoseconds(start.elapsed(), 20_000));
        assert_eq!(server.messages.len(), 20_000);
        server.messages.clear();
    }
}

fn memory() {
    const COUNT: u16 = 4000;
    let half_open = usize::from(COUNT);
    let mut server = Server::new(Limits { half_open, ..Limits::default() });
    // Clients live on, so that nothing that they free is used again by the server.
    let mut clients: Vec<_> = (0..COUNT).map(|n| Client::new(n, server.now)).collect();
    let hellos: Vec<_> = clients.iter_mut().map(|client| server.second_hello(client)).collect();
    let mut flights = Vec::with_capacity(half_open);
    let before = resident();
    for (client, hello) in clients.iter().zip(&hellos) {
        flights.extend(server.answers(client.path, hello));
    }
    println!("half-open session: {} B", (resident() - before) * 1024 / half_open);
    for (client, flight) in clients.iter_mut().zip(&flights) {
        client.receive(server.now, flight);
    }
    let before_finish = resident();
    for client in &mut clients {
        for datagram in std::mem::take(&mut client.outgoing) {
            server.receive(client.path, &datagram);
        }
        server.drain();
    }
    assert_eq!(server.connected.len(), half_open);
    let grown = (resident() - before_finish) * 1024 / half_open;
    println!("connected session: {grown} B more");
}
