//! Several users of one server: tenants by their secrets on one port, and realms by listener and by the
//! name that a TLS client asks for. What one of them uses up costs the others nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use turn_client::{AllocateOptions, Client, Credentials, TlsOptions};
use turn_codec::Message;
use turn_codec::attribute::Realm;
use turn_credentials::UnixSeconds;
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Authority, Daemon, Flow, KeyKind, Offer, PemFiles, Way, bare_allocate, connect, http_get, realm,
};

const SECOND: Duration = Duration::from_secs(1);

/// What one tenant, and one realm, may have.
const QUOTA: usize = 10;

/// What is offered to those who may carry 1 Mbit/s, and to those who may carry more.
const TOO_MUCH: Offer = Offer::new(4_000_000, Duration::from_millis(6_500));
const MODEST: Offer = Offer::new(2_000_000, Duration::from_millis(6_500));

/// Two tenants in the default realm, and another realm at a listener of its own and by SNI.
struct Shared {
    _daemon: Daemon,
    /// Of the default realm; over TLS also of the other.
    server: SocketAddr,
    /// Of the other realm only.
    other: SocketAddr,
    metrics: SocketAddr,
    authority: Authority,
    _directory: TempDir,
}

#[test]
fn a_tenant_that_has_used_up_its_quota_and_bandwidth_costs_another_on_its_port_nothing() {
    let shared = Shared::start();
    let (greedy, modest) = (tenant("north"), tenant("south"));
    one_is_greedy(|n| connect(shared.server, greedy(n)), |n| connect(shared.server, modest(n)));
    // Each is told apart in the metrics.
    let metrics = http_get(shared.metrics, "/metrics").unwrap().body;
    for tenant in ["app", "web"] {
        assert!(metrics.contains(&format!("tenant=\"{tenant}\"")), "{tenant}: {metrics}");
    }
    assert!(!metrics.contains("user-1"), "a user is a label");
}

#[test]
fn a_realm_that_has_used_up_its_quota_and_bandwidth_costs_another_nothing() {
    let shared = Shared::start();
    let modest = tenant("south");
    one_is_greedy(
        |_| connect(shared.other, Credentials::password("ann", "secret")),
        |n| connect(shared.server, modest(n)),
    );
}

#[test]
fn a20_the_listener_or_the_name_in_tls_says_whose_realm_it_is_and_nothing_else_does() {
    let shared = Shared::start();
    assert_eq!(realm(shared.server).as_deref(), Some("example.org"));
    assert_eq!(realm(shared.other).as_deref(), Some("b.example"));
    let cases = [
        ("turn.example.org", "example.org"),
        ("b.example", "b.example"),
        ("turn.b.example", "b.example"),
        ("B.Example", "b.example"),
        ("unknown.example", "example.org"),
    ];
    for (name, expected) in cases {
        let client = shared.over_tls(name, Credentials::anonymous());
        client.raw().send(&bare_allocate(1)).unwrap();
        let answer = client.raw().receive(5 * SECOND).unwrap().unwrap();
        let message = Message::parse(&answer).unwrap();
        let Realm(named) = message.get().unwrap().unwrap();
        assert_eq!(named, expected, "{name}");
    }
    // A listener's own realm holds against any name.
    let local = SocketAddr::new(IPV4, 0);
    let options = TlsOptions::trusting_anybody("turn.example.org");
    let ann = || Credentials::password("ann", "secret");
    let mut client = Client::connect_tls(local, shared.other, &options, ann()).unwrap();
    client.allocate(&AllocateOptions::default()).unwrap();
    // Who is somebody in one realm is nobody in the other.
    shared.over_tls("b.example", ann()).allocate(&AllocateOptions::default()).unwrap();
    expect_401(connect(shared.server, ann()));
    expect_401(shared.over_tls("turn.example.org", ann()));
    expect_401(connect(shared.other, tenant("south")(1)));
    expect_401(shared.over_tls("b.example", tenant("south")(1)));
    connect(shared.server, tenant("south")(1)).allocate(&AllocateOptions::default()).unwrap();
}

