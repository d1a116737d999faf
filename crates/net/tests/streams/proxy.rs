//! Clients behind a proxy that says who they are.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use turn_codec::attribute::{
    Lifetime, RequestedTransport, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use turn_codec::{Message, Method};
use turn_engine::Limits;
use turn_net::Patience;

use crate::client::{Client, dial, is_success, request};
use crate::server::{BRISK, Setup};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

#[test]
fn h31_header_of_an_upstream_names_the_client() {
    let server = behind("127.0.0.1").start();
    let mut plain = server.tcp();
    plain.send(V1);
    assert_eq!(mapped(&plain.ask(Method::BINDING, &[])), "192.0.2.7:56324");
    // Byte by byte, and the first message in the same segment as its end.
    let mut slow = server.tcp();
    let (last, first) = V1.split_last().unwrap();
    first.iter().for_each(|byte| slow.send(&[*byte]));
    slow.send(&[&[*last][..], &request(Method::BINDING, 9, &[])].concat());
    assert_eq!(mapped(&slow.receive().unwrap()), "192.0.2.7:56324");
    // In front of the handshake.
    let mut socket = dial(server.address);
    std::io::Write::write_all(&mut socket, V1).unwrap();
    let mut secured = Client::new(server.tls_over(socket));
    assert_eq!(mapped(&secured.ask(Method::BINDING, &[])), "192.0.2.7:56324");
}

#[test]
fn h31_binary_header_is_read_and_local_keeps_the_address_of_the_socket() {
    let server = behind("127.0.0.1").start();
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let mut client = server.tcp();
    client.send(signature);
    client.send(&[0x21, 0x11, 0, 12, 192, 0, 2, 9, 198, 51, 100, 1, 0xDC, 4, 1, 0xBB]);
    assert_eq!(mapped(&client.ask(Method::BINDING, &[])), "192.0.2.9:56324");
    let mut local = server.tcp();
    local.send(signature);
    local.send(&[0x20, 0, 0, 0]);
    let own = local.stream.local_addr().unwrap().to_string();
    assert_eq!(mapped(&local.ask(Method::BINDING, &[])), own);
}

#[test]
fn h31_datagrams_of_an_upstream_name_their_client() {
    let server = behind("127.0.0.1").start();
    let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
    proxy.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let header = |protocol: u8, port: u16| {
        let [p0, p1] = port.to_be_bytes();
        let signature = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
        let addresses = [0x21, protocol, 0, 12, 192, 0, 2, 9, 198, 51, 100, 1, p0, p1, 1, 0xBB];
        [signature, &addresses].concat()
    };
    let ask = |header: &[u8], id: u32| {
        let datagram = [header, &request(Method::BINDING, id, &[])].concat();
        proxy.send_to(&datagram, server.address).unwrap();
    };
    // Without a header, and with one of another protocol: silence.
    ask(b"", 1);
    ask(&header(0x11, 1), 2);
    // Two clients behind one port of the proxy are two clients.
    ask(&header(0x12, 56_324), 3);
    ask(&header(0x12, 56_325), 4);
    let mut buffer = [0; 200];
    for expected in ["192.0.2.9:56324", "192.0.2.9:56325"] {
        let len = proxy.recv(&mut buffer).unwrap();
        assert_eq!(mapped(buffer.get(..len).unwrap()), expected);
    }
    // An Allocate of either is a 5-tuple of its own.
    for (port, id) in [(56_324, 5), (56_325, 6)] {
        let allocate = request(Method::ALLOCATE, id, &[&RequestedTransport::UDP, &Lifetime(600)]);
        let datagram = [&header(0x12, port)[..], &allocate].concat();
        proxy.send_to(&datagram, server.address).unwrap();
        let len = proxy.recv(&mut buffer).unwrap();
        assert!(is_success(buffer.get(..len).unwrap()));
    }
    // The same header of somebody else: nothing.
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let datagram = [&header(0x12, 1)[..], &request(Method::BINDING, 7, &[])].concat();
    stranger.send_to(&datagram, server.address).unwrap();
    assert!(stranger.recv(&mut buffer).is_err());
}

