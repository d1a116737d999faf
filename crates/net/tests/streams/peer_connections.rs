//! TCP connections to peers, RFC 6062.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use turn_codec::attribute::RequestedTransport;
use turn_codec::{Message, Method};
use turn_engine::{Bandwidth, Realm, RealmLimits};
use turn_net::Patience;

use crate::client::{Client, connection_of, error_of, request, small_window};
use crate::server::{BRISK, Server, Setup, open_realm};

/// Bytes of the long transfers.
const LONG: usize = 8 << 20;

#[test]
fn x5_bytes_after_the_response_are_raw() {
    let server = Setup::default().start();
    let (listener, mut control) = (listener(), server.tcp());
    control.allocate_for(RequestedTransport::TCP);
    let connection = control.connect(listener.local_addr().unwrap());
    let mut peer = accepted(&listener);
    // In the same write as the request, and nothing like a frame.
    let mut data = server.tcp();
    let mut bytes = request(Method::CONNECTION_BIND, 7, &[&connection]);
    bytes.extend_from_slice(b"\xFFraw at once");
    data.send(&bytes);
    assert!(data.receive().is_some_and(|answer| crate::client::is_success(&answer)));
    assert_eq!(exactly(&mut peer, 12), b"\xFFraw at once");
    peer.write_all(b"\xEEraw too").unwrap();
    assert_eq!(data.read_exactly(8), b"\xEEraw too");
    assert_eq!(server.count("splices"), 1);
}