/// The greedy one gets its quota and not one more, and carries 1 Mbit/s of what it offers, while the
/// modest one gets as much as it asks for and loses no packet.
fn one_is_greedy(greedy: impl Fn(usize) -> Client, modest: impl Fn(usize) -> Client) {
    let mut flows: Vec<_> = (0..QUOTA).map(|n| Flow::new(greedy(n))).collect();
    let refused = greedy(QUOTA).allocate(&AllocateOptions::default()).unwrap_err();
    assert_eq!(refused.code().map(|code| code.get()), Some(486), "{refused:?}");
    let mut others: Vec<_> = (0..2 * QUOTA).map(|n| Flow::new(modest(n))).collect();

    let ways = [Way::Up, Way::Down];
    thread::scope(|scope| {
        let start = |(flow, way, offer): (&'_ mut Flow, Way, Offer)| (way, flow.carry(way, &offer));
        let pairs = flows.iter_mut().zip(ways.into_iter().cycle());
        // Two flows of it are enough to offer eight times what it may carry.
        let floods: Vec<_> = pairs
            .take(4)
            .map(|(flow, way)| scope.spawn(move || start((flow, way, TOO_MUCH))))
            .collect();
        let pairs = others.iter_mut().zip(ways.into_iter().cycle());
        let calm: Vec<_> = pairs
            .take(4)
            .map(|(flow, way)| scope.spawn(move || start((flow, way, MODEST))))
            .collect();
        for thread in calm {
            let (way, carried) = thread.join().unwrap();
            assert_eq!(carried.arrived, carried.offered, "{way:?}: {carried:?}");
        }
        let floods: Vec<_> = floods.into_iter().map(|thread| thread.join().unwrap()).collect();
        for way in ways {
            let of_way = floods.iter().filter(|(of, _)| *of == way);
            let megabits: f64 = of_way.map(|(_, carried)| carried.megabits).sum();
            assert!((0.9..=1.1).contains(&megabits), "{megabits} Mbit/s {way:?}");
        }
    });
    let refused = greedy(QUOTA).allocate(&AllocateOptions::default()).unwrap_err();
    assert_eq!(refused.code().map(|code| code.get()), Some(486), "{refused:?}");
}

impl Shared {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new(KeyKind::Ecdsa);
        let names = ["turn.example.org", "b.example", "turn.b.example", "unknown.example"];
        let files = authority.leaf(&names).write_to(directory.path(), "server");
        let [server, other, metrics] = [(); 3].map(|()| SocketAddr::new(IPV4, free_port(IPV4)));
        let daemon = Daemon::with_file(&format!(
            r#"
realm = "example.org"
shards = 2
[[listen]]
address = "{server}"
transports = ["udp", "tcp", "tls"]
[[listen]]
address = "{other}"
transports = ["udp", "tls"]
realm = "b.example"
[relay]
addresses = ["{IPV4}"]
[auth]
secrets = [
  {{ secret = "north", tenant = "app", limits = {{ allocations = {QUOTA}, bandwidth = "1 Mbit/s" }} }},
  {{ secret = "south", tenant = "web", limits = {{ allocations = 1000, bandwidth = "500 Mbit/s" }} }},
]
[realms."b.example"]
server_names = ["b.example", "turn.b.example"]
[realms."b.example".auth]
users = {{ ann = "secret" }}
[realms."b.example".limits]
allocations = {QUOTA}
allocations_per_user = "off"
bandwidth_per_realm = "1 Mbit/s"
[metrics]
address = "{metrics}"
[admin]
socket = "off"
[lab]
loopback_peers = true
{}"#,
            PemFiles::table(&[files])
        ));
        Self { _daemon: daemon, server, other, metrics, authority, _directory: directory }
    }

    fn over_tls(&self, name: &str, credentials: Credentials) -> Client {
        let options = TlsOptions::new(name, vec![self.authority.der()]);
        let client =
            Client::connect_tls(SocketAddr::new(IPV4, 0), self.server, &options, credentials);
        client.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn expect_401(mut client: Client) {
    let refused = client.allocate(&AllocateOptions::default()).unwrap_err();
    assert_eq!(refused.code().map(|code| code.get()), Some(401), "{refused:?}");
}

/// The users of a tenant, each with a name of its own.
fn tenant(secret: &'static str) -> impl Fn(usize) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    move |n| {
        let userid = format!("user-{n}");
        Credentials::time_limited(secret.as_bytes(), Some(&userid), UnixSeconds(now + 3_600))
    }
}
