//! A server whose configuration changes while it relays: nothing is lost, nothing is half taken over,
//! and what is denied from then on is dead within a second.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_client::{AllocateOptions, Client, Credentials, TlsOptions, Wire};
use turn_codec::attribute::RequestedTransport;
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Authority, Choir, Daemon, Echo, HttpResponse, KeyKind, Leaf, PemFiles, channel, connect,
    http_unix, loopback, user,
};

const SECOND: Duration = Duration::from_secs(1);

/// How often the files alternate under load.
const RELOADS: usize = 1_000;

/// A reload takes a millisecond or two; with this between them they last for ten seconds of load.
const BETWEEN: Duration = Duration::from_millis(8);

/// Clients over UDP and TLS, and how often each sends a message: 5,000 packets a second together.
const OVER_UDP: usize = 200;
const OVER_TLS: usize = 20;
const INTERVAL: Duration = Duration::from_millis(44);

/// A server on a configuration that a test writes anew.
struct Reloaded {
    daemon: Daemon,
    server: SocketAddr,
    socket: PathBuf,
    authority: Authority,
    /// Two certificates, where they lie, and what is written into the file of each half.
    leaves: [Leaf; 2],
    files: [PemFiles; 2],
    directory: TempDir,
}

/// What differs between the two files.
const HALVES: [&str; 2] = [
    "[auth]\nusers = { ann = \"secret\" }\n[peers]\ndeny = [\"203.0.113.0/24\"]\n\
     [limits]\nallocations_per_user = 500\nbandwidth_per_allocation = \"off\"\n\
     queue_per_connection = \"256 KiB\"\n[log]\nlevel = \"info\"\n",
    "[auth]\nusers = { bob = \"another\" }\n[peers]\ndeny = [\"198.51.100.0/24\"]\n\
     [limits]\nallocations_per_user = 300\nbandwidth_per_allocation = \"20 Mbit/s\"\n\
     bandwidth = \"900 Mbit/s\"\n[log]\nlevel = \"info\"\n",
];

#[test]
fn r18_a_thousand_reloads_under_load_lose_nothing() {
    let reloaded = Reloaded::start();
    let opened = Cell::new(0);
    let mut choir = Choir::of(OVER_UDP + OVER_TLS, || {
        opened.set(opened.get() + 1);
        if opened.get() > OVER_UDP { reloaded.over_tls() } else { connect(reloaded.server, user()) }
    });
    assert_eq!(choir.sing().lost, 0);
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let (sung, singing) = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let goes_on = |_| !over.load(Ordering::Relaxed);
            let sung = choir.sing_while(INTERVAL, goes_on);
            (sung, start.elapsed())
        });
        let reloading = scope.spawn(|| {
            for n in 1..=RELOADS {
                let half = n % 2;
                reloaded.write(half);
                let answer = reloaded.reload();
                assert_eq!(answer.status, 200, "reload {n}: {answer:?}");
                thread::sleep(BETWEEN);
                if n % 100 < 2 {
                    reloaded.expect_in_force(half);
                }
            }
        });
        let reloads = reloading.join();
        over.store(true, Ordering::Relaxed);
        let sung = load.join();
        reloads.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sung.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let rate = sung.sent as f64 / singing.as_secs_f64();
    eprintln!("{RELOADS} reloads in {singing:?}, {rate:.0} packets/s each way: {sung:?}");
    let stopped = reloaded.daemon.stop("TERM");
    assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
    assert_eq!(sung.lost, 0, "{sung:?} {:?}", stopped.counters);
    assert!(rate > 4_000.0, "only {rate} packets a second");
    for counter in ["send_dropped", "stream_frames_dropped", "truncated", "ring_dropped"] {
        assert_eq!(stopped.counters.get(counter), None, "{:?}", stopped.counters);
    }
}

