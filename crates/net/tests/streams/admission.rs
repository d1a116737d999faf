//! Slow and many clients.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use turn_codec::Method;
use turn_engine::{Limits, Rate};
use turn_net::Patience;

use crate::client::{Client, channel_data, dial, request};
use crate::server::{BRISK, Server, Setup};

#[test]
fn h15_client_without_a_complete_message_is_closed() {
    let patience = Patience { first_message: BRISK, ..Patience::default() };
    let server = Setup { patience, ..Setup::default() }.start();
    let (mut silent, mut dripping) = (server.tcp(), server.tcp());
    dripping.send(&request(Method::BINDING, 1, &[])[..19]);
    let mut spoken = server.tls();
    assert!(spoken.binds());
    assert_eq!(silent.receive(), None);
    assert_eq!(dripping.receive(), None);
    assert_eq!(server.count("connections_timed_out"), 2);
    assert!(spoken.binds());
}

#[test]
fn h15_idle_client_is_closed_unless_it_has_an_allocation() {
    let patience = Patience { idle: BRISK, ..Patience::default() };
    let server = Setup { patience, ..Setup::default() }.start();
    let (mut idle, mut allocated) = (server.tcp(), server.tcp());
    assert!(idle.binds());
    allocated.allocate();
    assert_eq!(idle.receive(), None);
    std::thread::sleep(2 * BRISK);
    assert!(allocated.binds());
    assert_eq!(server.count("connections_timed_out"), 1);
}

#[test]
fn h15_at_the_cap_the_oldest_silent_connection_makes_room() {
    let limits = Limits { unauthenticated_connections: Some(3), ..Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    let (mut allocated, mut spoken) = (server.tcp(), server.tcp());
    allocated.allocate();
    assert!(spoken.binds());
    let mut silent: Vec<_> = (0..2).map(|_| server.tcp()).collect();
    server.wait_for("connections_accepted", 4);
    // The fourth without an allocation, then a fifth.
    let (mut newest, mut one_more) = (server.tcp(), server.tcp());
    assert!(newest.binds() && one_more.binds());
    for client in &mut silent {
        assert_eq!(client.receive(), None);
    }
    // None of them is silent: the oldest stranger goes.
    let mut last = server.tcp();
    assert!(last.binds());
    assert_eq!(spoken.receive(), None);
    assert_eq!(server.count("connections_shed"), 3);
    assert!(allocated.binds() && newest.binds() && one_more.binds() && last.binds());
}

#[test]
fn h15_source_gets_so_many_connections_and_no_more() {
    let limits = Limits { connections_per_source: Some(2), ..Limits::default() };
    let server = Setup { shards: 2, limits, ..Setup::default() }.start();
    let mut kept = [server.tcp(), server.tcp()];
    assert!(kept.iter_mut().all(Client::binds));
    assert_eq!(Client::new(dial(server.address)).receive(), None);
    assert!(from(&server, [127, 0, 0, 77]).binds());
    assert_eq!(server.count("connections_refused"), 1);
    drop(kept);
    server.wait_for("connections_closed", 3);
    assert!(server.tcp().binds());
}

#[test]
fn h15_thousands_of_dripping_connections_delay_nobody() {
    let patience = Patience { first_message: Duration::from_secs(5), ..Patience::default() };
    let limits = Limits {
        unauthenticated_connections: Some(200),
        accepts: Some(Rate::per_second(100_000, 100_000)),
        ..Limits::default()
    };
    let server = Setup { shards: 2, limits, patience, ..Setup::default() }.start();
    let mut dripping = Vec::new();
    for number in 0..400_u32 {
        let [_, _, _, host] = (1 + number % 100).to_be_bytes();
        let mut client = from(&server, [127, 0, 1, host]);
        client.send(&[0]);
        dripping.push(client);
    }
    let started = Instant::now();
    assert!(server.tcp().binds());
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    server.wait_for("connections_shed", 150);
}

#[test]
fn h15_flood_of_empty_frames_holds_nobody_up() {
    let server = Setup::default().start();
    let mut client = server.tcp();
    client.allocate();
    // Each is four bytes, and a datagram to send.
    client.bind_channel(UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let flood = channel_data(b"").repeat(64 * 1_024);
    let bystander = UdpSocket::bind("127.0.0.1:0").unwrap();
    bystander.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut waits, is_over) = (Vec::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                client.send(&flood);
            }
        });
        server.wait_for("stream_frames", 10_000);
        for id in 0..60 {
            let asked = Instant::now();
            bystander.send_to(&request(Method::BINDING, id, &[]), server.address).unwrap();
            bystander.recv(&mut [0; 200]).unwrap();
            waits.push(asked.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // A busy machine may stutter for a while, a shard that is held up does so all the time.
    let medians = waits.chunks_mut(20).map(|waits| {
        waits.sort();
        waits[10]
    });
    let medians: Vec<_> = medians.collect();
    assert!(medians.iter().any(|wait| *wait < Duration::from_millis(20)), "{medians:?}");
}

#[test]
fn accepts_are_held_back_and_not_refused() {
    let limits = Limits { accepts: Some(Rate::per_second(20, 5)), ..Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    let started = Instant::now();
    let mut clients: Vec<_> = (0..10).map(|_| server.tcp()).collect();
    assert!(clients.iter_mut().all(Client::binds));
    // Five at once, five more at 20 a second.
    assert!(started.elapsed() >= Duration::from_millis(240), "{:?}", started.elapsed());
    assert_eq!(server.count("connections_refused"), 0);
}

#[test]
fn stop_closes_every_connection() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let (mut plain, mut secured) = (server.tcp(), server.tls());
    plain.allocate();
    assert!(secured.binds());
    drop(server);
    assert_eq!(plain.receive(), None);
    assert_eq!(secured.receive(), None);
}

/// A client at another address of the loopback network.
fn from(server: &Server, source: [u8; 4]) -> Client {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    Client::new(stream)
}
