//! What each of coturn's options does that people rely on: every one of them in a file or on the command
//! line, with its effect observed from outside. Those without an effect of their own are listed with the
//! reason.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Client, Credentials, Error, TlsOptions, Wire};
use turn_codec::attribute::{RequestedTransport, Software};
use turn_codec::{AddressFamily, Class, Message, MessageWriter, Method, TransactionId};
use turn_credentials::UnixSeconds;
use turn_tests::foreign::listening;
use turn_tests::system::{
    Authority, Daemon, Echo, Flow, KeyKind, Offer, Syslog, Way, connect, http_get, inside_root,
    realm, user,
};

const SECOND: Duration = Duration::from_secs(1);

const HOST: [&str; 7] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 203.0.113.7/24 dev v0",
    "ip address add 203.0.113.9/24 dev v0",
    "ip address add 2001:db8::7/64 dev v0 nodad",
    "ip link set v0 up; ip link set v1 up",
    "ip route add local default dev lo",
    "ip -6 route add local default dev lo",
];

const SERVER: &str = "203.0.113.7:3478";

/// An ordinary address, which any client may reach.
const OUTSIDE: &str = "8.8.8.8:5000";

/// What most files begin with.
const PLAIN: &str = "listening-ip=203.0.113.7\nrealm=turn.example.org\nlt-cred-mech\n\
                     user=ann:secret\n";

/// Options that are essential or common, each observed by a test below.
const OBSERVED: [&str; 44] = [
    "allocation-default-address-family",
    "allowed-peer-ip",
    "bps-capacity",
    "cert",
    "cpus",
    "denied-peer-ip",
    "external-ip",
    "fingerprint",
    "listening-ip",
    "listening-port",
    "log-file",
    "log-min-level",
    "lt-cred-mech",
    "max-allocate-lifetime",
    "max-bps",
    "max-port",
    "min-port",
    "no-multicast-peers",
    "no-software-attribute",
    "no-stdout-log",
    "no-tcp",
    "no-tcp-relay",
    "no-tls",
    "pkey",
    "prometheus",
    "prometheus-address",
    "prometheus-path",
    "prometheus-port",
    "realm",
    "relay-ip",
    "relay-threads",
    "stale-nonce",
    "static-auth-secret",
    "stun-only",
    "syslog",
    "tcp-proxy-port",
    "tls-listening-port",
    "total-quota",
    "use-auth-secret",
    "user",
    "user-quota",
    "userdb",
    "verbose",
    "simple-log",
];

/// Essential or common, and without an effect to observe.
const EXCEPTIONS: [(&str, &str); 14] = [
    ("cipher-list", "no weak suite can be named: TLS 1.2 and 1.3 with what rustls offers"),
    ("dh-file", "key exchange is by elliptic curves"),
    ("cli", "no telnet; the Unix socket and `turnserver status` are there instead"),
    ("cli-ip", "no telnet"),
    ("cli-port", "no telnet"),
    ("cli-password", "no telnet"),
    ("daemon", "a service manager does this"),
    ("pidfile", "a service manager knows the process"),
    ("proc-user", "a service manager does this"),
    ("proc-group", "a service manager does this"),
    ("psql-userdb", "needs a server: stores_sql has one; turn-coturn tests the URL it becomes"),
    ("mysql-userdb", "needs a server: stores_sql has one; turn-coturn tests the URL it becomes"),
    ("redis-userdb", "needs a server: stores_redis has one; turn-coturn tests the URL it becomes"),
    ("redis-statsdb", "needs a server: stores_redis has one; turn-coturn tests the URL it becomes"),
];

#[test]
fn essential_and_common_options_are_all_observed_or_excepted() {
    let research: BTreeSet<&str> = turn_coturn::options().map(|option| option.name).collect();
    let listed: Vec<&str> =
        OBSERVED.into_iter().chain(EXCEPTIONS.map(|(option, _)| option)).collect();
    for option in &listed {
        assert!(research.contains(option), "{option} is no option of coturn");
    }
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "one is listed twice");
}