#[test]
fn r18_a_file_with_any_mistake_leaves_everything_as_it_was_and_is_named() {
    let reloaded = Reloaded::start();
    let mut choir = Choir::of(4, || connect(reloaded.server, user()));
    let missing = reloaded.files[0].certificate.with_file_name("missing.pem");
    let no_certificate = reloaded.text(1).replace(
        &reloaded.files[1].certificate.display().to_string(),
        &missing.display().to_string(),
    );
    let wrong_key = reloaded.text(1).replace(
        &reloaded.files[1].key.display().to_string(),
        &reloaded.files[0].key.display().to_string(),
    );
    let other = reloaded.text(1);
    let cases = [
        // What is said of each, and a file with it.
        ("relm", format!("relm = \"x\"\n{other}")),
        ("nonce_lifetime", other.replace("[auth]", "[auth]\nnonce_lifetime = 600")),
        ("CIDR prefix", other.replace("198.51.100.0/24", "10.0.0.0/40")),
        ("bandwidth", other.replace("900 Mbit/s", "900 Mbit/h")),
        ("level", other.replace("\"info\"", "\"loud\"")),
        ("users", other.replace("bob = \"another\"", "bob = 5")),
        ("turnserver.toml", other.replace("[peers]", "[peers")),
        ("missing.pem", no_certificate),
        ("key", wrong_key),
    ];
    for (named, text) in cases {
        reloaded.write_text(&text);
        let answer = reloaded.reload();
        assert!((400..500).contains(&answer.status), "{named}: {answer:?}");
        assert!(answer.body.contains(named), "{named}: {answer:?}");
        let told =
            Daemon::run(["reload".as_ref(), "--socket".as_ref(), reloaded.socket.as_os_str()]);
        assert_ne!(told.exit, Some(0), "{named}: {}", told.output);
        assert!(told.output.contains(named), "{}", told.output);
        let before = reloaded.daemon.output().len();
        reloaded.daemon.signal("HUP");
        reloaded.daemon.wait_for_output(5 * SECOND, |output| {
            output.get(before..).unwrap_or_default().contains(named)
        });
        reloaded.expect_in_force(0);
        assert_eq!(choir.sing().lost, 0, "{named}");
    }
    fs::remove_file(reloaded.directory.path().join("turnserver.toml")).unwrap();
    let answer = reloaded.reload();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    reloaded.expect_in_force(0);
    // What is right again is taken over, by the signal too, and the caller is told what changed.
    reloaded.write(1);
    let answer = reloaded.reload();
    assert!(answer.status == 200 && answer.body.contains("auth.users"), "{answer:?}");
    assert!(!answer.body.contains("another"), "a password is told: {answer:?}");
    reloaded.expect_in_force(1);
    reloaded.write(0);
    reloaded.daemon.signal("HUP");
    let start = Instant::now();
    while allocate(reloaded.server, user()).is_err() {
        assert!(start.elapsed() < 5 * SECOND, "{}", reloaded.daemon.output());
        thread::sleep(SECOND / 50);
    }
    reloaded.expect_in_force(0);
    assert_eq!(choir.sing().lost, 0);
}

#[test]
fn what_needs_a_restart_is_said_and_kept_and_the_rest_is_applied() {
    let reloaded = Reloaded::start();
    let elsewhere = SocketAddr::new(IPV4, free_port(IPV4));
    let text = reloaded.text(1).replace(&reloaded.server.to_string(), &elsewhere.to_string());
    reloaded.write_text(&text.replace("shards = 2", "shards = 1"));
    let answer = reloaded.reload();
    assert_eq!(answer.status, 200, "{answer:?}");
    for key in ["shards", "listen", "auth.users"] {
        assert!(answer.body.contains(key), "{key}: {answer:?}");
    }
    reloaded.expect_in_force(1);
    assert!(Wire::connect_tcp(SocketAddr::new(IPV4, 0), elsewhere).is_err(), "it listens there");
}

#[test]
fn p7_a_denied_range_is_dead_within_a_second_and_no_other() {
    let reloaded = Reloaded::start();
    let [denied, open] = [2, 3].map(|n| IpAddr::from([127, 0, 0, n]));
    let [bound, permitted] = [(); 2].map(|()| Echo::on(SocketAddr::new(denied, 0)));
    let other = Echo::on(SocketAddr::new(open, 0));
    let mut udp = connect(reloaded.server, user());
    let relayed = udp.allocate(&AllocateOptions::default()).unwrap().relayed;
    udp.bind_channel(channel(0), bound.address()).unwrap();
    udp.bind_channel(channel(1), other.address()).unwrap();
    udp.create_permission(&[permitted.address()]).unwrap();
    udp.send_channel(channel(0), b"up").unwrap();
    assert_eq!(bound.echo(), b"up");
    assert_eq!(udp.receive(SECOND).unwrap().data, b"up");

    // RFC 6062: one connection into the range, one elsewhere.
    let listeners = [denied, open].map(|ip| TcpListener::bind((ip, 0)).unwrap());
    let mut control = reloaded.over_tls();
    let options =
        AllocateOptions { transport: Some(RequestedTransport::TCP), ..Default::default() };
    control.allocate(&options).unwrap();
    let [mut dead, mut alive] = listeners.each_ref().map(|listener| {
        let id = control.connect_peer(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(SECOND)).unwrap();
        (control.bind_data_connection(id).unwrap(), peer)
    });
    dead.0.write_all(b"up").unwrap();
    dead.1.read_exact(&mut [0; 2]).unwrap();

    reloaded.write_text(&reloaded.text(0).replace("203.0.113.0/24", "127.0.0.2"));
    let start = Instant::now();
    assert_eq!(reloaded.reload().status, 200);
    // The peer's end of the connection is closed: a read ends before its timeout.
    assert!(matches!(dead.1.read(&mut [0; 8]), Ok(0) | Err(_)));
    assert!(start.elapsed() < SECOND, "closed after {:?}", start.elapsed());
    for peer in [&bound, &permitted] {
        udp.send_to(peer.address(), b"late").unwrap();
        peer.send(relayed, b"late");
    }
    udp.send_channel(channel(0), b"late").unwrap();
    udp.send_channel(channel(1), b"still here").unwrap();
    assert_eq!(other.echo(), b"still here");
    assert_eq!(udp.receive(SECOND).unwrap().data, b"still here");
    assert!(bound.is_idle() && permitted.is_idle(), "a denied peer was reached");
    let refused = udp.create_permission(&[permitted.address()]).unwrap_err();
    assert_eq!(refused.code().map(|code| code.get()), Some(403));
    alive.0.write_all(b"on").unwrap();
    alive.1.read_exact(&mut [0; 2]).unwrap();
}

