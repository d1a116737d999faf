//! The blocking client on loopback.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use turn_client::{
    AllocateOptions, Client, Credentials, Error, Incoming, Origin, Received, Schedule,
};
use turn_codec::attribute::{Data, XorPeerAddress};
use turn_codec::{ChannelNumber, Class, Message, Method, StatusCode};

use crate::fake::{
    FakeServer, MAPPED, NONCE, PEER, RELAYED, allocated, ann, challenge, data_indication, error,
    here, mapped, turn, unauthenticated,
};

const CHANNEL: ChannelNumber = ChannelNumber::MIN;
const SECOND: Duration = Duration::from_secs(1);
/// Three requests within 35 ms.
const QUICK: Schedule = Schedule { rto: Duration::from_millis(5), requests: 3, last: 4 };

#[test]
fn binding_tells_the_mapped_address() {
    let server = FakeServer::start(|request| vec![mapped(request)]);
    let mut client = server.client(Credentials::anonymous());
    assert_eq!(client.binding().unwrap(), MAPPED.parse().unwrap());
    assert_eq!(client.raw().server_addr().unwrap(), server.address);
}

#[test]
fn operations_pass_a_401_and_a_438() {
    let server = FakeServer::start(|bytes| vec![turn(bytes, "second")]);
    let mut client = server.client(ann());
    let allocation = client.allocate(&AllocateOptions::default()).unwrap();
    assert_eq!(allocation.relayed, RELAYED.parse().unwrap());
    assert_eq!((client.challenges(), client.stale_nonces()), (1, 1));

    let peer = PEER.parse().unwrap();
    client.create_permission(&[peer]).unwrap();
    client.bind_channel(CHANNEL, peer).unwrap();
    assert_eq!(client.refresh(Duration::from_secs(777)).unwrap(), Duration::from_secs(777));
    assert_eq!((client.challenges(), client.stale_nonces()), (1, 1));
    assert_eq!(client.session().nonce(), Some("second"));
}

#[test]
fn endless_stale_nonces_end() {
    let server =
        FakeServer::start(|bytes| vec![challenge(bytes, StatusCode::STALE_NONCE, NONCE, None)]);
    let mut client = server.client(ann());
    let error = client.refresh(SECOND).unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::STALE_NONCE));
    assert_eq!(client.stale_nonces(), 4);
}

#[test]
fn lost_requests_are_sent_again_unchanged() {
    let mut first: Option<Vec<u8>> = None;
    let server = FakeServer::start(move |request| match &first {
        None => {
            first = Some(request.to_vec());
            Vec::new()
        }
        Some(first) => {
            assert_eq!(first, request);
            vec![mapped(request)]
        }
    });
    let mut client = server.client(Credentials::anonymous());
    client.set_schedule(Schedule { rto: Duration::from_millis(20), ..Schedule::NEAR });
    client.binding().unwrap();
}

#[test]
fn silence_is_a_timeout_after_the_last_request() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let server = FakeServer::start(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    });
    let mut client = server.client(ann());
    client.set_schedule(QUICK);
    let start = Instant::now();
    assert!(matches!(client.binding(), Err(Error::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(35));
    assert!(matches!(client.receive(Duration::ZERO), Err(Error::Timeout)));
    drop(server);
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn port_without_a_server_is_a_timeout() {
    let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = gone.local_addr().unwrap();
    let mut client = Client::connect(here(), server, ann()).unwrap();
    drop(gone);
    client.set_schedule(QUICK);
    assert!(matches!(client.binding(), Err(Error::Timeout)));
}

#[test]
fn forged_responses_are_bad_integrity_in_the_end() {
    let server = FakeServer::start(|request| {
        if Message::parse(request).unwrap().has_integrity() {
            vec![allocated(request, None), error(request, StatusCode::BAD_REQUEST, None)]
        } else {
            vec![unauthenticated(request)]
        }
    });
    let mut client = server.client(ann());
    client.set_schedule(QUICK);
    let result = client.allocate(&AllocateOptions::default());
    assert!(matches!(result, Err(Error::BadIntegrity)), "{result:?}");
}

#[test]
fn forged_response_does_not_hide_the_true_one() {
    let server = FakeServer::start(|request| {
        if Message::parse(request).unwrap().has_integrity() {
            vec![error(request, StatusCode::BAD_REQUEST, None), turn(request, NONCE)]
        } else {
            vec![unauthenticated(request)]
        }
    });
    let mut client = server.client(ann());
    client.allocate(&AllocateOptions::default()).unwrap();
}

#[test]
fn data_during_an_operation_is_kept_in_order() {
    let server = FakeServer::start(|request| {
        vec![b"\x40\x00\x00\x03one".to_vec(), data_indication(b"two"), mapped(request)]
    });
    let mut client = server.client(ann());
    client.binding().unwrap();
    let from = Origin::Channel(CHANNEL);
    assert_eq!(client.receive(SECOND).unwrap(), Received { from, data: b"one".to_vec() });
    let from = Origin::Peer(PEER.parse().unwrap());
    assert_eq!(client.receive(SECOND).unwrap(), Received { from, data: b"two".to_vec() });
}

#[test]
fn data_goes_to_peers_and_on_channels() {
    // Sends back what it hears: a Send indication as a Data indication.
    let server = FakeServer::start(|bytes| {
        if matches!(Incoming::parse(bytes), Incoming::OnChannel { .. }) {
            return vec![bytes.to_vec()];
        }
        let message = Message::parse(bytes).unwrap();
        let kind = (message.class(), message.method());
        assert_eq!(kind, (Class::Indication, Method::SEND));
        assert_eq!(message.get(), Ok(Some(XorPeerAddress(PEER.parse().unwrap()))));
        let Data(data) = message.get().unwrap().unwrap();
        vec![data_indication(data)]
    });
    let mut client = server.client(ann());
    let peer = PEER.parse().unwrap();
    client.send_to(peer, b"to the peer").unwrap();
    let received = client.receive(SECOND).unwrap();
    assert_eq!(received, Received { from: Origin::Peer(peer), data: b"to the peer".to_vec() });
    client.send_channel(CHANNEL, b"").unwrap();
    let received = client.receive(SECOND).unwrap();
    assert_eq!(received, Received { from: Origin::Channel(CHANNEL), data: Vec::new() });
}

#[test]
fn any_bytes_can_be_sent_and_any_reply_read() {
    let server = FakeServer::start(|bytes| vec![[b"echo ", bytes].concat()]);
    let client = server.client(ann());
    client.raw().send(b"\xFFnoise").unwrap();
    assert_eq!(client.raw().receive(SECOND).unwrap().as_deref(), Some(&b"echo \xFFnoise"[..]));
    assert_eq!(client.raw().receive(Duration::ZERO).unwrap(), None);
    assert_eq!(client.raw().local_addr().unwrap(), client.local_addr().unwrap());
}

#[test]
fn credentials_that_cannot_be_prepared_are_invalid_input() {
    let credentials = Credentials::password("an\0n", "secret");
    let error = Client::connect(here(), here(), credentials).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