#[test]
fn addresses_and_ports_and_certificates() {
    inside_root("addresses_and_ports_and_certificates", &HOST, || {
        let leaf = Authority::new(KeyKind::Ecdsa).leaf(&["turn.example.org"]);
        leaf.write_to(Path::new("/etc"), "turn");
        // Bob's key: MD5 of bob:a.example:secret.
        let key = "0xab8a4d8f424c2f59d5d47af00281d884";
        let options = [
            ("listening-ip", "203.0.113.7"),
            ("listening-port", "3500"),
            ("tls-listening-port", "5500"),
            ("relay-ip", "203.0.113.9"),
            ("external-ip", "198.51.100.1/203.0.113.9"),
            ("min-port", "50000"),
            ("max-port", "50010"),
            ("realm", "a.example"),
            ("user", "ann:secret"),
            ("cert", "/etc/turn.pem"),
            ("pkey", "/etc/turn.key"),
        ];
        let claim = || {
            let sockets = ["tcp", "udp"].into_iter().flat_map(|protocol| {
                [3500, 5500].map(|port| format!("{protocol} 203.0.113.7:{port}"))
            });
            assert_eq!(listening(), sockets.collect());
            let server = address("203.0.113.7:3500");
            assert_eq!(realm(server).as_deref(), Some("a.example"));
            let mut ann = connect(server, user());
            let relayed = ann.allocate(&AllocateOptions::default()).unwrap().relayed;
            assert_eq!(relayed.ip(), ip("198.51.100.1"), "external-ip is what clients are told");
            assert!((50_000..=50_010).contains(&relayed.port()), "{relayed}");
            let peer = Echo::on(address(OUTSIDE));
            ann.create_permission(&[peer.address()]).unwrap();
            ann.send_to(peer.address(), b"up").unwrap();
            let (_, from) = peer.receive().unwrap();
            assert_eq!(from, SocketAddr::new(ip("203.0.113.9"), relayed.port()), "relay-ip");
            for port in [3500, 5500] {
                let options = TlsOptions::trusting_anybody("turn.example.org");
                let server = SocketAddr::new(ip("203.0.113.7"), port);
                let wire = Wire::connect_tls(local(), server, &options).unwrap();
                assert_eq!(wire.tls().unwrap().certificate, leaf.der);
            }
        };
        let lines = options.map(|(option, value)| format!("{option}={value}\n")).concat();
        let file = format!("{lines}lt-cred-mech\nuser=bob:{key}\n");
        with_file(&file, |_| {
            claim();
            let bob = Credentials::password("bob", "secret");
            let mut bob = connect(address("203.0.113.7:3500"), bob);
            bob.allocate(&AllocateOptions::default()).expect("his key is in the file");
        });
        // The same on the command line.
        let mut command = Daemon::command();
        for (option, value) in options {
            command.arg(format!("--{option}={value}"));
        }
        let daemon = Daemon::with(command.args(["-a", "-n"]));
        claim();
        let told = daemon.output();
        assert!(told.contains("WARN") && !told.contains("secret\""), "{told}");
    });
}

