//! The Redis store and the statistics database on a real server: what Debian's `turnadmin` wrote,
//! what our writer writes, what coturn's server publishes, and what happens when Redis hangs or
//! dies.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use turn_credentials::LongTermKey;
use turn_tests::databases::{Database, Kind, turnadmin};
use turn_tests::foreign::{Oracle, Running, Uclient, free_port};
use turn_tests::system::{Authority, KeyKind};
use turn_users::{
    Answer, Keys, ManagedCredential, NewCredential, Options, RealmOption, Resolver, StatsChange,
    StatsDb, StatsEvent, StatsId, StatsStatus, StatsTraffic, StatsTransport, Store, StoreConfig,
    StoreError, StoredLimits, open,
};
use zeroize::Zeroizing;

const REALM: &str = "north.gov";
/// The name of RFC 8489's test vectors.
const MATRIX: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
/// What the server promises to a client.
const A_SECOND: Duration = Duration::from_secs(1);
/// Until a server that is back must have been found.
const RECOVERY: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn what_turnadmin_wrote_is_read() {
    let database = Database::start(Kind::Redis);
    let [option, connection] = database.coturn();
    let run = |words: &[&str]| {
        turnadmin([option.as_str(), connection.as_str()].into_iter().chain(words.iter().copied()))
    };
    run(&["-a", "-u", "gorst", "-r", REALM, "-p", "hero"]);
    run(&["-a", "-u", "ann@north.gov", "-r", REALM, "-p", "hero"]);
    run(&["-a", "-u", "gone", "-r", REALM, "-p", "hero"]);
    run(&["-d", "-u", "gone", "-r", REALM]);
    run(&["-s", "logen", "-r", REALM]);
    run(&["-s", "bloody9", "-r", REALM]);
    run(&["-g", "--max-bps", "500000", "--total-quota", "12000", "-r", REALM]);
    run(&["-O", "-o", "https://bligh.edu:443", "-r", "crinna.org"]);
    // turnadmin has no words for these; the lines are those of coturn's documentation.
    database.run("sadd turn/realm/north.gov/allowed-peer-ip 172.17.13.200 172.17.13.201");
    database.run("sadd turn/realm/crinna.org/denied-peer-ip 172.17.13.133-172.17.14.56 123::77");
    let store = store(&database.url());
    block_on(async {
        for user in ["gorst", "ann@north.gov"] {
            let found = store.find(REALM, user).await.unwrap().unwrap();
            assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5(user, REALM, "hero")), "{user}");
            assert!(found.sha256.is_none() && !found.is_managed);
        }
        for stranger in ["gone", "GORST", "gorst ", "*", "", "gorst/key", "a\0b", "\r\nGET x"] {
            assert!(store.find(REALM, stranger).await.unwrap().is_none(), "{stranger:?}");
            assert!(store.find(stranger, "gorst").await.unwrap().is_none(), "{stranger:?}");
        }
        let catalog = store.catalog().await.unwrap();
        let realm = &catalog.realms[REALM];
        let secrets: Vec<&str> = realm.secrets.iter().map(|secret| secret.as_str()).collect();
        assert_eq!(secrets, ["bloody9", "logen"]);
        assert_eq!((realm.max_bps, realm.total_quota), (Some(500_000), Some(12_000)));
        assert_eq!(realm.allowed_peers, ["172.17.13.200", "172.17.13.201"]);
        let denied = &catalog.realms["crinna.org"].denied_peers;
        assert_eq!(*denied, ["123::77", "172.17.13.133-172.17.14.56"]);
        assert_eq!(catalog.origins["https://bligh.edu:443"], "crinna.org");
        // What is no key is not taken for a stranger, and is not repeated.
        database.run("set turn/realm/north.gov/user/odd/key c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIz");
        database.run("sadd turn/realm/north.gov/user/set/key 1");
        for user in ["odd", "set"] {
            let error = store.find(REALM, user).await.unwrap_err();
            assert!(matches!(error, StoreError::Malformed { .. }), "{error}");
            assert!(!error.to_string().contains("c2Vj"), "{error}");
        }
    });
    // And coturn's tool reads what we wrote.
    let writer = store.writer().unwrap();
    block_on(writer.put_user(REALM, "ours", &keys("ours", "hero"))).unwrap();
    block_on(writer.add_secret(REALM, "third")).unwrap();
    assert!(run(&["-l", "-r", REALM]).contains("ours"));
    assert!(run(&["-S", "-r", REALM]).contains("third"));
    // A password that it changes takes our SHA-256 key with it.
    assert!(block_on(store.find(REALM, "ours")).unwrap().unwrap().sha256.is_some());
    run(&["-a", "-u", "ours", "-r", REALM, "-p", "other"]);
    let found = block_on(store.find(REALM, "ours")).unwrap().unwrap();
    assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5("ours", REALM, "other")));
    assert!(found.sha256.is_none());
}

