//! A client by the same library, and a network of datagrams on a virtual clock.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use turn_dtls::{CookieKey, DtlsIdentity, Limits, Output, Path, Received, SessionId, Sessions};

/// The path of the `n`th client.
pub(crate) fn path(n: u16) -> Path {
    let [high, low] = n.to_be_bytes();
    Path { client: ([10, 0, high, low], 5000).into(), server: ([192, 0, 2, 1], 3478).into() }
}

/// A self-signed certificate and its key, ECDSA on P-256.
pub(crate) fn certificate(name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// A server with its clock.
pub(crate) struct Server {
    pub(crate) now: Instant,
    pub(crate) identity: DtlsIdentity,
    pub(crate) leaf: Vec<u8>,
    pub(crate) sessions: Sessions,
    /// Sessions in the order in which they were connected.
    pub(crate) connected: Vec<SessionId>,
    pub(crate) closed: Vec<SessionId>,
    pub(crate) messages: Vec<Vec<u8>>,
    /// Answers every message with itself.
    pub(crate) echoes: bool,
}

impl Server {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let (leaf, key) = certificate("turn.example");
        Self {
            now,
            identity: DtlsIdentity::new(std::slice::from_ref(&leaf), &key).unwrap(),
            leaf: leaf.to_vec(),
            sessions: Sessions::new(CookieKey::new([3; 32], now), limits),
            connected: Vec::new(),
            closed: Vec::new(),
            messages: Vec::new(),
            echoes: false,
        }
    }

    pub(crate) fn receive(&mut self, path: Path, datagram: &[u8]) -> Received {
        self.sessions.receive(self.now, path, datagram, &self.identity)
    }

    /// Takes all outputs; datagrams are the result.
    pub(crate) fn drain(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut datagrams = Vec::new();
        let mut buffer = Vec::new();
        while let Some(output) = self.sessions.poll(&mut buffer) {
            match output {
                Output::Datagram { path, bytes } => datagrams.push((path, bytes.to_vec())),
                Output::Connected { session, .. } => self.connected.push(session),
                Output::Message { session, bytes, .. } => {
                    self.messages.push(bytes.to_vec());
                    if self.echoes {
                        self.sessions.send(session, bytes).unwrap();
                    }
                }
                Output::Closed { session, .. } => self.closed.push(session),
            }
        }
        datagrams
    }

    /// The datagrams that answer one from a client.
    pub(crate) fn answers(&mut self, path: Path, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.receive(path, datagram);
        self.drain().into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// Carries datagrams both ways, and the clock with them, until nothing moves any more or `end`
    /// virtual seconds have passed. `lost` says of each datagram, counted in each direction, whether
    /// it gets lost.
    pub(crate) fn run(
        &mut self,
        client: &mut Client,
        end: u64,
        mut lost: impl FnMut(Direction, usize) -> bool,
    ) {
        let end = self.now + Duration::from_secs(end);
        let (mut up, mut down) = (0, 0);
        loop {
            let mut moved = true;
            while moved {
                moved = false;
                for datagram in std::mem::take(&mut client.outgoing) {
                    up += 1;
                    moved = true;
                    if !lost(Direction::Up, up) {
                        self.receive(client.path, &datagram);
                    }
                }
                for (_, datagram) in self.drain() {
                    down += 1;
                    moved = true;
                    if !lost(Direction::Down, down) {
                        client.receive(self.now, &datagram);
                    }
                }
            }
            let next = [Some(client.deadline), self.sessions.next_deadline()].into_iter().flatten();
            let Some(next) = next.min().filter(|&next| next <= end) else { return };
            self.now = next;
            self.sessions.expire(self.now);
            client.tick(self.now);
        }
    }

    /// A client with its handshake done.
    pub(crate) fn connect(&mut self, n: u16) -> (Client, SessionId) {
        let mut client = Client::new(n, self.now);
        self.run(&mut client, 1, |_, _| false);
        assert!(client.is_connected);
        (client, *self.connected.last().unwrap())
    }

    /// A first hello's answer, returned by the client: its second hello.
    pub(crate) fn second_hello(&mut self, client: &mut Client) -> Vec<u8> {
        let first = client.outgoing.remove(0);
        let request = self.answers(client.path, &first).remove(0);
        client.receive(self.now, &request);
        client.outgoing.remove(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// A client, by the same library.
pub(crate) struct Client {
    dtls: Dtls,
    pub(crate) path: Path,
    pub(crate) outgoing: Vec<Vec<u8>>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) is_connected: bool,
    pub(crate) is_closed: bool,
    pub(crate) deadline: Instant,
}

impl Client {
    /// Its first hello is in `outgoing`.
    pub(crate) fn new(n: u16, now: Instant) -> Self {
        Self::with_mtu(n, now, 1150)
    }

    /// A hello longer than `mtu` goes out in fragments.
    pub(crate) fn with_mtu(n: u16, now: Instant, mtu: usize) -> Self {
        let (leaf, key) = certificate("client");
        let own =
            DtlsCertificate { certificate: leaf.to_vec(), private_key: key.secret_der().to_vec() };
        let config = Arc::new(Config::builder().mtu(mtu).build().unwrap());
        let mut dtls = Dtls::new_12(config, own, now);
        dtls.set_active(true);
        let mut client = Self {
            dtls,
            path: path(n),
            outgoing: Vec::new(),
            messages: Vec::new(),
            certificate: None,
            is_connected: false,
            is_closed: false,
            deadline: now + Duration::from_secs(1),
        };
        client.tick(now);
        client
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        self.dtls.handle_timeout(now).unwrap();
        self.drain();
    }

    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        self.dtls.handle_timeout(now).unwrap();
        // An error is the end of a client's attempt, which some tests provoke.
        let _ = self.dtls.handle_packet(datagram);
        self.drain();
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        self.dtls.send_application_data(message).unwrap();
        self.drain();
    }

    pub(crate) fn close(&mut self) {
        self.dtls.close().unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        let mut buffer = vec![0; 20_000];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => self.outgoing.push(packet.to_vec()),
                dimpl::Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                dimpl::Output::Connected => self.is_connected = true,
                dimpl::Output::PeerCert(der) => self.certificate = Some(der.to_vec()),
                dimpl::Output::ApplicationData(message) => self.messages.push(message.to_vec()),
                dimpl::Output::CloseNotify => self.is_closed = true,
                dimpl::Output::BufferTooSmall { .. } | dimpl::Output::KeyingMaterial(..) => {}
                _ => {}
            }
        }
    }
}
