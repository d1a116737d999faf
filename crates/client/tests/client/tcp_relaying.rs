//! RFC 6062 from the client's side, against a scripted server.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use turn_client::{
    AllocateOptions, Client, ConnectionAttempt, ConnectionBind, DataConnection, Origin,
};
use turn_codec::attribute::{ConnectionId, RequestedTransport};
use turn_codec::{Message, Method, StatusCode};

use crate::fake::{
    CONNECTION, FakeServer, NONCE, PEER, ann, connection_attempt, data_indication, error, md5, turn,
};
use crate::fake_stream::{Accepted, FakeStreamServer, assert_io};
use crate::tls::Identity;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bytes_behind_the_reply_to_connection_bind_are_raw() {
    let server = FakeStreamServer::start(relay);
    let mut client = server.client();
    let data = connected(&mut client);
    check_echo(data);
    // The control connection lives on.
    client.refresh(SECOND).unwrap();
}

#[test]
fn data_connection_of_a_tls_client_is_tls() {
    let identity = Identity::new();
    let config = identity.config(&[]);
    let server = FakeStreamServer::start_tls(move || Arc::clone(&config), relay);
    let mut client = server.tls_client(&identity.options());
    let data = connected(&mut client);
    assert_eq!(data.tls(), client.raw().tls());
    check_echo(data);
}

#[test]
fn attempts_and_data_wait_for_each_other() {
    let server = FakeStreamServer::start(|mut it| {
        let mut sent = 0;
        it.answer(|request| {
            let id = ConnectionId(sent);
            sent += 1;
            [connection_attempt(id), data_indication(b"data"), turn(request, NONCE)].concat()
        });
    });
    let mut client = server.client();
    let options =
        AllocateOptions { transport: Some(RequestedTransport::TCP), ..AllocateOptions::default() };
    client.allocate(&options).unwrap();
    let peer = PEER.parse().unwrap();
    for number in 0..2 {
        let attempt = client.next_attempt(SECOND).unwrap();
        assert_eq!(attempt, ConnectionAttempt { peer, id: ConnectionId(number) });
    }
    for _ in 0..2 {
        assert_eq!(client.receive(SECOND).unwrap().from, Origin::Peer(peer));
    }
    assert!(client.next_attempt(Duration::ZERO).is_err());
}

#[test]
fn attempt_that_comes_while_data_is_awaited_is_kept() {
    let server = FakeStreamServer::start(|mut it| {
        it.send(&[connection_attempt(ConnectionId(7)), data_indication(b"x")].concat());
        it.send(&[data_indication(b"y"), connection_attempt(ConnectionId(8))].concat());
        it.message();
    });
    let mut client = server.client();
    assert_eq!(client.receive(SECOND).unwrap().data, b"x");
    assert_eq!(client.next_attempt(SECOND).unwrap().id, ConnectionId(7));
    assert_eq!(client.next_attempt(SECOND).unwrap().id, ConnectionId(8));
    assert_eq!(client.receive(SECOND).unwrap().data, b"y");
}

#[test]
fn refusals_of_connect_and_connection_bind_are_told() {
    let server = FakeStreamServer::start(|mut it| {
        it.answer(|request| {
            let message = Message::parse(request).unwrap();
            if !message.has_integrity() {
                return turn(request, NONCE);
            }
            let code = match message.method() {
                Method::CONNECT => StatusCode::CONNECTION_TIMEOUT_OR_FAILURE,
                _ => StatusCode::BAD_REQUEST,
            };
            error(request, code, Some((&md5(), turn_client::Integrity::Sha1)))
        });
    });
    let mut client = server.client();
    let refused = client.connect_peer(PEER.parse().unwrap()).unwrap_err();
    assert_eq!(refused.code(), Some(StatusCode::CONNECTION_TIMEOUT_OR_FAILURE));
    let refused = client.bind_data_connection(CONNECTION).unwrap_err();
    assert_eq!(refused.code(), Some(StatusCode::BAD_REQUEST));
}

#[test]
fn udp_carries_no_data_connection() {
    let server = FakeServer::start(|bytes| vec![turn(bytes, NONCE)]);
    let mut client = server.client(ann());
    client.transact(&ConnectionBind { id: CONNECTION }).unwrap();
    assert_io(client.bind_data_connection(CONNECTION), ErrorKind::Unsupported);
}

#[test]
fn read_that_gets_nothing_times_out() {
    let server = FakeStreamServer::start(relay);
    let mut data = connected(&mut server.client());
    let mut early = [0; 5];
    data.read_exact(&mut early).unwrap();
    data.set_timeout(Duration::from_millis(5));
    assert_eq!(data.read(&mut early).unwrap_err().kind(), ErrorKind::TimedOut);
    data.write_all(b"again").unwrap();
    data.set_timeout(SECOND);
    data.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"again");
}

/// A control connection as [`turn`] answers it; a connection whose ConnectionBind succeeds is
/// the peer's from then on, who says "early" and echoes.
fn relay(mut it: Accepted) {
    while let Some(request) = it.message() {
        let message = Message::parse(&request).unwrap();
        let mut reply = turn(&request, NONCE);
        let binds = message.method() == Method::CONNECTION_BIND && message.has_integrity();
        if binds {
            assert_eq!(message.get(), Ok(Some(CONNECTION)));
            reply.extend(b"early");
        }
        it.send(&reply);
        if binds {
            return it.echo();
        }
    }
}

fn connected(client: &mut Client) -> DataConnection {
    let options =
        AllocateOptions { transport: Some(RequestedTransport::TCP), ..AllocateOptions::default() };
    client.allocate(&options).unwrap();
    let id = client.connect_peer(PEER.parse().unwrap()).unwrap();
    assert_eq!(id, CONNECTION);
    let data = client.bind_data_connection(id).unwrap();
    assert_ne!(data.local_addr().unwrap(), client.local_addr().unwrap());
    data
}

/// Ships 4 MiB each way at the same time, more than all buffers hold.
fn check_echo(data: DataConnection) {
    const TOTAL: usize = 4 << 20;
    let byte = |at: usize| u8::try_from(at % 251).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bytes: Vec<u8> = (0..TOTAL).map(byte).collect();
            for piece in bytes.chunks(10_000) {
                (&data).write_all(piece).unwrap();
            }
            data.shutdown(Shutdown::Write).unwrap();
        });
        let mut early = [0; 5];
        (&data).read_exact(&mut early).unwrap();
        assert_eq!(&early, b"early");
        let mut buffer = vec![0; 30_000];
        let mut at = 0;
        while at < TOTAL {
            let len = (&data).read(&mut buffer).unwrap();
            assert!(len > 0, "the stream ended at {at}");
            let expected = (at..at + len).map(byte);
            assert!(buffer.iter().copied().take(len).eq(expected), "garbled near {at}");
            at += len;
        }
    });
}