#[test]
fn secrets_quotas_and_lifetimes() {
    inside_root("secrets_quotas_and_lifetimes", &HOST, || {
        let file = "listening-ip=203.0.113.7\nrealm=turn.example.org\nuse-auth-secret\n\
                    static-auth-secret=north\nstatic-auth-secret=south\nuser-quota=2\n\
                    total-quota=3\nmax-allocate-lifetime=700\nstale-nonce=1\n";
        with_file(file, |_| {
            let allocate = |secret: &str, userid: &str| {
                let mut client = connect(address(SERVER), minted(secret, userid));
                let asked = AllocateOptions {
                    lifetime: Some(Duration::from_secs(3_600)),
                    ..AllocateOptions::default()
                };
                client.allocate(&asked).map(|allocation| (client, allocation.lifetime))
            };
            let code =
                |refused: Result<_, Error>| refused.map(drop).unwrap_err().code().unwrap().get();
            let (mut first, lifetime) = allocate("north", "ann").unwrap();
            assert_eq!(lifetime, Duration::from_secs(700), "max-allocate-lifetime");
            let _second = allocate("south", "ann").unwrap();
            assert_eq!(code(allocate("north", "ann")), 486, "user-quota");
            let _third = allocate("north", "bob").unwrap();
            assert_eq!(code(allocate("north", "cid")), 486, "total-quota");
            assert_eq!(code(allocate("west", "dan")), 401, "static-auth-secret");
            thread::sleep(2 * SECOND + SECOND / 5);
            first.refresh(Duration::from_secs(600)).unwrap();
            assert_eq!(first.stale_nonces(), 1, "stale-nonce");
        });
    });
}

#[test]
fn users_of_a_database() {
    inside_root("users_of_a_database", &HOST, || {
        let turnadmin = |words: &str| {
            let mut command = Command::new(Daemon::command().get_program());
            let words = words.split(' ').chain(["-b", "/etc/users.db", "-r", "turn.example.org"]);
            let status = command.arg0("turnadmin").args(words).status().unwrap();
            assert!(status.success());
        };
        turnadmin("-a -u eve -p secret");
        let file = "listening-ip=203.0.113.7\nrealm=turn.example.org\nlt-cred-mech\n\
                    user=ann:secret\nuserdb=/etc/users.db\n";
        with_file(file, |daemon| {
            let allocate = |name: &str, password: &str| {
                let credentials = Credentials::password(name, password);
                let mut client = connect(address(SERVER), credentials);
                code(client.allocate(&AllocateOptions::default()).map(drop))
            };
            assert_eq!(allocate("eve", "secret"), 200, "userdb: {}", daemon.output());
            assert_eq!(allocate("ann", "secret"), 200, "beside the users of the file");
            assert_eq!(allocate("eve", "wrong"), 401);
            assert_eq!(allocate("bob", "secret"), 401);
            // Written while the server runs.
            turnadmin("-a -u dan -p secret");
            assert_eq!(allocate("dan", "secret"), 200);
        });
    });
}

