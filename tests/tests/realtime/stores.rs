//! A credential store that hangs or dies under a server with calls: users and secrets are those that
//! coturn's own `turnadmin` has written.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Client, Credentials, Error, Progress, Session};
use turn_codec::attribute::ErrorCode;
use turn_codec::{Message, TransactionId};
use turn_credentials::{UnixSeconds, mint};
use turn_tests::databases::{Database, Kind, turnadmin};
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, EchoThread, channel, connect};

const REALM: &str = "example.org";
const SECRET: &str = "of-the-store";
/// What an outage costs whoever comes anew: an answer within a second, and some for a busy machine.
const ANSWER: Duration = Duration::from_millis(1_500);
const REFRESH: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// Until a store that is back must have been found.
const RECOVERY: Duration = Duration::from_secs(30);

/// How a store goes away.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// It hangs: connections stay open.
    Hang,
    /// It is killed, and connections are refused.
    Death,
}

#[test]
fn realtime_r16_stores_that_hang_for_a_minute_cost_no_call() {
    outages(Outage::Hang, MINUTE);
}

#[test]
fn realtime_r16_stores_that_are_dead_for_a_minute_cost_no_call() {
    outages(Outage::Death, MINUTE);
}

#[test]
#[ignore = "ten minutes: cargo xtask test --long"]
fn realtime_r16_stores_that_hang_for_ten_minutes_cost_no_call() {
    outages(Outage::Hang, TEN_MINUTES);
}

#[test]
#[ignore = "ten minutes: cargo xtask test --long"]
fn realtime_r16_stores_that_are_dead_for_ten_minutes_cost_no_call() {
    outages(Outage::Death, TEN_MINUTES);
}

/// Of each kind of store, side by side.
fn outages(how: Outage, lasting: Duration) {
    thread::scope(|scope| {
        for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
            scope.spawn(move || outage(kind, how, lasting));
        }
    });
}

fn outage(kind: Kind, outage: Outage, lasting: Duration) {
    let mut database = Database::start(kind);
    let [option, connection] = database.coturn();
    if kind != Kind::Redis {
        database.run(&turn_tests::databases::coturn_schema());
    }
    let run = |words: &[&str]| {
        turnadmin([option.as_str(), connection.as_str()].into_iter().chain(words.iter().copied()))
    };
    for user in ["ann", "bob", "eve"] {
        run(&["-a", "-u", user, "-r", REALM, "-p", "hero"]);
    }
    run(&["-s", SECRET, "-r", REALM]);

    let daemon = Daemon::with_file(&format!(
        "realm = '{REALM}'\nshards = 2\n[[listen]]\naddress = '127.0.0.1:{}'\n[relay]\naddresses = ['127.0.0.1']\n\
         [auth]\nstores = ['{}']\nnonce_lifetime = '20s'\n[admin]\nsocket = 'off'\n[metrics]\naddress = 'off'\n\
         [usage]\npath = 'off'\n[lab]\nloopback_peers = true\n",
        free_port(IPV4),
        database.url()
    ));
    let server = daemon.address();
    let echo = EchoThread::start();
    let mut calls: Vec<Client> = (0..4)
        .map(|n| {
            call(server, if n % 2 == 0 { user("ann") } else { limited("zoe") }, echo.address())
        })
        .collect();

    match outage {
        Outage::Hang => database.freeze(),
        Outage::Death => database.kill(),
    }
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < lasting {
        for call in &mut calls {
            talks(call, sent);
            // Permission and channel end, too.
            call.bind_channel(channel(0), echo.address()).expect("the stored key serves");
            let granted = call.refresh(TEN_MINUTES);
            assert_eq!(
                granted.ok(),
                Some(TEN_MINUTES),
                "{kind:?} {outage:?}: {:?}",
                begun.elapsed()
            );
        }
        sent += 1;
        // A secret that was read once stays good.
        assert!(allocate(server, limited(&format!("new-{sent}"))).is_ok());
        // Nobody has asked for these before: that is no wrong password.
        for unknown in ["bob", "nobody"] {
            let asked = Instant::now();
            assert_eq!(code(server, user(unknown)), 500, "{unknown}");
            assert!(asked.elapsed() < ANSWER, "{unknown}: {:?}", asked.elapsed());
        }
        thread::sleep(REFRESH);
    }
    match outage {
        Outage::Hang => database.thaw(),
        Outage::Death => database.resume(),
    }
    let back = Instant::now();
    while code(server, user("bob")) != 0 {
        assert!(back.elapsed() < RECOVERY, "{kind:?} is not found again: {}", daemon.output());
        thread::sleep(Duration::from_millis(100));
    }
    eprintln!("{kind:?} {outage:?}: found again after {:?}, {sent} rounds", back.elapsed());
    assert_eq!(code(server, user("nobody")), 401);
    assert_eq!(code(server, Credentials::password("eve", "wrong")), 401);
    for call in &mut calls {
        talks(call, sent);
    }
    let output = daemon.output();
    let said =
        output.lines().filter(|line| line.contains("WARN") && line.contains("store")).count();
    assert!((1..=2).contains(&said), "once, and not at every look-up:\n{output}");
    assert!(!output.contains("hero") && !output.contains(SECRET), "{output}");
}

/// An allocation with a channel to `peer`.
fn call(server: SocketAddr, credentials: Credentials, peer: SocketAddr) -> Client {
    let mut client = connect(server, credentials);
    client.allocate(&AllocateOptions::default()).expect("the store knows them");
    client.bind_channel(channel(0), peer).expect("the peer may be reached");
    client
}

fn talks(call: &mut Client, n: u32) {
    let word = n.to_be_bytes();
    call.send_channel(channel(0), &word).expect("it can be sent");
    let heard = call.receive(Duration::from_secs(5)).expect("the call goes on");
    assert_eq!(heard.data, word);
}

fn allocate(server: SocketAddr, credentials: Credentials) -> Result<(), Error> {
    connect(server, credentials).allocate(&AllocateOptions::default()).map(drop)
}

/// The code that an Allocate is refused with; 0 where it is granted. A server that cannot look a key up
/// cannot sign its 500 either, which our client would take for a forgery and wait on.
fn code(server: SocketAddr, credentials: Credentials) -> u16 {
    let socket = UdpSocket::bind((IPV4, 0)).expect("a socket");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(ANSWER)).expect("a time");
    let mut session = Session::new(credentials).expect("plain names");
    let mut buffer = [0; 2_048];
    for attempt in 0..3 {
        let operation = AllocateOptions::default();
        let id = TransactionId::new([attempt; 12]);
        let transaction = session.begin(operation, id).expect("there is room");
        socket.send(transaction.bytes()).expect("it can be sent");
        let length = socket.recv(&mut buffer).expect("an answer in time");
        let bytes = buffer.get(..length).expect("as long as it is");
        if !matches!(session.receive(&transaction, bytes), Progress::Retry(_)) {
            let message = Message::parse(bytes).expect("a message");
            let code = message.get::<ErrorCode<'_>>().expect("well-formed");
            return code.map_or(0, |error| error.code.get());
        }
    }
    401
}

fn user(name: &str) -> Credentials {
    Credentials::password(name, "hero")
}

fn limited(name: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (name, password) = mint(SECRET.as_bytes(), Some(name), UnixSeconds(now + 3_600), ':');
    Credentials::password(name, password)
}
