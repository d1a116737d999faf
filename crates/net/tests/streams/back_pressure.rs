//! Clients that read slowly.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use turn_engine::Limits;
use turn_net::Patience;

use crate::client::{Client, data_of, request, small_window};
use crate::server::{BRISK, Server, Setup};

/// The queue of these tests.
const QUEUE: usize = 128 * 1024;

/// Payload of one datagram.
const PAYLOAD: usize = 1_000;

#[test]
fn h17_slow_reader_loses_the_oldest_and_gets_whole_frames() {
    let server = setup().start();
    let (peer, mut client, relay) = flooded(&server);
    let newest = flood(&server, &peer, relay, 4_000);
    assert!(server.count("stream_frames_dropped") > 1_000);

    // What the kernel and the queue held, then a gap, then the newest.
    let mut numbers = Vec::new();
    while numbers.last() != Some(&newest) {
        let frame = client.receive().unwrap();
        let data = data_of(&frame);
        assert_eq!(data.len(), PAYLOAD);
        numbers.push(u32::from_be_bytes(*data.first_chunk().unwrap()));
    }
    assert!(numbers.is_sorted_by(|a, b| a < b));
    let last_gap = numbers.windows(2).rposition(|pair| pair[1] != pair[0] + 1).unwrap();
    let after_the_gap = numbers.len() - last_gap - 1;
    let room = QUEUE / (PAYLOAD + 4);
    assert!((room - 2..=room + 70).contains(&after_the_gap), "{after_the_gap} of {room}");
}

#[test]
fn h17_replies_to_a_slow_reader_are_never_lost() {
    let server = setup().start();
    let (peer, mut client, relay) = flooded(&server);
    flood(&server, &peer, relay, 2_000);
    for id in 1_000..1_100 {
        client.send(&request(turn_codec::Method::BINDING, id, &[]));
    }
    flood(&server, &peer, relay, 2_000);
    let mut replies = Vec::new();
    while replies.len() < 100 {
        let frame = client.receive().unwrap();
        if frame[0] < 4 {
            replies.push(u32::from_be_bytes(*frame[8..].first_chunk().unwrap()));
        }
    }
    assert_eq!(replies, (1_000..1_100).collect::<Vec<_>>());
}

#[test]
fn h17_slow_reader_over_tls_loses_the_oldest_too() {
    let server = setup().start();
    let socket = small_window(server.address);
    let mut client = Client::new(server.tls_over(socket));
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    let newest = flood(&server, &peer, relay, 4_000);
    let mut frames = 0;
    loop {
        let frame = client.receive().unwrap();
        frames += 1;
        if data_of(&frame).starts_with(&newest.to_be_bytes()) {
            break;
        }
    }
    // One record is encrypted ahead; the rest waits where it can be dropped.
    assert!(frames < 2_000, "{frames}");
}

#[test]
fn h17_client_that_never_reads_its_replies_is_read_no_further() {
    let patience = Patience { progress: 4 * BRISK, ..Patience::default() };
    let server = Setup { patience, ..setup() }.start();
    let mut client = Client::new(small_window(server.address));
    client.stream.set_nonblocking(true).unwrap();
    let requests: Vec<u8> =
        (0..500).flat_map(|id| request(turn_codec::Method::BINDING, id, &[])).collect();
    let started = Instant::now();
    while server.count("connections_timed_out") == 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        // Never whole frames only; nobody looks at the answers.
        let _ = std::io::Write::write(&mut client.stream, &requests);
    }
    let served = server.count("stream_frames");
    assert!(served < 300_000, "{served}");
}

#[test]
fn h17_client_without_progress_is_closed() {
    let patience = Patience { progress: BRISK, ..Patience::default() };
    let server = Setup { patience, ..setup() }.start();
    let (peer, _client, relay) = flooded(&server);
    flood(&server, &peer, relay, 2_000);
    server.wait_for("connections_closed", 1);
    assert_eq!(server.count("connections_timed_out"), 1);
    assert_eq!(server.allocations(), 0);
}

#[test]
fn slow_reader_does_not_delay_another_client() {
    let server = setup().start();
    let (peer, _slow, relay) = flooded(&server);
    flood(&server, &peer, relay, 2_000);
    let own_peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut quick = server.tcp();
    let own_relay = quick.allocate();
    quick.bind_channel(own_peer.local_addr().unwrap());
    let started = Instant::now();
    for number in 0..500_u32 {
        peer.send_to(&[0; PAYLOAD], relay).unwrap();
        own_peer.send_to(&number.to_be_bytes(), own_relay).unwrap();
        assert_eq!(data_of(&quick.receive().unwrap()), number.to_be_bytes());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

fn setup() -> Setup {
    let limits = Limits { queue_per_connection: QUEUE, ..Limits::default() };
    Setup { limits, ..Setup::default() }
}

/// A client with a small window and a channel, and its peer.
fn flooded(server: &Server) -> (UdpSocket, Client, SocketAddr) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new(small_window(server.address));
    let relay = client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    (peer, client, relay)
}

/// Sends numbered datagrams, no faster than they are relayed; gives the last
/// number.
fn flood(server: &Server, peer: &UdpSocket, relay: SocketAddr, count: u32) -> u32 {
    let mut relayed = server.count("from_peers");
    let mut payload = [0; PAYLOAD];
    for number in 0..count {
        *payload.first_chunk_mut().unwrap() = number.to_be_bytes();
        peer.send_to(&payload, relay).unwrap();
        relayed += 1;
        if number % 20 == 19 || number == count - 1 {
            server.wait_for("from_peers", relayed);
        }
    }
    count - 1
}
