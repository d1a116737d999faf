//! What a monitoring sees, as Debian's promtool reads it and under coturn's names; and what nobody else
//! may do over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_client::{AllocateOptions, Credentials};
use turn_tests::foreign::{Attempt, free_port, promtool, snoop};
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Authority, Choir, Daemon, Echo, HttpResponse, KeyKind, Neighbour, PemFiles, channel, connect,
    http, http_get, inside_root, user,
};

const SECOND: Duration = Duration::from_secs(1);

/// coturn's names; those that a live allocation moves begin with `+`.
const COTURN: [&str; 33] = [
    "+stun_binding_request",
    "+stun_binding_response",
    "stun_binding_error",
    "+turn_traffic_rcvp",
    "+turn_traffic_rcvb",
    "+turn_traffic_sentp",
    "+turn_traffic_sentb",
    "+turn_traffic_peer_rcvp",
    "+turn_traffic_peer_rcvb",
    "+turn_traffic_peer_sentp",
    "+turn_traffic_peer_sentb",
    "+turn_total_traffic_rcvp",
    "+turn_total_traffic_rcvb",
    "+turn_total_traffic_sentp",
    "+turn_total_traffic_sentb",
    "+turn_total_traffic_peer_rcvp",
    "+turn_total_traffic_peer_rcvb",
    "+turn_total_traffic_peer_sentp",
    "+turn_total_traffic_peer_sentb",
    "+turn_total_allocations",
    "+turn_packet_processed",
    "turn_packet_dropped",
    "+turn_udp_recvmmsg_calls",
    "+turn_udp_recvmmsg_packets",
    "+turn_udp_sendmmsg_flushes",
    "+turn_udp_sendmmsg_datagrams",
    "turn_udp_sendmmsg_gso_datagrams",
    "+turn_unauthenticated_401_requests",
    "+turn_unauthenticated_401_responses",
    "turn_unauthenticated_401_dropped_responses",
    "turn_ratelimit_hash_collisions",
    "turn_ratelimit_occupied_buckets",
    "turn_ratelimit_total_buckets",
];

/// A server and another host, on one cable; the peer is elsewhere.
const CABLE: [&str; 4] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 203.0.113.7/24 dev v0",
    "ip link set v0 up",
    "ip route add local 8.8.8.8 dev lo",
];

const TOKEN: &str = "a-token-of-twenty-seven-bytes";

