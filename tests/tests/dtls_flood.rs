//! DTLS under forged ClientHellos: nothing is amplified, nothing grows, and a legitimate client on
//! a slow path gets in.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn_tests::foreign::SClient;
use turn_tests::lab::IPV4;
use turn_tests::system::{Choir, DelayedPath, Site, Terms, allow_descriptors, loopback};

const SECOND: Duration = Duration::from_secs(1);

/// Addresses that hellos are forged from; each sends one a second.
const SOURCES: u32 = 1_000;

/// What the legitimate client's datagrams take, one way.
const DELAY: Duration = Duration::from_millis(50);

const MIB: u64 = 1_024 * 1_024;

/// Strangers, and what they have sent and were sent.
#[derive(Debug)]
struct Forgers {
    sockets: Vec<UdpSocket>,
    server: SocketAddr,
    datagrams_sent: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

#[test]
fn h13_h14_legitimate_handshake_gets_in_under_a_thousand_forged_hellos_a_second() {
    allow_descriptors(4_096);
    let site = Site::start(&dtls());
    let mut choir = Choir::new(site.address(), 10);
    let hello = dtls_client_hello();
    let path = DelayedPath::new(site.address(), DELAY);
    let authority = site.directory().join("authority.pem");
    let resident = site.daemon().resident();
    let over = AtomicBool::new(false);

    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut forgers = Forgers::new(site.address());
            let start = Instant::now();
            for round in 0.. {
                for n in 0..forgers.sockets.len() {
                    if over.load(Ordering::Relaxed) {
                        return (forgers, start.elapsed());
                    }
                    forgers.send(n, &forged(&hello, round));
                    let due = start + SECOND * round + SECOND * u32::try_from(n).unwrap() / SOURCES;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
            unreachable!("it ends when it is told")
        });
        // The flood is on before the first try.
        thread::sleep(2 * SECOND);
        let mut tries = Vec::new();
        for _ in 0..3 {
            let report = SClient::dtls(path.address()).trusting(&authority).run(5 * SECOND);
            let passes = report.reflexive.is_some();
            tries.push(report);
            if passes {
                break;
            }
        }
        let sung = choir.sing_for(2 * SECOND, SECOND / 20);
        over.store(true, Ordering::Relaxed);
        let (mut forgers, took) = flood.join().unwrap();
        forgers.hear();

        assert!(tries.iter().any(|report| report.reflexive.is_some()), "{tries:#?}");
        assert!(sung.lost == 0, "{sung:?}");
        let rate = forgers.datagrams_sent as f64 / took.as_secs_f64();
        assert!(rate > 900.0, "only {rate} hellos a second");
        assert!(forgers.bytes_received <= forgers.bytes_sent, "amplified: {forgers:?}");
    });
    let grown = site.daemon().resident().saturating_sub(resident);
    assert!(grown < 4 * MIB, "{grown} bytes more than {resident}");
}

#[test]
fn h14_fragments_that_claim_much_and_records_of_strangers_get_nothing() {
    allow_descriptors(4_096);
    let site = Site::start(&dtls());
    let resident = site.daemon().resident();
    let mut forgers = Forgers::new(site.address());
    // 35 bytes: a record header, a handshake header that claims 650 kB, and ten of them.
    let mut claim = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22];
    claim.extend([1, 0x09, 0xeb, 0x10, 0, 0, 0, 0, 0, 0, 0, 10]);
    claim.extend([0; 10]);
    let record = |kind: u8| [&[kind], claim.get(1..).unwrap()].concat();
    let strangers = [claim.clone(), record(20), record(21), record(23), record(25)];
    for bytes in &strangers {
        for n in 0..forgers.sockets.len() {
            forgers.send(n, bytes);
            if n % 50 == 0 {
                thread::sleep(SECOND / 100);
            }
        }
    }
    thread::sleep(SECOND);
    forgers.hear();
    assert_eq!(forgers.bytes_received, 0, "{forgers:?}");
    let grown = site.daemon().resident().saturating_sub(resident);
    assert!(grown < 4 * MIB, "{grown} bytes more than {resident}");
    let report = SClient::dtls(site.address()).run(5 * SECOND);
    assert!(report.reflexive.is_some(), "{report:#?}");
}

impl Forgers {
    fn new(server: SocketAddr) -> Self {
        let open = |n| {
            // One address each: 256 in a row, and the next row.
            let socket = UdpSocket::bind((loopback(n), 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets = (1..=SOURCES).map(open).collect();
        Self { sockets, server, datagrams_sent: 0, bytes_sent: 0, bytes_received: 0 }
    }

    fn send(&mut self, n: usize, bytes: &[u8]) {
        self.sockets.get(n).unwrap().send_to(bytes, self.server).unwrap();
        self.datagrams_sent += 1;
        self.bytes_sent += bytes.len() as u64;
    }

    /// Counts what has come back.
    fn hear(&mut self) {
        let mut buffer = [0; 2_048];
        for socket in &self.sockets {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                self.bytes_received += length as u64;
            }
        }
    }
}

/// The first datagram of OpenSSL's client.
fn dtls_client_hello() -> Vec<u8> {
    let socket = UdpSocket::bind((IPV4, 0)).unwrap();
    socket.set_read_timeout(Some(5 * SECOND)).unwrap();
    let address = socket.local_addr().unwrap();
    let client = thread::spawn(move || SClient::dtls(address).run(SECOND));
    let mut buffer = [0; 2_048];
    let length = socket.recv(&mut buffer).unwrap();
    client.join().unwrap();
    // A handshake record with a ClientHello.
    assert_eq!((buffer[0], buffer[13]), (22, 1));
    buffer[..length].to_vec()
}

/// Another client's hello: its random, behind record header, handshake header and version, differs.
fn forged(hello: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = hello.to_vec();
    bytes[27..31].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn dtls() -> Terms<'static> {
    Terms { shards: 2, transports: &["udp", "tcp", "tls", "dtls"], ..Terms::default() }
}