#[test]
fn our_writer_writes_what_our_store_reads() {
    let database = Database::start(Kind::Redis);
    let store = store(&database.url());
    block_on(async {
        let writer = store.writer().unwrap();
        writer.prepare().await.unwrap();
        for user in ["ann", "a/b", "a*", MATRIX] {
            for password in ["former", "hero"] {
                writer.put_user(REALM, user, &keys(user, password)).await.unwrap();
            }
            let found = store.find(REALM, user).await.unwrap().unwrap();
            assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5(user, REALM, "hero")));
            assert!(found.sha256.unwrap().ct_eq(&LongTermKey::sha256(user, REALM, "hero")));
        }
        writer.put_user("west.gov", "bob", &keys("bob", "x")).await.unwrap();
        let users = writer.users(Some(REALM)).await.unwrap();
        let names: Vec<&str> = users.iter().map(|(_, user)| user.as_str()).collect();
        assert_eq!(names, ["a*", "a/b", "ann", MATRIX]);
        assert_eq!(writer.users(None).await.unwrap().len(), 5);
        assert_eq!(writer.users(Some("*")).await.unwrap(), []);
        assert!(writer.delete_user(REALM, "ann").await.unwrap());
        assert!(!writer.delete_user(REALM, "ann").await.unwrap());
        assert!(store.find(REALM, "ann").await.unwrap().is_none());
        for odd in ["", "a\nb", "a\0b"] {
            let error = writer.put_user(REALM, odd, &keys(odd, "x")).await.unwrap_err();
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        }
        for secret in ["one", "two", "one"] {
            writer.add_secret("west.gov", secret).await.unwrap();
        }
        writer.set_option("west.gov", RealmOption::UserQuota, Some(1)).await.unwrap();
        writer.set_option("west.gov", RealmOption::UserQuota, Some(2)).await.unwrap();
        writer.set_option("west.gov", RealmOption::MaxBps, Some(3)).await.unwrap();
        writer.set_option("west.gov", RealmOption::MaxBps, None).await.unwrap();
        writer.set_origin("https://west.example", Some("west.gov")).await.unwrap();
        let catalog = store.catalog().await.unwrap();
        let west = &catalog.realms["west.gov"];
        assert_eq!((west.secrets.len(), west.user_quota, west.max_bps), (2, Some(2), None));
        assert_eq!(catalog.origins["https://west.example"], "west.gov");
        assert_eq!(writer.delete_secrets("west.gov", Some("one")).await.unwrap(), 1);
        assert_eq!(writer.delete_secrets("west.gov", None).await.unwrap(), 1);
        assert_eq!(writer.delete_secrets("west.gov", None).await.unwrap(), 0);
        writer.set_origin("https://west.example", None).await.unwrap();
        assert!(store.catalog().await.unwrap().origins.is_empty());
    });
}