#[test]
fn promtool_accepts_what_a_busy_server_exposes() {
    let served = Served::start();
    let metrics = |path| http_get(served.metrics, path).unwrap();
    assert_eq!(promtool::check_metrics(&metrics("/metrics").body), [""; 0]);

    let mut choir = Choir::new(served.server, 8);
    choir.sing_for(SECOND, SECOND / 20);
    connect(served.server, Credentials::password("ann", "wrong"))
        .allocate(&AllocateOptions::default())
        .unwrap_err();
    connect(served.server, Credentials::password("nobody", "wrong"))
        .allocate(&AllocateOptions::default())
        .unwrap_err();
    let mut denied = connect(served.server, user());
    denied.allocate(&AllocateOptions::default()).unwrap();
    denied.create_permission(&["10.0.0.1:5000".parse().unwrap()]).unwrap_err();
    connect(served.server, user()).binding().unwrap();
    choir.leave();

    let text = metrics("/metrics").body;
    assert_eq!(promtool::check_metrics(&text), [""; 0]);
    let samples = samples(&text);
    let value = |name: &str, labels: &[&str]| -> f64 {
        let found = samples.iter().filter(|(sample, _)| {
            sample.split(['{', ' ']).next() == Some(name)
                && labels.iter().all(|label| sample.contains(label))
        });
        found.map(|(_, value)| value).sum()
    };
    let live = value("turn_allocations", &["transport=\"udp\""]);
    assert!((live - 8.0).abs() < 0.1, "{live}: {text}");
    for (name, labels, least) in [
        ("turn_relayed_packets_total", &["direction=\"up\""][..], 100.0),
        ("turn_relayed_bytes_total", &["direction=\"down\""], 400.0),
        ("turn_allocations_created_total", &[], 9.0),
        ("turn_allocations_ended_total", &["used=\"true\""], 1.0),
        ("turn_auth_failures_total", &["reason=\"wrong_password\""], 1.0),
        ("turn_auth_failures_total", &["reason=\"unknown_user\""], 1.0),
        ("turn_responses_total", &["method=\"create_permission\"", "code=\"403\""], 1.0),
        ("turn_binding_responses_total", &[], 1.0),
        ("turn_allocate_duration_seconds_count", &[], 9.0),
        ("turn_relay_ports_used", &[], 8.0),
        ("turn_build_info", &["version="], 1.0),
    ] {
        let found = value(name, labels);
        assert!(found >= least, "{name} {labels:?} is {found}: {text}");
    }
    // A user's name is nobody's business.
    assert!(!text.contains("\"ann\""), "{text}");
    // Nothing else is served there.
    assert_eq!((metrics("/healthz").status, metrics("/readyz").status), (200, 200));
    assert_eq!(metrics("/version").status, 200);
    for path in ["/status", "/allocations", "/drain", "/reload", "/"] {
        assert_eq!(metrics(path).status, 404, "{path}");
    }
    for (method, path) in [("POST", "/drain"), ("POST", "/reload"), ("DELETE", "/allocations/1")] {
        let answer = http(served.metrics, method, path, &[("Host", "127.0.0.1")]).unwrap();
        assert!([404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
    }
}

#[test]
fn coturns_names_are_scraped_from_another_host_and_move_during_a_live_allocation() {
    inside_root(
        "coturns_names_are_scraped_from_another_host_and_move_during_a_live_allocation",
        &CABLE,
        || {
            let file = "listening-ip=203.0.113.7\nrealm=turn.example.org\nlt-cred-mech\n\
                        user=ann:secret\nprometheus\n";
            fs::write("/etc/turnserver.conf", file).unwrap();
            let _daemon = Daemon::with(Daemon::command().args(["-c", "/etc/turnserver.conf"]));
            let neighbour = Neighbour::new("v1", "203.0.113.8/24");
            let scrape = || {
                let page = neighbour.http_get("203.0.113.7", 9641, "/metrics");
                assert!(page.starts_with("HTTP/1.1 200"), "{page}");
                let values = samples(&page);
                COTURN.map(|name| {
                    let name = name.trim_start_matches('+');
                    let mut of_name = values
                        .iter()
                        .filter(|(sample, _)| sample.split('{').next() == Some(name))
                        .peekable();
                    assert!(of_name.peek().is_some(), "no {name}: {page}");
                    of_name.map(|(_, value)| value).sum::<f64>()
                })
            };
            let before = scrape();
            let server = "203.0.113.7:3478".parse().unwrap();
            let peer = Echo::on("8.8.8.8:5000".parse().unwrap());
            let mut client = connect(server, user());
            client.allocate(&AllocateOptions::default()).unwrap();
            client.bind_channel(channel(0), peer.address()).unwrap();
            client.binding().unwrap();
            let start = Instant::now();
            while start.elapsed() < SECOND {
                client.send_channel(channel(0), b"media").unwrap();
                assert_eq!(peer.echo(), b"media");
                client.receive(SECOND).unwrap();
            }
            thread::sleep((2 * SECOND).saturating_sub(start.elapsed()));
            let after = scrape();
            for ((name, before), after) in COTURN.into_iter().zip(before).zip(after) {
                eprintln!("{name} {before} {after}");
                assert!(!name.starts_with('+') || after > before, "{name}: {before}, {after}");
            }
        },
    );
}

#[test]
fn h30_no_admin_call_is_answered_to_a_foreign_origin_a_foreign_host_or_a_stranger() {
    let served = Served::start();
    let bearer = format!("Bearer {TOKEN}");
    let own = served.admin.to_string();
    let call =
        |method, path, headers: &[(&str, &str)]| http(served.admin, method, path, headers).unwrap();
    let good = call("GET", "/status", &[("Host", &own), ("Authorization", &bearer)]);
    assert_eq!(good.status, 200, "{good:?}");

    let foreign = "http://evil.example";
    let wrong = [
        vec![("Host", "evil.example"), ("Authorization", bearer.as_str())],
        vec![("Host", "localhost"), ("Authorization", &bearer)],
        vec![("Authorization", &bearer)],
        vec![("Host", &own), ("Authorization", &bearer), ("Origin", foreign)],
        vec![("Host", &own), ("Authorization", &bearer), ("Origin", "null")],
        vec![("Host", &own)],
        vec![("Host", &own), ("Authorization", "Bearer another token, as long")],
        vec![("Host", &own), ("Authorization", "Basic YTpi")],
    ];
    let calls = [
        ("GET", "/status"),
        ("GET", "/allocations"),
        ("GET", "/metrics"),
        ("DELETE", "/allocations/1"),
        ("POST", "/drain"),
        ("POST", "/reload"),
    ];
    // Ten wrong tokens a minute are judged: these are spread over the ways to be wrong.
    for (headers, (method, path)) in wrong.iter().zip(calls.into_iter().cycle()) {
        let HttpResponse { status, head, body } = call(method, path, headers);
        let told = format!("{method} {path} {headers:?}: {head}\n{body}");
        assert!([400, 401, 403, 421].contains(&status), "{told}");
        assert!(!head.to_ascii_lowercase().contains("access-control-allow"), "{told}");
        assert!(!body.contains("allocations") && !body.contains("turn_"), "{told}");
    }
    let preflight = [
        ("Host", own.as_str()),
        ("Origin", foreign),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    let answer = call("OPTIONS", "/drain", &preflight);
    assert!(!answer.head.to_ascii_lowercase().contains("access-control-allow"), "{answer:?}");
    assert_eq!(http_get(served.metrics, "/readyz").unwrap().status, 200, "it drains");
}

#[test]
fn h30_a_foreign_page_in_a_browser_gets_no_admin_call_answered() {
    let served = Served::start();
    let mut attempts = Vec::new();
    for (method, path) in [
        ("GET", "/status"),
        ("GET", "/allocations"),
        ("GET", "/metrics"),
        ("POST", "/drain"),
        ("POST", "/reload"),
        ("DELETE", "/allocations/1"),
    ] {
        let url = format!("http://{}{path}", served.admin);
        let token = vec![("Authorization", format!("Bearer {TOKEN}"))];
        // Even a page that knows the token gets nowhere.
        attempts.push(Attempt { url: url.clone(), method, mode: "cors", headers: token });
        attempts.push(Attempt { url: url.clone(), method, mode: "cors", headers: Vec::new() });
        if method != "DELETE" {
            attempts.push(Attempt { url, method, mode: "no-cors", headers: Vec::new() });
        }
    }
    let seen = snoop(&attempts);
    assert_eq!(seen.len(), attempts.len());
    for (attempt, seen) in attempts.iter().zip(&seen) {
        let hidden = seen.starts_with("blocked") || seen.trim_end() == "opaque 0";
        assert!(hidden, "{attempt:?}: {seen}");
    }
    let ready = http_get(served.metrics, "/readyz").unwrap();
    assert_eq!(ready.status, 200, "a page made it drain: {}", served.daemon.output());
}

/// A server with metrics and with the admin listener over HTTP.
struct Served {
    daemon: Daemon,
    server: SocketAddr,
    metrics: SocketAddr,
    admin: SocketAddr,
    _directory: TempDir,
}

impl Served {
    fn start() -> Self {
        let [server, metrics, admin] = [(); 3].map(|()| SocketAddr::new(IPV4, free_port(IPV4)));
        let directory = TempDir::new().unwrap();
        let authority = Authority::new(KeyKind::Ecdsa);
        let files = authority.leaf(&["turn.example.org"]).write_to(directory.path(), "server");
        let daemon = Daemon::with_file(&format!(
            "shards = 2\n[[listen]]\naddress = \"{server}\"\n\
             transports = [\"udp\", \"tcp\", \"tls\"]\n\
             [relay]\naddresses = [\"{IPV4}\"]\n[auth]\nusers = {{ ann = \"secret\" }}\n\
             [metrics]\naddress = \"{metrics}\"\n\
             [admin]\nsocket = \"{}\"\naddress = \"{admin}\"\n\
             tokens = [\"{TOKEN}\"]\nhosts = [\"{}\", \"turn.example.org\"]\n\
             [lab]\nloopback_peers = true\n{}",
            directory.path().join("admin.sock").display(),
            admin.ip(),
            PemFiles::table(&[files]),
        ));
        Self { daemon, server, metrics, admin, _directory: directory }
    }
}

/// The samples of a page, each by its name with its labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            Some((sample.to_owned(), value.parse().ok()?))
        })
        .collect()
}