#[test]
fn x6_peer_with_a_permission_is_announced_and_another_is_closed() {
    let server = Setup::default().start();
    let mut control = server.tcp();
    let relay = control.allocate_for(RequestedTransport::TCP);
    let mut stranger = timed(TcpStream::connect(relay).unwrap());
    assert!(matches!(stranger.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(server.count("peers_refused"), 1);

    control.permit(SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut peer = timed(TcpStream::connect(relay).unwrap());
    peer.write_all(b"early").unwrap();
    let attempt = control.receive().unwrap();
    assert_eq!(Message::parse(&attempt).unwrap().method(), Method::CONNECTION_ATTEMPT);
    let mut data = server.tls();
    data.bind_connection(connection_of(&attempt));
    assert_eq!(data.read_exactly(5), b"early");
}

#[test]
fn x7_8_mib_both_ways_are_neither_lost_nor_reordered_under_back_pressure() {
    let server = Setup::default().start();
    both_ways(&server, server.tcp());
}

#[test]
fn x7_8_mib_both_ways_over_tls() {
    let server = Setup::default().start();
    // One direction at a time: a blocking TLS client cannot be halved.
    let (mut peer, mut data) = spliced(&server, server.tls());
    let sender = thread::spawn(move || {
        peer.write_all(&pattern(LONG)).unwrap();
        let received = exactly(&mut peer, LONG);
        assert!(received == pattern(LONG));
    });
    thread::sleep(Duration::from_millis(300));
    assert!(data.read_exactly(LONG) == pattern(LONG));
    data.send(&pattern(LONG));
    sender.join().unwrap();
}

#[test]
fn x7_what_a_peer_sends_before_the_bind_waits_in_a_bounded_window() {
    let server = Setup::default().start();
    let (listener, mut control) = (listener(), server.tcp());
    control.allocate_for(RequestedTransport::TCP);
    let connection = control.connect(listener.local_addr().unwrap());
    let mut peer = accepted(&listener);
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let all = pattern(64 << 20);
    while let Ok(count) = peer.write(&all[sent..]) {
        sent += count;
        thread::sleep(Duration::from_millis(1));
    }
    assert!(sent < 16 << 20, "{sent} bytes were taken");
    let mut data = server.tcp();
    data.bind_connection(connection);
    assert!(data.read_exactly(sent) == all[..sent]);
}

#[test]
fn x8_end_of_the_peer_ends_the_client_after_its_last_byte() {
    let server = Setup::default().start();
    let (mut peer, mut data) = spliced(&server, server.tcp());
    peer.write_all(&pattern(1 << 20)).unwrap();
    drop(peer);
    assert!(data.read_to_end() == pattern(1 << 20));
    drop(data);
    // Only the control connection is left.
    server.wait_for("connections_closed", 1);
}

#[test]
fn x8_what_was_delivered_survives_what_nobody_reads_any_more() {
    let server = Setup::default().start();
    let (mut peer, mut data) = spliced(&server, Client::new(small_window(server.address)));
    // The client sends on and on; when its peer ends, that meets nobody.
    let mut flooding = data.stream.try_clone().unwrap();
    let flood = thread::spawn(move || while flooding.write_all(&[0; 1_000]).is_ok() {});
    let mut draining = peer.try_clone().unwrap();
    let drain = thread::spawn(move || std::io::copy(&mut draining, &mut std::io::sink()));
    peer.write_all(&pattern(300_000)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(data.read_exactly(300_000) == pattern(300_000));
    assert_eq!(data.read_to_end(), b"");
    data.stream.shutdown(Shutdown::Both).unwrap();
    flood.join().unwrap();
    let _ = drain.join().unwrap();
}

#[test]
fn x8_end_is_waited_for_only_as_long_as_something_moves() {
    let patience = Patience { progress: BRISK, ..Patience::default() };
    let server = Setup { patience, ..Setup::default() }.start();
    let (peer, data) = spliced(&server, server.tcp());
    let mut flooding = data.stream.try_clone().unwrap();
    let flood = thread::spawn(move || flooding.write_all(&pattern(4 * LONG)));
    // Until all that is between the two is full.
    let (mut carried, mut before) = (0, None);
    while carried == 0 || before != Some(carried) {
        before = Some(carried);
        thread::sleep(Duration::from_millis(300));
        carried = server.count("relayed_up_bytes");
    }
    // It ends its own direction, and never reads the other.
    peer.shutdown(Shutdown::Write).unwrap();
    server.wait_for("connections_closed", 1);
    assert!(flood.join().unwrap().is_err());
}

#[test]
fn x8_end_of_the_client_ends_the_peer_after_its_last_byte() {
    for is_secured in [false, true] {
        let server = Setup::default().start();
        let mut peer = if is_secured {
            let (peer, mut data) = spliced(&server, server.tls());
            data.send(&pattern(100_000));
            data.stream.conn.send_close_notify();
            data.stream.flush().unwrap();
            peer
        } else {
            let (peer, mut data) = spliced(&server, server.tcp());
            data.send(&pattern(100_000));
            data.stream.shutdown(Shutdown::Write).unwrap();
            peer
        };
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert!(received == pattern(100_000));
    }
}

#[test]
fn x8_end_of_the_allocation_ends_everything() {
    let server = Setup::default().start();
    let (listener, mut control) = (listener(), server.tcp());
    let relay = control.allocate_for(RequestedTransport::TCP);
    let first = control.connect(listener.local_addr().unwrap());
    let (mut spliced_peer, mut data) = (accepted(&listener), server.tcp());
    data.bind_connection(first);
    let other = self::listener();
    control.connect(other.local_addr().unwrap());
    let mut waiting_peer = accepted(&other);
    drop(control);
    assert!(matches!(spliced_peer.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(matches!(waiting_peer.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(data.read_to_end(), b"");
    server.wait_for("relays_closed", 1);
    assert!(TcpStream::connect(relay).is_err());
}

#[test]
fn x2_peer_that_refuses_is_a_447() {
    let server = Setup::default().start();
    let mut control = server.tcp();
    control.allocate_for(RequestedTransport::TCP);
    let refusing = listener().local_addr().unwrap();
    let answer = control.ask(Method::CONNECT, &[&turn_codec::attribute::XorPeerAddress(refusing)]);
    assert_eq!(error_of(&answer), Some(447));
    assert_eq!(server.count("peer_connects_failed"), 1);
}

#[test]
fn splice_waits_for_its_bandwidth_and_loses_nothing() {
    let limits = RealmLimits {
        bandwidth_per_allocation: Some(Bandwidth { bytes_per_second: 1 << 20 }),
        ..RealmLimits::default()
    };
    let realms = vec![Realm { limits, ..open_realm("localhost") }];
    let server = Setup { realms, ..Setup::default() }.start();
    let (mut peer, mut data) = spliced(&server, server.tcp());
    let started = std::time::Instant::now();
    let sender = thread::spawn(move || peer.write_all(&pattern(1 << 20)).map(|()| peer));
    assert!(data.read_exactly(1 << 20) == pattern(1 << 20));
    // A quarter of a second's worth is the burst.
    assert!(started.elapsed() > Duration::from_millis(600), "{:?}", started.elapsed());
    sender.join().unwrap().unwrap();
}

#[test]
fn idle_splice_outlives_the_patience_with_strangers() {
    let patience = Patience { idle: BRISK, progress: BRISK, ..Patience::default() };
    let server = Setup { patience, ..Setup::default() }.start();
    let (mut peer, mut data) = spliced(&server, server.tcp());
    thread::sleep(3 * BRISK);
    peer.write_all(b"still here").unwrap();
    assert_eq!(data.read_exactly(10), b"still here");
}

/// A client data connection and its peer's end. The control connection stays
/// open for the length of the process.
fn spliced<S: Read + Write>(server: &Server, mut data: Client<S>) -> (TcpStream, Client<S>) {
    let (listener, mut control) = (listener(), server.tcp());
    control.allocate_for(RequestedTransport::TCP);
    data.bind_connection(control.connect(listener.local_addr().unwrap()));
    std::mem::forget(control);
    (accepted(&listener), data)
}

fn both_ways(server: &Server, data: Client) {
    let (mut peer, data) = spliced(server, data);
    let mut writers = Vec::new();
    for stream in [&peer, &data.stream] {
        let mut stream = stream.try_clone().unwrap();
        writers.push(thread::spawn(move || stream.write_all(&pattern(LONG)).unwrap()));
    }
    // Nobody reads for a while.
    thread::sleep(Duration::from_millis(500));
    let mut stream = data.stream.try_clone().unwrap();
    let reader = thread::spawn(move || exactly(&mut stream, LONG) == pattern(LONG));
    assert!(exactly(&mut peer, LONG) == pattern(LONG));
    assert!(reader.join().unwrap());
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn accepted(listener: &TcpListener) -> TcpStream {
    timed(listener.accept().unwrap().0)
}

fn timed(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}