#[test]
fn managed_credentials_are_made_listed_disabled_and_deleted() {
    let database = Database::start(Kind::Redis);
    let store = store(&database.url());
    block_on(async {
        let writer = store.writer().unwrap();
        let new = credential(REALM, "web-1");
        writer.create_credential(&new).await.unwrap();
        writer.put_user(REALM, "ann", &keys("ann", "hero")).await.unwrap();
        for user in ["web-1", "ann"] {
            let taken = writer.create_credential(&credential(REALM, user)).await.unwrap_err();
            assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
            assert!(!taken.to_string().contains(user), "{taken}");
        }
        let taken = writer.put_user(REALM, "web-1", &keys("web-1", "x")).await.unwrap_err();
        assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
        let found = store.find(REALM, "web-1").await.unwrap().unwrap();
        assert!(found.is_managed && found.label == new.shown.label && found.sha256.is_some());
        assert!(found.md5.unwrap().ct_eq(&new.keys.md5));
        assert_eq!((found.expires_at, found.limits), (new.shown.expires_at, new.shown.limits));
        assert_eq!(writer.credential(REALM, "web-1").await.unwrap().unwrap(), new.shown);
        assert_eq!(*writer.password(REALM, "web-1").await.unwrap().unwrap(), "of its own");

        // Names with slashes share a key, and are none of each other's.
        writer.create_credential(&credential("a/b", "c")).await.unwrap();
        assert!(store.find("a", "b/c").await.unwrap().is_none());
        assert!(!writer.set_disabled("a", "b/c", true).await.unwrap());
        assert!(!writer.delete_credential("a", "b/c").await.unwrap());

        for user in ["a", "B", "d"] {
            writer.create_credential(&credential(REALM, user)).await.unwrap();
            writer.create_credential(&credential("west.gov", user)).await.unwrap();
        }
        assert_eq!(names(writer, None, None, 100).await, "B B a a c d d web-1");
        assert_eq!(names(writer, None, None, 1).await, "B B");
        assert_eq!(names(writer, None, Some("B"), 3).await, "a a c");
        assert_eq!(names(writer, Some(REALM), Some("a"), 3).await, "d web-1");
        assert_eq!(names(writer, Some("east.gov"), None, 3).await, "");

        let ended = [(REALM.to_owned(), "web-1".to_owned())];
        assert!(writer.set_disabled(REALM, "web-1", true).await.unwrap());
        assert!(store.find(REALM, "web-1").await.unwrap().is_none());
        assert!(writer.credential(REALM, "web-1").await.unwrap().unwrap().is_disabled);
        assert_eq!(store.catalog().await.unwrap().ended, ended);
        assert!(writer.set_disabled(REALM, "web-1", false).await.unwrap());
        assert!(store.find(REALM, "web-1").await.unwrap().is_some());
        assert_eq!(store.catalog().await.unwrap().ended, []);
        assert!(writer.delete_credential(REALM, "web-1").await.unwrap());
        assert!(!writer.delete_credential(REALM, "web-1").await.unwrap());
        assert!(!writer.set_disabled(REALM, "web-1", false).await.unwrap());
        assert!(store.find(REALM, "web-1").await.unwrap().is_none());
        assert!(writer.password(REALM, "web-1").await.unwrap().is_none());
        assert!(writer.credential(REALM, "web-1").await.unwrap().is_none());
        assert_eq!(store.catalog().await.unwrap().ended, ended);
        // Other servers must have seen the end before the name can mean something new.
        let taken = writer.create_credential(&new).await.unwrap_err();
        assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
        database.run(&format!("HSET turnserver/credential/{REALM}/web-1 ended_at 1000"));
        writer.create_credential(&new).await.unwrap();
        assert_eq!(store.catalog().await.unwrap().ended, []);
        assert!(store.find(REALM, "web-1").await.unwrap().is_some());
    });
}

#[test]
fn realms_are_found_among_many_users() {
    let database = Database::start(Kind::Redis);
    // 120,000 keys of users between the few that the catalogue needs.
    let script = "for i=1,120000 do \
                  redis.call('set','turn/realm/big/user/u'..i..'/key',string.rep('0',32)) end";
    let mut command = cli(&database);
    command.args(["eval", script, "0"]);
    assert!(command.output().unwrap().status.success());
    database.run("sadd turn/realm/west.gov/secret one");
    let store = store(&database.url());
    block_on(async {
        let start = Instant::now();
        let catalog = store.catalog().await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
        assert_eq!(catalog.realms["west.gov"].secrets.len(), 1);
        assert_eq!(catalog.realms.len(), 1);
        // A large database is not looked through again at once; what is known is read again.
        database.run("sadd turn/realm/west.gov/secret two");
        database.run("sadd turn/realm/new.gov/secret three");
        let start = Instant::now();
        let catalog = store.catalog().await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        assert_eq!(catalog.realms["west.gov"].secrets.len(), 2);
        assert!(!catalog.realms.contains_key("new.gov"));
        // A realm of our own is known as soon as somebody is asked for.
        assert!(store.find("new.gov", "ann").await.unwrap().is_none());
        assert_eq!(store.catalog().await.unwrap().realms["new.gov"].secrets.len(), 1);
    });
}

