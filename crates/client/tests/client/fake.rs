//! The server's side, as far as these tests need it: responses to given requests, and a thread
//! that sends them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use turn_client::{Algorithms, Credentials, Integrity, Session};
use turn_codec::attribute::{
    ConnectionId, Data, ErrorCode, Lifetime, Nonce, PasswordAlgorithms, Realm, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress,
};
use turn_codec::{Class, Message, MessageWriter, Method, NoRoom, StatusCode, TransactionId};
use turn_credentials::LongTermKey;

pub(crate) const REALM: &str = "example.org";
pub(crate) const NONCE: &str = "plain nonce";
/// Announces password algorithms and USERHASH.
pub(crate) const COOKIE_NONCE: &str = "obMatJos2wAAAnonce";
/// Announces password algorithms.
pub(crate) const ALGORITHMS_NONCE: &str = "obMatJos2gAAAnonce";
pub(crate) const RELAYED: &str = "203.0.113.5:50000";
pub(crate) const PEER: &str = "192.0.2.9:4000";
/// What a Connect is answered with.
pub(crate) const CONNECTION: ConnectionId = ConnectionId(0x01AB_CDEF);
pub(crate) const MAPPED: &str = "192.0.2.1:3000";

pub(crate) fn ann() -> Credentials {
    Credentials::password("ann", "secret")
}

pub(crate) fn here() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn session(algorithms: Algorithms) -> Session {
    Session::new(Credentials::password("ann", "secret").with(algorithms)).unwrap()
}

pub(crate) fn md5() -> LongTermKey {
    LongTermKey::md5("ann", REALM, "secret")
}

pub(crate) fn sha256() -> LongTermKey {
    LongTermKey::sha256("ann", REALM, "secret")
}

pub(crate) const fn id(number: u8) -> TransactionId {
    TransactionId::new([number; 12])
}

/// A response to `request`, signed where a key is given.
pub(crate) fn respond(
    request: &[u8],
    class: Class,
    key: Option<(&LongTermKey, Integrity)>,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let mut buffer = [0; 2048];
    let id = request.transaction_id();
    let mut writer = MessageWriter::new(&mut buffer, class, request.method(), id).unwrap();
    attributes(&mut writer).unwrap();
    match key {
        Some((key, Integrity::Sha1)) => writer.integrity(key.as_bytes()).unwrap(),
        Some((key, Integrity::Sha256)) => writer.integrity_sha256(key.as_bytes()).unwrap(),
        None => {}
    }
    writer.finish().to_vec()
}

pub(crate) fn challenge(
    request: &[u8],
    code: StatusCode,
    nonce: &str,
    offer: Option<PasswordAlgorithms<'_>>,
) -> Vec<u8> {
    respond(request, Class::Error, None, |writer| {
        writer.push(&ErrorCode::bare(code))?;
        writer.push(&Realm(REALM))?;
        writer.push(&Nonce(nonce))?;
        offer.map_or(Ok(()), |offer| writer.push(&offer))
    })
}

pub(crate) fn unauthenticated(request: &[u8]) -> Vec<u8> {
    challenge(request, StatusCode::UNAUTHENTICATED, NONCE, None)
}

pub(crate) fn error(
    request: &[u8],
    code: StatusCode,
    key: Option<(&LongTermKey, Integrity)>,
) -> Vec<u8> {
    respond(request, Class::Error, key, |writer| writer.push(&ErrorCode::bare(code)))
}

/// A success response to an Allocate.
pub(crate) fn allocated(request: &[u8], key: Option<(&LongTermKey, Integrity)>) -> Vec<u8> {
    respond(request, Class::Success, key, |writer| {
        writer.push(&XorRelayedAddress(RELAYED.parse().unwrap()))?;
        writer.push(&Lifetime(600))?;
        writer.push(&XorMappedAddress(MAPPED.parse().unwrap()))
    })
}

/// A success response to a Binding.
pub(crate) fn mapped(request: &[u8]) -> Vec<u8> {
    respond(request, Class::Success, None, |writer| {
        writer.push(&XorMappedAddress(MAPPED.parse().unwrap()))
    })
}

/// What a server answers that wants MD5, and has no other nonce than `fresh`.
pub(crate) fn turn(bytes: &[u8], fresh: &str) -> Vec<u8> {
    let request = Message::parse(bytes).unwrap();
    let key = md5();
    let signer = Some((&key, Integrity::Sha1));
    if !request.has_integrity() {
        return unauthenticated(bytes);
    }
    assert_eq!(request.verify_integrity(key.as_bytes()), Ok(()));
    let nonce = request.get::<Nonce<'_>>().unwrap().unwrap();
    if nonce.0 != fresh {
        return challenge(bytes, StatusCode::STALE_NONCE, fresh, None);
    }
    match request.method() {
        Method::ALLOCATE => allocated(bytes, signer),
        Method::CONNECT => {
            respond(bytes, Class::Success, signer, |writer| writer.push(&CONNECTION))
        }
        Method::REFRESH => respond(bytes, Class::Success, signer, |writer| {
            writer.push(&request.get::<Lifetime>().unwrap().unwrap())
        }),
        _ => respond(bytes, Class::Success, signer, |_| Ok(())),
    }
}

pub(crate) fn data_indication(data: &[u8]) -> Vec<u8> {
    indication(Method::DATA, |writer| writer.push(&Data(data)))
}

/// A peer has connected.
pub(crate) fn connection_attempt(id: ConnectionId) -> Vec<u8> {
    indication(Method::CONNECTION_ATTEMPT, |writer| writer.push(&id))
}

/// An indication about the peer.
fn indication(
    method: Method,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut writer = MessageWriter::new(&mut buffer, Class::Indication, method, id(0)).unwrap();
    writer.push(&XorPeerAddress(PEER.parse().unwrap())).unwrap();
    attributes(&mut writer).unwrap();
    writer.finish().to_vec()
}

/// A thread that answers each datagram with those that a function makes of it.
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    pub(crate) fn start(mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let is_done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_done);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let Ok((len, client)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                for datagram in answer(buffer.get(..len).unwrap()) {
                    socket.send_to(&datagram, client).unwrap();
                }
            }
        });
        Self { address, is_done, thread: Some(thread) }
    }

    pub(crate) fn client(&self, credentials: Credentials) -> turn_client::Client {
        let local = (Ipv4Addr::LOCALHOST, 0).into();
        turn_client::Client::connect(local, self.address, credentials).unwrap()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the fake server panicked");
    }
}
