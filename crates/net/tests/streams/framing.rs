//! Frames in and out of a stream.

use std::io::Write as _;
use std::net::UdpSocket;

use turn_codec::Method;
use turn_codec::attribute::{RequestedTransport, Software};

use crate::client::{CHANNEL, channel_data, data_of, is_success, request};
use crate::server::Setup;

#[test]
fn s18_frames_byte_by_byte_are_served() {
    let server = Setup::default().start();
    let mut client = server.tcp();
    for id in 0..3 {
        for byte in request(Method::BINDING, id, &[&Software("a slow client")]) {
            client.send(&[byte]);
        }
        assert!(is_success(&client.receive().unwrap()));
    }
}

#[test]
fn s18_pipelined_frames_are_served_in_order() {
    let server = Setup::default().start();
    let mut client = server.tcp();
    let all: Vec<u8> = (0..200).flat_map(|id| request(Method::BINDING, id, &[])).collect();
    client.send(&all);
    for id in 0..200_u32 {
        let answer = client.receive().unwrap();
        assert!(is_success(&answer));
        assert_eq!(answer[8..12], id.to_be_bytes());
    }
}

#[test]
fn s18_frame_over_2048_bytes_before_an_allocation_closes() {
    let server = Setup::default().start();
    for first in [&[0, 1, 0x08, 0x04, 0x21, 0x12, 0xA4, 0x42][..], &[0x40, 0, 0x08, 0], b"GET /"] {
        let mut client = server.tcp();
        assert!(client.binds());
        client.send(first);
        assert_eq!(client.receive(), None, "{first:?}");
    }
    let mut client = server.tcp();
    client.allocate();
    client.send(&channel_data(&[0; 60_000]));
    assert!(client.binds());
}

#[test]
fn s18_bytes_of_another_protocol_close() {
    let server = Setup::default().start();
    let mut client = server.tcp();
    client.send(&[0x80; 20]);
    assert_eq!(client.receive(), None);
    server.wait_for("streams_misframed", 1);
}

#[test]
fn c7_channel_data_is_padded_both_ways_and_the_padding_is_not_relayed() {
    let server = Setup::default().start();
    let (peer, mut client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), server.tcp());
    let relay = client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    let mut buffer = [0; 2_000];
    for len in [0, 1, 2, 3, 4, 5, 999] {
        let data = vec![7; len];
        let mut frame = channel_data(&data);
        // Whatever stands in the padding.
        frame[4 + len..].fill(0xEE);
        client.send(&frame);
        let (count, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..count], from), (&data[..], relay));
        peer.send_to(&data, relay).unwrap();
        // The client checks the padding.
        assert_eq!(data_of(&client.receive().unwrap()), data);
    }
}

#[test]
fn many_frames_of_one_write_reach_the_peer_in_order() {
    let server = Setup::default().start();
    let (peer, mut client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), server.tcp());
    client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    let all: Vec<u8> =
        (0..100_u32).flat_map(|number| channel_data(&number.to_be_bytes())).collect();
    client.send(&all);
    for number in 0..100_u32 {
        let mut buffer = [0; 16];
        let count = peer.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..count], number.to_be_bytes());
    }
}

#[test]
fn clients_on_tcp_and_udp_relay_to_each_other_across_shards() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let mut clients: Vec<_> = (0..6).map(|_| server.tcp()).collect();
    let relays: Vec<_> = clients.iter_mut().map(|client| client.allocate()).collect();
    for (at, relay) in relays.iter().enumerate() {
        let next = (at + 1) % relays.len();
        clients[next].permit(*relay);
        clients[at].bind_channel(relays[next]);
        clients[at].send(&channel_data(&at.to_be_bytes()));
        let indication = clients[next].receive().unwrap();
        let message = turn_codec::Message::parse(&indication).unwrap();
        assert_eq!(message.method(), Method::DATA);
        let data = message.get::<turn_codec::attribute::Data<'_>>().unwrap().unwrap();
        assert_eq!(data.0, at.to_be_bytes());
    }
}

#[test]
fn s19_answer_to_a_client_that_is_gone_goes_nowhere() {
    let server = Setup::default().start();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = server.tcp();
    let relay = client.allocate();
    client.permit(peer.local_addr().unwrap());
    let local = client.stream.local_addr().unwrap();
    drop(client);
    server.wait_for("allocations_ended", 1);
    // Somebody else listens where the client was.
    let listener = std::net::TcpListener::bind(local);
    peer.send_to(b"too late", relay).unwrap();
    let mut other = server.tcp();
    assert!(other.binds());
    if let Ok(listener) = listener {
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
    }
    assert_eq!(server.allocations(), 0);
}

#[test]
fn end_of_a_connection_is_the_end_of_its_allocation() {
    let server = Setup::default().start();
    let mut client = server.tcp();
    client.allocate_for(RequestedTransport::UDP);
    assert_eq!(server.allocations(), 1);
    client.stream.flush().unwrap();
    drop(client);
    server.wait_for("connections_closed", 1);
    assert_eq!(server.allocations(), 0);
}

#[test]
fn several_transports_share_a_port() {
    let server = Setup::default().start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(&request(Method::BINDING, 1, &[]), server.address).unwrap();
    let mut buffer = [0; 100];
    let count = udp.recv(&mut buffer).unwrap();
    assert!(is_success(&buffer[..count]));
    assert!(server.tcp().binds());
    assert!(server.tls().binds());
    assert_eq!(CHANNEL >> 12, 4);
}