#[test]
fn an_outage_is_told_from_an_unknown_user_and_passes() {
    let mut database = Database::start(Kind::Redis);
    let store = store(&database.url());
    let writer = store.writer().unwrap();
    let resolver = Resolver::start(vec![Arc::clone(&store)], Options::default()).unwrap();
    let handle = resolver.runtime().clone();
    handle.block_on(writer.put_user(REALM, "gorst", &keys("gorst", "hero"))).unwrap();
    handle.block_on(writer.add_secret(REALM, "logen")).unwrap();
    assert_eq!(find(&resolver, "gorst"), "found");
    assert_eq!(find(&resolver, "stranger"), "unknown");
    let catalog = resolver.catalog();
    until(LIMIT, || catalog.borrow().realms.contains_key(REALM)).unwrap();
    let outage = || {
        for number in 0..20 {
            assert_eq!(find(&resolver, &format!("nobody{number}")), "unavailable");
        }
        assert_eq!(catalog.borrow().realms[REALM].secrets.len(), 1, "the last word stays");
    };
    let recovery = |name: &str| {
        let start = Instant::now();
        while find(&resolver, name) != "unknown" {
            assert!(start.elapsed() < RECOVERY, "{name}: not recovered");
        }
        resolver.forget(REALM, "gorst");
        assert_eq!(find(&resolver, "gorst"), "found");
    };

    database.freeze();
    outage();
    assert!(!resolver.health()[0].is_up);
    database.thaw();
    recovery("after a freeze");

    database.kill();
    outage();
    database.resume();
    recovery("after a kill");

    // A connection that has died at rest is no failure.
    database.kill();
    database.resume();
    assert_eq!(find(&resolver, "at rest"), "unknown");
    until(RECOVERY, || resolver.health()[0].is_up).unwrap();
}

#[test]
fn a_password_and_a_unix_socket_are_used() {
    let directory = tempfile::TempDir::new().unwrap();
    let socket = directory.path().join("redis.sock");
    let mut command = Command::new(tree("redis/usr/bin/redis-server"));
    command.args(["--port", "0", "--save", "", "--requirepass", "hunter2", "--unixsocket"]);
    let server = Running::start(command.arg(&socket).arg("--dir").arg(directory.path()));
    until(LIMIT, || socket.exists()).unwrap();
    let url = |password| format!("redis+unix://{}?db=3&pass={password}", socket.display());
    let right = store(&url("hunter2"));
    let wrong = store(&url("hunter3"));
    block_on(async {
        let writer = right.writer().unwrap();
        writer.put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
        assert!(right.find(REALM, "gorst").await.unwrap().is_some());
        let error = wrong.find(REALM, "gorst").await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(!error.to_string().contains("hunter"), "{error}");
    });
    drop(server);
}

/// The authorities are read from the environment: the look-ups are made by this very test in a
/// process of its own, which `TLS_URL` tells what to do.
#[test]
fn tls_goes_by_the_systems_authorities() {
    const MYSELF: &str = "tls_goes_by_the_systems_authorities";
    if let Ok(url) = std::env::var("TLS_URL") {
        let said = match block_on(store(&url).find(REALM, "gorst")) {
            Ok(user) => format!("is there: {}", user.is_some()),
            Err(error) => error.to_string(),
        };
        eprintln!("child: {said}");
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let files = authority.leaf(&["127.0.0.1"]).write_to(directory.path(), "redis");
    let known = authority.write_to(directory.path());
    let elsewhere = tempfile::TempDir::new().unwrap();
    let stranger = Authority::new(KeyKind::Ecdsa).write_to(elsewhere.path());
    let port = free_port(Ipv4Addr::LOCALHOST.into()).to_string();
    let mut command = Command::new(tree("redis/usr/bin/redis-server"));
    command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port, "--save", ""]);
    command.args(["--requirepass", "hunter2", "--tls-auth-clients", "no", "--tls-cert-file"]);
    command.arg(&files.certificate).arg("--tls-key-file").arg(&files.key);
    command.arg("--tls-ca-cert-file").arg(&known).arg("--dir").arg(directory.path());
    let server = Running::start(&mut command);
    until(LIMIT, || server.output().contains("Ready to accept connections")).unwrap();
    let said = |authorities: &Path, host: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", MYSELF, "--nocapture"]).env("SSL_CERT_FILE", authorities);
        child.env("TLS_URL", format!("rediss://:hunter2@{host}:{port}/0"));
        String::from_utf8(child.output().unwrap().stderr).unwrap()
    };
    let text = said(&known, "127.0.0.1");
    assert!(text.contains("child: is there: false"), "{text}");
    let text = said(&stranger, "127.0.0.1");
    assert!(text.contains("child: rediss://") && text.contains("certificate"), "{text}");
    let text = said(&known, "localhost");
    assert!(text.contains("child: rediss://") && text.contains("certificate"), "{text}");
}

