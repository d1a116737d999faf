//! The blocking client over TCP: framing, padding, one request a transaction.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Credentials, Error, Origin, Received, Schedule, Wire};
use turn_codec::{ChannelNumber, Message};

use crate::fake::{
    FakeServer, MAPPED, PEER, RELAYED, allocated, ann, data_indication, here, mapped, turn,
    unauthenticated,
};
use crate::fake_stream::{FakeStreamServer, assert_io};

const CHANNEL: ChannelNumber = ChannelNumber::MIN;
const SECOND: Duration = Duration::from_secs(1);
/// 35 ms in all.
const QUICK: Schedule = Schedule { rto: Duration::from_millis(5), requests: 3, last: 4 };

#[test]
fn operations_pass_a_401_and_a_438_over_tcp() {
    let server = FakeStreamServer::start(|mut it| it.answer(|bytes| turn(bytes, "second")));
    let mut client = server.client();
    let allocation = client.allocate(&AllocateOptions::default()).unwrap();
    assert_eq!(allocation.relayed, RELAYED.parse().unwrap());
    assert_eq!((client.challenges(), client.stale_nonces()), (1, 1));
    client.bind_channel(CHANNEL, PEER.parse().unwrap()).unwrap();
    assert_eq!(client.refresh(SECOND).unwrap(), SECOND);
    assert_eq!(client.raw().server_addr().unwrap(), server.address);
    assert!(client.raw().tls().is_none());
}

#[test]
fn replies_fed_byte_by_byte_are_whole_messages() {
    let server = FakeStreamServer::start(|mut it| {
        it.answer(|request| [b"\x40\x00\x00\x05abcde\xFF\xFF\xFF", &*mapped(request)].concat());
    });
    let trickle = FakeStreamServer::start(move |mut it| {
        let request = it.message().unwrap();
        let upstream = Wire::connect_tcp(here(), server.address).unwrap();
        upstream.send(&request).unwrap();
        let mut reply = Vec::new();
        while reply.len() < 12 + 32 {
            reply.extend(upstream.read_some(SECOND).unwrap().unwrap());
        }
        for byte in reply {
            it.send(&[byte]);
        }
        it.message();
    });
    let mut client = trickle.client();
    assert_eq!(client.binding().unwrap(), MAPPED.parse().unwrap());
    let from = Origin::Channel(CHANNEL);
    assert_eq!(client.receive(SECOND).unwrap(), Received { from, data: b"abcde".to_vec() });
}

#[test]
fn coalesced_messages_come_out_in_order() {
    let server = FakeStreamServer::start(|mut it| {
        it.answer(|request| {
            let first = b"\x40\x00\x00\x03one\0";
            let fourth = b"\x40\x00\x00\x04four";
            let fifth = b"\x40\x00\x00\x00";
            [first, &*data_indication(b"two"), &*mapped(request), fourth, fifth].concat()
        });
    });
    let mut client = server.client();
    client.binding().unwrap();
    let (channel, peer) = (Origin::Channel(CHANNEL), Origin::Peer(PEER.parse().unwrap()));
    for (from, data) in [(channel, "one"), (peer, "two"), (channel, "four"), (channel, "")] {
        let data = data.as_bytes().to_vec();
        assert_eq!(client.receive(SECOND).unwrap(), Received { from, data });
    }
    assert!(matches!(client.receive(Duration::ZERO), Err(Error::Timeout)));
}

#[test]
fn channel_data_is_padded_both_ways() {
    let (seen, messages) = mpsc::channel();
    let server = FakeStreamServer::start(move |mut it| {
        it.answer(|message| {
            seen.send(message.to_vec()).unwrap();
            message.to_vec()
        });
    });
    let mut client = server.client();
    for data in [&b"abcde"[..], b"abcd", b"", b"x"] {
        client.send_channel(CHANNEL, data).unwrap();
        assert_eq!(client.receive(SECOND).unwrap().data, data);
    }
    let padded: &[&[u8]] = &[
        b"\x40\x00\x00\x05abcde\0\0\0",
        b"\x40\x00\x00\x04abcd",
        b"\x40\x00\x00\x00",
        b"\x40\x00\x00\x01x\0\0\0",
    ];
    for &expected in padded {
        assert_eq!(messages.recv().unwrap(), expected);
    }
    // Over UDP nothing is added.
    let server = FakeServer::start(|datagram| vec![datagram.to_vec()]);
    let mut client = server.client(ann());
    client.send_channel(CHANNEL, b"x").unwrap();
    assert_eq!(client.raw().receive(SECOND).unwrap().as_deref(), Some(&b"\x40\0\0\x01x"[..]));
}