impl Reloaded {
    /// Starts one on the first half.
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new(KeyKind::Ecdsa);
        let leaves = [(); 2].map(|()| authority.leaf(&["localhost"]));
        let files = [0, 1].map(|n| leaves[n].write_to(directory.path(), &format!("half{n}")));
        let server = SocketAddr::new(IPV4, free_port(IPV4));
        let socket = directory.path().join("admin.sock");
        fs::write(directory.path().join("turnserver.toml"), text(server, &socket, &files[0], 0))
            .unwrap();
        let file = directory.path().join("turnserver.toml");
        let daemon = Daemon::with(Daemon::command().arg("--config").arg(file));
        Self { daemon, server, socket, authority, leaves, files, directory }
    }

    fn text(&self, half: usize) -> String {
        text(self.server, &self.socket, &self.files[half], half)
    }

    fn write(&self, half: usize) {
        self.write_text(&self.text(half));
    }

    /// In one step, as an operator's tools do.
    fn write_text(&self, text: &str) {
        let new = self.directory.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.directory.path().join("turnserver.toml")).unwrap();
    }

    fn reload(&self) -> HttpResponse {
        http_unix(&self.socket, "POST", "/reload").unwrap()
    }

    fn tls_options(&self) -> TlsOptions {
        TlsOptions::new("localhost", vec![self.authority.der()])
    }

    fn over_tls(&self) -> Client {
        let local = SocketAddr::new(IPV4, 0);
        Client::connect_tls(local, self.server, &self.tls_options(), user()).unwrap()
    }

    /// The users and the certificate of one half are there, and nothing of the other is.
    fn expect_in_force(&self, half: usize) {
        let users = [user(), Credentials::password("bob", "another")];
        for (n, credentials) in users.into_iter().enumerate() {
            let expected = if n == half { Ok(()) } else { Err(Some(401)) };
            let allocated = allocate(self.server, credentials);
            assert_eq!(allocated, expected, "user {n} after half {half}");
        }
        let wire = Wire::connect_tls(SocketAddr::new(IPV4, 0), self.server, &self.tls_options());
        let served = wire.unwrap().tls().unwrap().certificate;
        assert!(served == self.leaves[half].der, "the certificate of half {half} is not served");
    }
}

/// A whole file.
fn text(server: SocketAddr, socket: &std::path::Path, files: &PemFiles, half: usize) -> String {
    format!(
        "shards = 2\n[[listen]]\naddress = \"{server}\"\ntransports = [\"udp\", \"tcp\", \"tls\"]\n\
         [relay]\naddresses = [\"{IPV4}\"]\ntcp = true\n{}{}\
         [metrics]\naddress = \"off\"\n[admin]\nsocket = \"{}\"\n[lab]\nloopback_peers = true\n",
        HALVES[half],
        PemFiles::table(std::slice::from_ref(files)),
        socket.display()
    )
}

/// Whether somebody may allocate, or the code of the refusal; nothing is left behind.
fn allocate(server: SocketAddr, credentials: Credentials) -> Result<(), Option<u16>> {
    // Each from an address of its own: who fails ten times a minute is not answered any more.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let local = SocketAddr::new(loopback(NEXT.fetch_add(1, Ordering::Relaxed)), 0);
    let mut client = Client::connect(local, server, credentials).unwrap();
    let allocation = client.allocate(&AllocateOptions::default());
    allocation.map_err(|error| error.code().map(|code| code.get()))?;
    client.refresh(Duration::ZERO).unwrap();
    Ok(())
}