#[test]
fn tls_is_not_replaced_by_plain_text() {
    let database = Database::start(Kind::Redis);
    let store = store(&database.url().replace("redis://", "rediss://:hunter2@"));
    block_on(async {
        let error = store.find(REALM, "gorst").await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.to_string().starts_with("rediss://127.0.0.1"), "{error}");
    });
}

#[test]
fn the_statistics_database_gets_what_coturn_gives() {
    let database = Database::start(Kind::Redis);
    let theirs = Subscriber::start(&database);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let statsdb = format!("ip=127.0.0.1 dbname=0 port={}", database.port());
    let oracle = Oracle::start(
        loopback,
        vec!["--user".into(), "ann:secret".into(), "--redis-statsdb".into(), statsdb.into()],
    );
    Uclient::new(oracle.address())
        .user("ann", "secret")
        .client_to_client(loopback)
        .messages(20)
        .length(100)
        .run(Duration::from_secs(60));
    until(LIMIT, || theirs.whole().len() >= 2).unwrap();
    let theirs = theirs.whole();
    drop(oracle);

    let ours = Subscriber::start(&database);
    let stats = StatsDb::connect(&database.url()).unwrap();
    for event in theirs.values().flatten().filter_map(event_of) {
        stats.publish(event);
    }
    until(LIMIT, || ours.whole().len() >= theirs.len()).unwrap();
    assert_eq!(ours.whole(), theirs, "byte for byte");
    assert_eq!(stats.dropped(), 0);
    // The keys are gone with the allocations; that of coturn's last one went at our start.
    until(LIMIT, || database.run("keys turn/*").trim().is_empty()).unwrap();
}

#[test]
fn the_statistics_database_is_put_right_after_an_outage() {
    let mut database = Database::start(Kind::Redis);
    database.run("set turn/realm/r/user/former/allocation/000000000000000009/status new");
    let stats = StatsDb::connect(&database.url()).unwrap();
    let event = |serial, change| StatsEvent {
        realm: REALM.to_owned(),
        user: "ann".to_owned(),
        id: StatsId { shard: 0, serial },
        change,
    };
    let status = || StatsStatus {
        lifetime: Duration::from_secs(600),
        transport: StatsTransport::Udp,
        local: "127.0.0.1:3478".parse().unwrap(),
        remote: "127.0.0.1:40000".parse().unwrap(),
        tls: None,
    };
    let key = |serial: u64| format!("turn/realm/{REALM}/user/ann/allocation/{serial:018}/status");
    let keys = |database: &Database| {
        let mut keys: Vec<String> =
            database.run("keys turn/*").lines().map(|line| line.trim().to_owned()).collect();
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys
    };
    stats.publish(event(1, StatsChange::New(status())));
    stats.publish(event(2, StatsChange::New(status())));
    until(LIMIT, || keys(&database) == [key(1), key(2)]).unwrap();

    database.kill();
    let start = Instant::now();
    for _ in 0..20_000 {
        stats.publish(event(1, StatsChange::Refreshed(status())));
    }
    assert!(start.elapsed() < A_SECOND, "publishing never blocks");
    until(LIMIT, || stats.dropped() == 20_000).unwrap();
    stats.publish(event(2, StatsChange::Deleted(StatsTraffic::default())));
    stats.publish(event(3, StatsChange::New(status())));
    until(LIMIT, || stats.dropped() == 20_002).unwrap();
    database.resume();
    until(LIMIT, || {
        stats.publish(event(4, StatsChange::New(status())));
        keys(&database) == [key(1), key(3), key(4)]
    })
    .unwrap();
}

/// One allocation's messages, as pairs of the channel's end and the text.
type Messages = BTreeMap<String, Vec<Message>>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    channel: String,
    text: String,
}

/// `redis-cli psubscribe`.
struct Subscriber(Running);

impl Subscriber {
    fn start(database: &Database) -> Self {
        let mut command = cli(database);
        let process = Running::start(command.args(["psubscribe", "turn/realm/*"]));
        until(LIMIT, || process.output().contains("psubscribe\n")).unwrap();
        Self(process)
    }

