//! Clients on TLS.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::time::Instant;

use turn_engine::Transport;
use turn_net::Patience;

use crate::client::{Client, channel_data, data_of, dial};
use crate::server::{BRISK, Setup};

#[test]
fn data_is_relayed_over_tls() {
    let server = Setup::default().start();
    let (peer, mut client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), server.tls());
    let relay = client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    let mut buffer = vec![0; 65_536];
    for len in [0, 1, 1_200, 40_000] {
        let data: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        client.send(&channel_data(&data));
        let count = peer.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..count], data);
        peer.send_to(&data, relay).unwrap();
        assert_eq!(data_of(&client.receive().unwrap()), data);
    }
    assert_eq!(server.count("tls_handshakes"), 1);
}

#[test]
fn listener_of_one_transport_closes_the_other() {
    let server = Setup { transports: vec![Transport::Tls], ..Setup::default() }.start();
    let mut plain = server.tcp();
    plain.send(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // An alert at most.
    plain.read_to_end();
    server.wait_for("tls_handshake_errors", 1);
    assert!(server.tls().binds());

    let server = Setup { transports: vec![Transport::Tcp], ..Setup::default() }.start();
    let mut secured = server.tls_over(dial(server.address));
    assert!(secured.write_all(b"hello").and_then(|()| secured.flush()).is_err());
    assert!(server.tcp().binds());
}

#[test]
fn server_says_goodbye_with_close_notify() {
    let server = Setup::default().start();
    let mut client = server.tls();
    assert!(client.binds());
    client.send(&[0xFF; 4]);
    // Without close_notify, this would be an error.
    assert_eq!(client.stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn h15_endless_client_hello_is_not_held() {
    let server = Setup::default().start();
    let started = Instant::now();
    let mut client = Client::new(dial(server.address));
    // A ClientHello of 60 KB, in records of 4.
    let mut record = vec![0; 5 + 4_096];
    record[..5].copy_from_slice(&[22, 3, 1, 0x10, 0]);
    let mut first = record.clone();
    first[5..9].copy_from_slice(&[1, 0, 0xEA, 0x60]);
    client.send(&first);
    (0..3).for_each(|_| client.send(&record));
    // Closed with something unread, this may be an error here.
    let _ = client.stream.write_all(&record);
    client.read_to_end();
    server.wait_for("tls_handshake_errors", 1);
    assert!(started.elapsed() < Patience::default().handshake / 2);
    assert!(server.tls().binds());
}

#[test]
fn h15_handshake_that_drips_is_ended() {
    let patience = Patience { handshake: BRISK, ..Patience::default() };
    let server = Setup { patience, ..Setup::default() }.start();
    let mut client = Client::new(dial(server.address));
    client.send(&[0x16, 3, 1]);
    assert_eq!(client.read_to_end(), b"");
    assert_eq!(server.count("connections_timed_out"), 1);
    assert!(server.tls().binds());
}