#[test]
fn client_is_followed_when_its_proxy_takes_another_port() {
    let server = behind("127.0.0.1").start();
    let header =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0C\xC0\0\x02\x09\xC6\x33\x64\x01\xDC\x04\x01\xBB";
    let ask = |proxy: &UdpSocket, message: &[u8]| {
        proxy.send_to(&[&header[..], message].concat(), server.address).unwrap();
        let mut buffer = [0; 200];
        let len = proxy.recv(&mut buffer).unwrap();
        buffer[..len].to_vec()
    };
    let [before, after, peer] = [(); 3].map(|()| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    });
    let lifetime = Lifetime(600);
    let answer =
        ask(&before, &request(Method::ALLOCATE, 1, &[&RequestedTransport::UDP, &lifetime]));
    let relayed = Message::parse(&answer).unwrap().get::<XorRelayedAddress>().unwrap().unwrap().0;
    let permitted = XorPeerAddress(peer.local_addr().unwrap());
    assert!(is_success(&ask(&after, &request(Method::CREATE_PERMISSION, 2, &[&permitted]))));
    peer.send_to(b"for the client", relayed).unwrap();
    let mut buffer = [0; 200];
    let len = after.recv(&mut buffer).unwrap();
    assert!(buffer[..len].windows(14).any(|window| window == b"for the client"));
}

#[test]
fn allocation_of_a_connection_is_not_that_of_the_next_one_with_its_addresses() {
    let server = behind("127.0.0.1").start();
    let (mut first, mut second) = (server.tcp(), server.tcp());
    first.send(V1);
    first.allocate();
    // The proxy has not closed the first one yet.
    second.send(V1);
    second.allocate();
    assert_eq!(first.receive(), None);
    assert!(second.binds());
    assert_eq!(server.allocations(), 1);
}

#[test]
fn h31_anything_else_is_closed() {
    let server = behind("127.0.0.1").start();
    for bytes in [&request(Method::BINDING, 1, &[])[..], b"PROXY TCP4 nonsense\r\n", b"\x16\x03"] {
        let mut client = server.tcp();
        client.send(bytes);
        assert_eq!(client.receive(), None, "{bytes:?}");
    }
    assert_eq!(server.count("connections_refused"), 3);
}

#[test]
fn h31_header_of_a_stranger_is_not_read() {
    let server = behind("192.0.2.1").start();
    assert_eq!(Client::new(dial(server.address)).receive(), None);
    assert_eq!(server.count("connections_refused"), 1);
}

#[test]
fn h31_header_has_its_deadline() {
    let patience = Patience { handshake: BRISK, ..Patience::default() };
    let server = Setup { patience, ..behind("127.0.0.1") }.start();
    let mut client = server.tcp();
    client.send(&V1[..20]);
    assert_eq!(client.receive(), None);
    assert_eq!(server.count("connections_timed_out"), 1);
}

#[test]
fn h15_clients_are_counted_behind_their_proxy() {
    let limits = Limits { connections_per_source: Some(1), ..Limits::default() };
    let server = Setup { limits, ..behind("127.0.0.1") }.start();
    let mut kept = server.tcp();
    kept.send(V1);
    assert!(kept.binds());
    let mut again = server.tcp();
    again.send(V1);
    assert_eq!(again.receive(), None);
    let mut other = server.tcp();
    other.send(b"PROXY TCP4 192.0.2.8 198.51.100.1 1 443\r\n");
    assert!(other.binds());
}

fn behind(upstream: &str) -> Setup {
    let upstream: IpAddr = upstream.parse().unwrap();
    Setup { proxy_upstreams: vec![upstream.into()], ..Setup::default() }
}

fn mapped(answer: &[u8]) -> String {
    let message = Message::parse(answer).unwrap();
    message.get::<XorMappedAddress>().unwrap().unwrap().0.to_string()
}