#[test]
fn bandwidth() {
    inside_root("bandwidth", &HOST, || {
        // Bytes a second: 1 Mbit/s each, 2 Mbit/s together.
        let file = format!("{PLAIN}max-bps=125000\nbps-capacity=250000\nallow-loopback-peers\n");
        with_file(&file, |_| {
            let offer = Offer::new(3_000_000, Duration::from_millis(6_500));
            let megabits: Vec<f64> = thread::scope(|scope| {
                let flows: Vec<_> =
                    (0..4).map(|_| Flow::new(connect(address(SERVER), user()))).collect();
                let running: Vec<_> = flows
                    .into_iter()
                    .map(|mut flow| scope.spawn(move || flow.carry(Way::Up, &offer).megabits))
                    .collect();
                running.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(megabits.iter().all(|one| *one < 1.1), "max-bps: {megabits:?}");
            let sum: f64 = megabits.iter().sum();
            assert!((1.8..=2.2).contains(&sum), "bps-capacity: {megabits:?}");
        });
    });
}

#[test]
fn peers_and_relay_kinds() {
    inside_root("peers_and_relay_kinds", &HOST, || {
        let file = format!(
            "{PLAIN}denied-peer-ip=9.0.0.0-9.255.255.255\nallowed-peer-ip=9.1.1.1\n\
             allowed-peer-ip=10.1.0.0-10.1.255.255\nno-multicast-peers\nno-tcp-relay\n\
             relay-ip=203.0.113.7\nrelay-ip=2001:db8::7\nallocation-default-address-family=ipv6\n"
        );
        with_file(&file, |_| {
            let server = address(SERVER);
            let mut client = connect(server, user());
            let relayed = client.allocate(&AllocateOptions::default()).unwrap().relayed;
            assert!(relayed.is_ipv6(), "allocation-default-address-family: {relayed}");
            let mut client = connect(server, user());
            let family = Some(AddressFamily::Ipv4);
            client.allocate(&AllocateOptions { family, ..AllocateOptions::default() }).unwrap();
            for (peer, expected) in [
                ("8.8.8.8:5000", 200),
                ("9.2.2.2:5000", 403),
                ("9.1.1.1:5000", 200),
                ("10.1.2.3:5000", 200),
                ("10.2.2.3:5000", 403),
                ("224.0.0.1:5000", 403),
            ] {
                let code = code(client.create_permission(&[address(peer)]));
                assert_eq!(code, expected, "{peer}");
            }
            let mut tcp = Client::connect_tcp(local(), server, user()).unwrap();
            let transport = Some(RequestedTransport::TCP);
            let asked = AllocateOptions { transport, ..AllocateOptions::default() };
            assert_eq!(code(tcp.allocate(&asked).map(drop)), 442, "no-tcp-relay");
        });
        with_file(PLAIN, |_| {
            let mut tcp = Client::connect_tcp(local(), address(SERVER), user()).unwrap();
            let transport = Some(RequestedTransport::TCP);
            tcp.allocate(&AllocateOptions { transport, ..AllocateOptions::default() }).unwrap();
        });
    });
}

#[test]
fn transports_and_proxies() {
    inside_root("transports_and_proxies", &HOST, || {
        Authority::new(KeyKind::Ecdsa).leaf(&["x.example"]).write_to(Path::new("/etc"), "turn");
        let certificate = "cert=/etc/turn.pem\npkey=/etc/turn.key\n";
        with_file(&format!("{PLAIN}{certificate}no-tcp\n"), |_| {
            let sockets = listening();
            assert!(!sockets.contains("tcp 203.0.113.7:3478"), "no-tcp: {sockets:?}");
            assert!(sockets.contains("tcp 203.0.113.7:5349"), "no-tcp: {sockets:?}");
        });
        with_file(&format!("{PLAIN}{certificate}no-tls\n"), |_| {
            let sockets = listening();
            assert!(!sockets.contains("tcp 203.0.113.7:5349"), "no-tls: {sockets:?}");
            assert!(sockets.contains("tcp 203.0.113.7:3478"), "no-tls: {sockets:?}");
        });
        with_file(&format!("{PLAIN}tcp-proxy-port=3600\n"), |_| {
            let mut stream = TcpStream::connect("203.0.113.7:3600").unwrap();
            stream.write_all(b"PROXY TCP4 198.51.100.77 203.0.113.7 4711 3600\r\n").unwrap();
            let wire = Wire::over_tcp(stream).unwrap();
            let mut client = Client::over(wire, user()).unwrap();
            assert_eq!(client.binding().unwrap(), address("198.51.100.77:4711"), "tcp-proxy-port");
        });
    });
}

#[test]
fn stun_only_and_what_responses_carry() {
    inside_root("stun_only_and_what_responses_carry", &HOST, || {
        with_file("listening-ip=203.0.113.7\nstun-only\n", |_| {
            let mut client = connect(address(SERVER), Credentials::anonymous());
            client.binding().unwrap();
            let refused = client.allocate(&AllocateOptions::default());
            assert!(refused.is_err(), "stun-only: {refused:?}");
        });
        with_file(&format!("{PLAIN}fingerprint\nno-software-attribute\n"), |_| {
            let wire = Wire::connect(local(), address(SERVER)).unwrap();
            let mut buffer = [0; 64];
            let id = TransactionId::new([7; 12]);
            let mut request =
                MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
            request.fingerprint().unwrap();
            wire.send(request.finish()).unwrap();
            let answer = wire.receive(SECOND).unwrap().unwrap();
            let message = Message::parse(&answer).unwrap();
            assert!(message.has_fingerprint(), "fingerprint: where the request has one");
            assert!(message.get::<Software<'_>>().unwrap().is_none(), "no-software-attribute");
        });
    });
}

#[test]
fn logs() {
    inside_root("logs", &HOST, || {
        let fails = || {
            let wrong = Credentials::password("ann", "wrong");
            connect(address(SERVER), wrong).allocate(&AllocateOptions::default()).unwrap_err();
        };
        let told = |read: &dyn Fn() -> String| {
            let start = Instant::now();
            while !read().contains("wrong_password") {
                assert!(start.elapsed() < 5 * SECOND, "{}", read());
                thread::sleep(SECOND / 50);
            }
        };
        let read = || fs::read_to_string("/var/log/turn/server.log").unwrap_or_default();
        fs::create_dir_all("/var/log/turn").unwrap();
        let file = "log-file=/var/log/turn/server.log\nsimple-log\nno-stdout-log\n";
        with_file(&format!("{PLAIN}{file}"), |daemon| {
            fails();
            told(&read);
            assert!(!daemon.output().contains("wrong_password"), "no-stdout-log");
            // logrotate's way.
            fs::rename("/var/log/turn/server.log", "/var/log/turn/server.log.1").unwrap();
            daemon.signal("HUP");
            thread::sleep(SECOND / 2);
            fails();
            told(&read);
        });
        with_file(&format!("{PLAIN}log-file=stdout\nverbose\n"), |daemon| {
            fails();
            told(&|| daemon.output());
        });
        let syslog = Syslog::start();
        with_file(&format!("{PLAIN}syslog\n"), |_| {
            fails();
            told(&|| syslog.text());
        });
        with_file(&format!("{PLAIN}log-file=stdout\nlog-min-level=error\n"), |daemon| {
            fails();
            thread::sleep(SECOND / 2);
            assert!(!daemon.output().contains("wrong_password"), "{}", daemon.output());
        });
    });
}

#[test]
fn prometheus_and_threads() {
    inside_root("prometheus_and_threads", &HOST, || {
        let file = "prometheus\nprometheus-address=203.0.113.9\nprometheus-port=9700\n\
                    prometheus-path=/turn\nrelay-threads=1\n";
        with_file(&format!("{PLAIN}{file}"), |daemon| {
            let page = http_get(address("203.0.113.9:9700"), "/turn").unwrap();
            assert_eq!(page.status, 200);
            assert!(page.body.contains("\nturn_total_allocations"), "{}", page.body);
            assert_eq!(shards(daemon), 1, "relay-threads");
        });
        with_file(&format!("{PLAIN}cpus=3\n"), |daemon| {
            assert_eq!(shards(daemon), 3, "cpus");
            assert!(TcpStream::connect("203.0.113.7:9641").is_err(), "no prometheus");
        });
    });
}

/// Runs our server on a file of coturn's.
fn with_file(text: &str, claim: impl FnOnce(&Daemon)) {
    fs::write("/etc/turnserver.conf", text).unwrap();
    let daemon = Daemon::with(Daemon::command().args(["-c", "/etc/turnserver.conf"]));
    claim(&daemon);
}

/// How many shards it has.
fn shards(daemon: &Daemon) -> usize {
    let names = daemon.threads();
    names.iter().filter(|name| name.starts_with("shard-")).count()
}

fn minted(secret: &str, userid: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Credentials::time_limited(secret.as_bytes(), Some(userid), UnixSeconds(now + 3_600))
}

fn code(outcome: Result<(), Error>) -> u16 {
    outcome.map_or_else(|error| error.code().unwrap().get(), |()| 200)
}

fn local() -> SocketAddr {
    address("203.0.113.7:0")
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