#[test]
fn the_longest_messages_pass() {
    let server = FakeStreamServer::start(|mut it| it.answer(<[u8]>::to_vec));
    let mut client = server.client();
    let data = vec![7; 65_535];
    client.send_channel(CHANNEL, &data).unwrap();
    assert_eq!(client.receive(SECOND).unwrap().data, data);
    let head = [0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42];
    let longest = [&head[..], &[0; 12 + 65_532]].concat();
    client.raw().send(&longest).unwrap();
    assert_eq!(client.raw().receive(SECOND).unwrap(), Some(longest));
}

#[test]
fn request_is_sent_once_and_waited_for_as_long_as_over_udp() {
    let (seen, count) = mpsc::channel();
    let server = FakeStreamServer::start(move |mut it| {
        let mut requests = 0;
        while it.message().is_some() {
            requests += 1;
        }
        seen.send(requests).unwrap();
    });
    let mut client = server.client();
    client.set_schedule(QUICK);
    let start = Instant::now();
    assert!(matches!(client.binding(), Err(Error::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(35));
    client.raw().shutdown(Shutdown::Write).unwrap();
    assert_eq!(count.recv().unwrap(), 1);
}

#[test]
fn response_that_is_not_proven_ends_the_transaction_at_once() {
    let server = FakeStreamServer::start(|mut it| {
        it.answer(|request| {
            let is_signed = Message::parse(request).unwrap().has_integrity();
            if is_signed { allocated(request, None) } else { unauthenticated(request) }
        });
    });
    let mut client = server.client();
    let start = Instant::now();
    let result = client.allocate(&AllocateOptions::default());
    assert!(matches!(result, Err(Error::BadIntegrity)), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn end_of_the_stream_is_an_error_at_once() {
    let server = FakeStreamServer::start(|mut it| drop(it.message()));
    let mut client = server.client();
    assert_io(client.binding(), ErrorKind::UnexpectedEof);
    assert_eq!(client.raw().read_some(SECOND).unwrap(), Some(Vec::new()));
}

#[test]
fn stream_of_something_else_is_invalid_data() {
    let server = FakeStreamServer::start(|mut it| it.answer(|_| b"SSH-2.0-other\r\n".to_vec()));
    let mut client = server.client();
    assert_io(client.binding(), ErrorKind::InvalidData);
    // Whoever wants to know what it was can see it.
    let answer = client.raw().read_some(SECOND).unwrap().unwrap();
    assert_eq!(answer, b"SSH-2.0-other\r\n");
}

#[test]
fn any_bytes_can_be_sent_and_read_over_tcp() {
    let server = FakeStreamServer::start(|mut it| it.echo());
    let client = server.client();
    let wire = client.raw();
    wire.send(b"\xFFnoise").unwrap();
    let mut echo = Vec::new();
    while echo.len() < 6 {
        echo.extend(wire.read_some(SECOND).unwrap().unwrap());
    }
    assert_eq!(echo, b"\xFFnoise");
    assert_eq!(wire.read_some(Duration::ZERO).unwrap(), None);
    assert!(wire.tcp().unwrap().nodelay().unwrap());
    wire.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire.read_some(SECOND).unwrap(), Some(Vec::new()));
    assert_eq!(wire.local_addr().unwrap(), client.local_addr().unwrap());
}

#[test]
fn connection_on_which_something_was_sent_can_be_taken_over() {
    let (seen, first) = mpsc::channel();
    let server = FakeStreamServer::start(move |mut it| {
        let mut preface = Vec::new();
        while preface.len() < 5 {
            preface.extend(it.bytes());
        }
        seen.send(preface).unwrap();
        it.send(b"\x40\x00\x00\x04over");
        it.message();
    });
    let socket = TcpStream::connect(server.address).unwrap();
    std::io::Write::write_all(&mut &socket, b"PROXY").unwrap();
    let wire = Wire::over_tcp(socket).unwrap();
    let mut client = Client::over(wire, Credentials::anonymous()).unwrap();
    assert_eq!(client.receive(SECOND).unwrap().data, b"over");
    assert_eq!(first.recv().unwrap(), b"PROXY");
}

#[test]
fn port_without_a_listener_refuses() {
    let gone = TcpListener::bind(here()).unwrap();
    let server = gone.local_addr().unwrap();
    drop(gone);
    let error = Client::connect_tcp(here(), server, ann()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
