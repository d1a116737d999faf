//! What strangers get: small answers, and no memory.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use turn_client::Wire;
use turn_codec::{Class, Message, Method};
use turn_config::{Config, Credential, Secret, User};
use turn_tests::foreign::free_port;
use turn_tests::lab::{self, IPV4, IPV6};
use turn_tests::system::{Daemon, Scripted, bare_allocate, binding_request};
use turn_udp::{Destination, ListenerOptions, RecvBatch, SendBatch, UdpSocket};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn h9_a_binding_reply_has_32_bytes_and_44_over_ipv6() {
    let server = Scripted::start(&lab::config());
    for (address, length) in [(IPV4, 32), (IPV6, 44)] {
        let reply = ask(server.address_on(address), &binding_request(1));
        assert_eq!(reply.len(), length);
        let reply = Message::parse(&reply).unwrap();
        assert_eq!((reply.class(), reply.method()), (Class::Success, Method::BINDING));
        assert_eq!(reply.attributes().count(), 1);
    }
}

#[test]
fn h10_the_challenge_to_a_bare_allocate_has_at_most_100_bytes() {
    let everything_offered = lab::config_with_user("ann", "secret");
    let secrets_only = lab::config_with_secret("shared");
    for config in [everything_offered, secrets_only] {
        let length = challenge_of(config);
        assert!(length <= 100, "{length}");
    }
}

#[test]
fn h10_the_challenge_has_at_most_76_bytes_where_sha_256_is_not_offered() {
    let mut config = lab::config();
    // An MD5 key of ann:example.org:secret cannot be turned into a SHA-256 key.
    let credential = Credential::Md5Key(Secret::new("0f3b5b3b0f0f6a9d3f5f8e0c6a1d2e4b"));
    config.auth.users = vec![User { name: "ann".to_owned(), credential }];
    let length = challenge_of(config);
    assert!(length <= 76, "{length}");
}

#[test]
fn h11_a_million_requests_of_strangers_leave_no_memory_behind() {
    let port = free_port(IPV4);
    let server = Daemon::with_file(&format!(
        r#"
realm = "example.org"
shards = 2
[[listen]]
address = "127.0.0.1:{port}"
[relay]
addresses = ["127.0.0.1"]
[auth]
users = {{ ann = "secret" }}
secrets = ["shared"]
"#
    ));
    let mut strangers = Strangers::new(server.address());
    strangers.ask(10_000);
    let before = server.resident();
    let start = Instant::now();
    strangers.ask(1_000_000);
    let seconds = start.elapsed().as_secs_f64();
    let grown = server.resident().saturating_sub(before);
    eprintln!("{grown} bytes more after a million requests in {seconds:.1} s");
    let stopped = server.stop("TERM");
    let count = |name| stopped.counters.get(name).copied().unwrap_or(0);
    eprintln!("read {}: {:?}", count("from_clients"), stopped.counters);
    assert!(count("from_clients") >= 1_010_000 / 10 * 9, "{:?}", stopped.counters);
    // None was passed over: each is another address and port, and within all of its rates.
    assert_eq!(
        count("binding_replies") + count("allocate_401"),
        count("from_clients"),
        "{:?}",
        stopped.counters
    );
    assert!(grown <= 2 << 20, "{grown} bytes more, from {before}");
}

/// Sends from 100,000 addresses of 127.0.0.0/8 and ten ports of each, as fast as it is answered.
struct Strangers {
    server: SocketAddr,
    sockets: Vec<Rc<UdpSocket>>,
    received: RecvBatch,
    outgoing: SendBatch,
    sent: u64,
    under_way: usize,
}

const ADDRESSES: u64 = 100_000;
const PORTS: usize = 10;
/// Requests without an answer at a time: fewer than a listener's buffer takes.
const WINDOW: usize = 384;
const AT_ONCE: usize = 32;
/// Whoever has waited this long for an answer waits for one that was lost.
const LOST: Duration = Duration::from_millis(50);

impl Strangers {
    fn new(server: SocketAddr) -> Self {
        let options =
            ListenerOptions { receive_buffer: Some(1 << 20), ..ListenerOptions::default() };
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let open = || Rc::new(UdpSocket::listener(any, &options).unwrap());
        Self {
            server,
            sockets: (0..PORTS).map(|_| open()).collect(),
            received: RecvBatch::new(AT_ONCE),
            outgoing: SendBatch::new(),
            sent: 0,
            under_way: 0,
        }
    }

    /// Half Bindings, half Allocates without credentials; no two from the same address and port,
    /// until a million have been sent.
    fn ask(&mut self, requests: u64) {
        let end = self.sent + requests;
        let mut answered = Instant::now();
        while self.sent < end {
            if self.under_way + AT_ONCE <= WINDOW {
                let last = (self.sent + AT_ONCE as u64).min(end);
                for number in self.sent..last {
                    self.push(number);
                }
                self.under_way += usize::try_from(last - self.sent).unwrap();
                self.sent = last;
                let flushed = self.outgoing.flush(&mut self.received, |_, _, _| {});
                assert_eq!(flushed.dropped, 0);
            }
            match self.read() {
                0 if answered.elapsed() > LOST => self.under_way = 0,
                0 => std::thread::yield_now(),
                count => {
                    self.under_way = self.under_way.saturating_sub(count);
                    answered = Instant::now();
                }
            }
        }
        // So that the server is idle when it is looked at.
        while self.under_way > 0 && answered.elapsed() < LOST {
            let count = self.read();
            self.under_way = self.under_way.saturating_sub(count);
        }
    }

    fn push(&mut self, number: u64) {
        let address = u32::try_from(number % ADDRESSES).unwrap();
        let port = usize::try_from(number / ADDRESSES).unwrap() % PORTS;
        let first = Ipv4Addr::new(127, 1, 0, 0).to_bits();
        let source = IpAddr::V4(Ipv4Addr::from_bits(first + address));
        let to = Destination { source: Some(source), ..Destination::to(self.server) };
        let request = if number.is_multiple_of(2) { binding_request } else { bare_allocate };
        self.outgoing.push_bytes(&self.sockets[port], to, &request(number));
    }

    fn read(&mut self) -> usize {
        let mut count = 0;
        for socket in &self.sockets {
            let filled = self.received.fill(socket, AT_ONCE).unwrap();
            count += self.received.datagrams(filled.slots).count();
            self.received.clear();
        }
        count
    }
}

/// The length of a challenge of the realm `example.org`.
fn challenge_of(config: Config) -> usize {
    let server = Scripted::start(&Config { realm: "example.org".to_owned(), ..config });
    let reply = ask(server.address(), &bare_allocate(1));
    let message = Message::parse(&reply).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Error, Method::ALLOCATE));
    eprintln!("a challenge of {} bytes", reply.len());
    reply.len()
}

fn ask(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let wire = Wire::connect(SocketAddr::new(server.ip(), 0), server).unwrap();
    wire.send(request).unwrap();
    wire.receive(SOON).unwrap().expect("an answer")
}