    /// The messages of allocations that have been told to their end, by allocation. Traffic is
    /// counted at different layers: its digits are taken out.
    fn whole(&self) -> Messages {
        let output = self.0.output();
        let lines: Vec<&str> = output.lines().collect();
        let mut all = Messages::new();
        for window in lines.windows(4).filter(|window| window[0] == "pmessage") {
            let (channel, text) = (window[2].to_owned(), window[3].to_owned());
            let (allocation, kind) = channel.split_once("/allocation/").unwrap();
            let id = kind.split('/').next().unwrap();
            let digits = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect();
            let is_traffic = kind.contains("traffic");
            let text = if is_traffic { digits(&text) } else { text };
            let messages = all.entry(format!("{allocation}/{id}")).or_default();
            messages.push(Message { channel, text });
        }
        all.retain(|_, messages| {
            messages.last().is_some_and(|last| last.channel.ends_with("total_traffic/peer"))
        });
        all
    }
}

/// What makes us publish the same.
fn event_of(message: &Message) -> Option<StatsEvent> {
    let parts: Vec<&str> = message.channel.split('/').collect();
    let [_, _, realm, _, user, _, id, "status"] = parts[..] else { return None };
    let number: u64 = id.parse().unwrap();
    let factor = 1_000_000_000_000_000;
    let change = if message.text == "deleted" {
        StatsChange::Deleted(StatsTraffic { up_packets: 1, ..StatsTraffic::default() })
    } else {
        let field = |name: &str| {
            let start = message.text.split_once(&format!("{name}=")).unwrap().1;
            start.split(',').next().unwrap().to_owned()
        };
        let status = StatsStatus {
            lifetime: Duration::from_secs(field("lifetime").parse().unwrap()),
            transport: StatsTransport::Udp,
            local: field("local").parse().unwrap(),
            remote: field("remote").parse().unwrap(),
            tls: None,
        };
        let is_new = message.text.starts_with("new ");
        if is_new { StatsChange::New(status) } else { StatsChange::Refreshed(status) }
    };
    Some(StatsEvent {
        realm: realm.to_owned(),
        user: user.to_owned(),
        id: StatsId { shard: u8::try_from(number / factor).unwrap(), serial: number % factor },
        change,
    })
}

fn store(url: &str) -> Arc<dyn Store> {
    let url = Zeroizing::new(url.to_owned());
    open(&StoreConfig { url, token: None, sha256_keys: false }).unwrap()
}

fn find(resolver: &Resolver, user: &str) -> &'static str {
    let (sender, receiver) = mpsc::channel();
    resolver.find(REALM, user, move |answer| sender.send(answer).unwrap());
    let start = Instant::now();
    let answer = receiver.recv_timeout(LIMIT).unwrap();
    assert!(start.elapsed() < A_SECOND, "{user}: {:?}", start.elapsed());
    match answer {
        Answer::Found(_) => "found",
        Answer::Unknown => "unknown",
        Answer::Unavailable => "unavailable",
    }
}

async fn names(
    writer: &dyn turn_users::Writer,
    realm: Option<&str>,
    after: Option<&str>,
    most: usize,
) -> String {
    let list = writer.credentials(realm, after, most).await.unwrap();
    list.iter().map(|one| one.user.as_str()).collect::<Vec<_>>().join(" ")
}

fn keys(user: &str, password: &str) -> Keys {
    Keys {
        md5: LongTermKey::md5(user, REALM, password),
        sha256: Some(LongTermKey::sha256(user, REALM, password)),
    }
}

fn credential(realm: &str, user: &str) -> NewCredential {
    NewCredential {
        shown: ManagedCredential {
            realm: realm.to_owned(),
            user: user.to_owned(),
            label: Some("caf\u{e9} \u{1f4de}".to_owned()),
            created_at: 1_000,
            expires_at: Some(4_000_000_000),
            is_disabled: false,
            limits: StoredLimits {
                allocations: Some(3),
                bandwidth: Some(5_000_000_000),
                bandwidth_per_allocation: None,
            },
        },
        keys: keys(user, "of its own"),
        password: Zeroizing::new("of its own".to_owned()),
    }
}

/// Looks again and again until it holds.
fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> Result<(), Duration> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > limit {
            return Err(limit);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

fn cli(database: &Database) -> Command {
    let mut command = Command::new(tree("redis/usr/bin/redis-cli"));
    command.args(["-h", "127.0.0.1", "-p", &database.port().to_string()]);
    command
}

fn tree(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign").join(path);
    assert!(path.is_file(), "{} is missing; run: cargo xtask tools", path.display());
    path
}
