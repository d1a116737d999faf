//! SQL stores on real servers: what Debian's `turnadmin` wrote, what our writer writes, and what
//! happens when the server hangs or dies.
//!
//! Each server is started once a test, under another uid, on a free port.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use turn_credentials::LongTermKey;
use turn_tests::databases::{Database, Kind, coturn_schema, turnadmin};
use turn_tests::system::{Authority, KeyKind};
use turn_users::{
    Keys, ManagedCredential, NewCredential, RealmOption, Store, StoreConfig, StoreError,
    StoredLimits, open,
};
use zeroize::Zeroizing;

const REALM: &str = "north.gov";
/// The name of RFC 8489's test vectors, which `turnadmin` refuses to write.
const MATRIX: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";

/// What a look-up may take, of the second that the server promises.
const IN_TIME: Duration = Duration::from_millis(900);
/// Until a server that is back must have been found.
const RECOVERY: Duration = Duration::from_secs(10);

fn store(url: &str) -> Arc<dyn Store> {
    let url = Zeroizing::new(url.to_owned());
    open(&StoreConfig { url, token: None, sha256_keys: false }).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

fn keys(user: &str, password: &str) -> Keys {
    Keys {
        md5: LongTermKey::md5(user, REALM, password),
        sha256: Some(LongTermKey::sha256(user, REALM, password)),
    }
}

fn credential(user: &str) -> NewCredential {
    NewCredential {
        shown: ManagedCredential {
            realm: REALM.to_owned(),
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

/// Users, secrets, options and origins through coturn's own tool.
fn fill_by_turnadmin(option: &str, connection: &str) {
    let run =
        |words: &[&str]| turnadmin([option, connection].into_iter().chain(words.iter().copied()));
    run(&["-a", "-u", "gorst", "-r", REALM, "-p", "hero"]);
    run(&["-a", "-u", "ann@north.gov", "-r", REALM, "-p", "hero"]);
    run(&["-a", "-u", "gone", "-r", REALM, "-p", "hero"]);
    run(&["-d", "-u", "gone", "-r", REALM]);
    run(&["-s", "logen", "-r", REALM]);
    run(&["-s", "bloody9", "-r", REALM]);
    run(&["-g", "--max-bps", "500000", "--total-quota", "12000", "-r", REALM]);
    run(&["-O", "-o", "https://bligh.edu:443", "-r", "crinna.org"]);
}

async fn check_what_turnadmin_wrote(store: &dyn Store) {
    for user in ["gorst", "ann@north.gov"] {
        let found = store.find(REALM, user).await.unwrap().unwrap();
        assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5(user, REALM, "hero")), "{user}");
        assert!(found.sha256.is_none() && !found.is_managed);
    }
    for stranger in ["gone", "GORST", "gorst ", "g\u{f6}rst", "\u{1f4de}", "a\0b", "' OR ''='"] {
        assert!(store.find(REALM, stranger).await.unwrap().is_none(), "{stranger:?}");
        assert!(store.find(stranger, "gorst").await.unwrap().is_none(), "{stranger:?}");
    }
    let catalog = store.catalog().await.unwrap();
    let realm = &catalog.realms[REALM];
    let secrets: Vec<&str> = realm.secrets.iter().map(|secret| secret.as_str()).collect();
    assert_eq!(secrets, ["bloody9", "logen"]);
    assert_eq!((realm.max_bps, realm.total_quota), (Some(500_000), Some(12_000)));
    assert_eq!(catalog.origins["https://bligh.edu:443"], "crinna.org");
}

/// Everything that the writer can do, on tables that coturn made or that it makes itself.
async fn check_writer(store: &dyn Store) {
    let writer = store.writer().unwrap();
    writer.prepare().await.unwrap();
    writer.prepare().await.unwrap();
    for password in ["former", "hero"] {
        writer.put_user(REALM, "ann", &keys("ann", password)).await.unwrap();
        writer.put_user(REALM, MATRIX, &keys(MATRIX, password)).await.unwrap();
    }
    let found = store.find(REALM, MATRIX).await.unwrap().unwrap();
    assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5(MATRIX, REALM, "hero")));
    let found = store.find(REALM, "ann").await.unwrap().unwrap();
    assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5("ann", REALM, "hero")));
    assert!(found.sha256.unwrap().ct_eq(&LongTermKey::sha256("ann", REALM, "hero")));
    let ann = (REALM.to_owned(), "ann".to_owned());
    assert!(writer.users(Some(REALM)).await.unwrap().contains(&ann));
    assert!(writer.delete_user(REALM, "ann").await.unwrap());
    assert!(!writer.delete_user(REALM, "ann").await.unwrap());
    assert!(store.find(REALM, "ann").await.unwrap().is_none());

    for secret in ["one", "two", "one"] {
        writer.add_secret("west.gov", secret).await.unwrap();
    }
    writer.set_option("west.gov", RealmOption::UserQuota, Some(1)).await.unwrap();
    writer.set_option("west.gov", RealmOption::UserQuota, Some(2)).await.unwrap();
    writer.set_option("west.gov", RealmOption::MaxBps, Some(3)).await.unwrap();
    writer.set_option("west.gov", RealmOption::MaxBps, None).await.unwrap();
    writer.set_origin("https://west.example", Some("east.gov")).await.unwrap();
    writer.set_origin("https://west.example", Some("west.gov")).await.unwrap();
    let catalog = store.catalog().await.unwrap();
    let west = &catalog.realms["west.gov"];
    assert_eq!((west.secrets.len(), west.user_quota, west.max_bps), (2, Some(2), None));
    assert_eq!(catalog.origins["https://west.example"], "west.gov");
    assert_eq!(writer.delete_secrets("west.gov", Some("one")).await.unwrap(), 1);
    assert_eq!(writer.delete_secrets("west.gov", None).await.unwrap(), 1);
    writer.set_origin("https://west.example", None).await.unwrap();
    assert!(!store.catalog().await.unwrap().origins.contains_key("https://west.example"));

    check_credentials(store).await;
}

async fn check_credentials(store: &dyn Store) {
    let writer = store.writer().unwrap();
    let new = credential("Web-1");
    writer.create_credential(&new).await.unwrap();
    let taken = writer.create_credential(&new).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
    assert!(!taken.to_string().contains("Web-1"), "{taken}");
    let found = store.find(REALM, "Web-1").await.unwrap().unwrap();
    assert!(found.is_managed && found.label == new.shown.label && found.sha256.is_some());
    assert_eq!((found.expires_at, found.limits), (new.shown.expires_at, new.shown.limits));
    for stranger in ["web-1", "Web-1 "] {
        assert!(store.find(REALM, stranger).await.unwrap().is_none(), "{stranger:?}");
        assert!(!writer.set_disabled(REALM, stranger, true).await.unwrap(), "{stranger:?}");
    }
    assert_eq!(writer.credential(REALM, "Web-1").await.unwrap().unwrap(), new.shown);
    assert_eq!(*writer.password(REALM, "Web-1").await.unwrap().unwrap(), "of its own");
    for user in ["a", "B", "c"] {
        writer.create_credential(&credential(user)).await.unwrap();
    }
    let page = writer.credentials(None, Some("B"), 2).await.unwrap();
    assert_eq!(page.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["Web-1", "a"]);
    let ended = [(REALM.to_owned(), "Web-1".to_owned())];
    assert!(writer.set_disabled(REALM, "Web-1", true).await.unwrap());
    assert!(writer.set_disabled(REALM, "Web-1", true).await.unwrap());
    assert!(store.find(REALM, "Web-1").await.unwrap().is_none());
    assert_eq!(store.catalog().await.unwrap().ended, ended);
    assert!(writer.set_disabled(REALM, "Web-1", false).await.unwrap());
    assert!(store.find(REALM, "Web-1").await.unwrap().is_some());
    assert!(store.catalog().await.unwrap().ended.is_empty());
    assert!(writer.delete_credential(REALM, "Web-1").await.unwrap());
    assert!(!writer.delete_credential(REALM, "Web-1").await.unwrap());
    assert!(store.find(REALM, "Web-1").await.unwrap().is_none());
    assert!(writer.password(REALM, "Web-1").await.unwrap().is_none());
    assert_eq!(store.catalog().await.unwrap().ended, ended);
}

/// A server that hangs, that dies, that comes back: each look-up ends in time and the store
/// recovers by itself.
async fn check_outages(database: &mut Database, store: &dyn Store) {
    assert!(store.find(REALM, "gorst").await.unwrap().is_some());
    database.freeze();
    // More than there are connections, so that new ones are waited for too.
    for _ in 0..6 {
        fails_in_time(store).await;
    }
    fails_in_time_together(store).await;
    database.thaw();
    recovers(store).await;

    database.kill();
    for _ in 0..6 {
        fails_in_time(store).await;
    }
    database.resume();
    recovers(store).await;

    // Connections that have died at rest are no failure.
    database.kill();
    database.resume();
    assert!(store.find(REALM, "gorst").await.unwrap().is_some());
    assert!(store.catalog().await.is_ok());
}

async fn fails_in_time(store: &dyn Store) {
    let start = Instant::now();
    let error = store.find(REALM, "gorst").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(store.name()), "{error}");
    assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
}

async fn fails_in_time_together(store: &dyn Store) {
    let start = Instant::now();
    let asked = (0..64).map(|_| store.find(REALM, "gorst"));
    let mut asked: Vec<_> = asked.collect();
    let all = std::future::poll_fn(|context| {
        asked.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if asked.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    all.await;
    assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
}

async fn recovers(store: &dyn Store) {
    let start = Instant::now();
    while store.find(REALM, "gorst").await.is_err() {
        assert!(start.elapsed() < RECOVERY, "not recovered after {RECOVERY:?}");
        tokio::task::yield_now().await;
    }
    assert!(store.catalog().await.is_ok());
}

fn on_a_server(kind: Kind) {
    let mut database = Database::start(kind);
    database.run(&coturn_schema());
    let [option, connection] = database.coturn();
    fill_by_turnadmin(&option, &connection);
    let store = store(&database.url());
    block_on(async {
        check_what_turnadmin_wrote(&*store).await;
        check_writer(&*store).await;
        check_what_turnadmin_wrote(&*store).await;
        check_outages(&mut database, &*store).await;
    });
}

#[test]
fn postgres_holds_what_turnadmin_and_we_write_and_outages_pass() {
    on_a_server(Kind::Postgres);
}

#[test]
fn mariadb_holds_what_turnadmin_and_we_write_and_outages_pass() {
    on_a_server(Kind::MariaDb);
}

/// An account that may read two of coturn's tables and nothing else, beside tables of ours.
#[test]
fn an_account_that_may_only_read_is_enough() {
    for (kind, grant, account) in [
        (
            Kind::Postgres,
            "CREATE ROLE reader LOGIN; GRANT SELECT ON turnusers_lt, turn_secret TO reader",
            "postgres@",
        ),
        (
            Kind::MariaDb,
            "CREATE USER reader@'127.0.0.1'; \
             GRANT SELECT ON turn.turnusers_lt TO reader@'127.0.0.1'; \
             GRANT SELECT ON turn.turn_secret TO reader@'127.0.0.1'",
            "turn:turn@",
        ),
    ] {
        let database = Database::start(kind);
        database.run(&coturn_schema());
        database.run(grant);
        database.run("INSERT INTO turn_secret VALUES ('north.gov', 'logen')");
        let owner = store(&database.url());
        let reader = store(&database.url().replace(account, "reader@"));
        block_on(async {
            for is_prepared in [false, true] {
                assert!(reader.find(REALM, "gorst").await.unwrap().is_none());
                let writer = owner.writer().unwrap();
                if !is_prepared {
                    writer.prepare().await.unwrap();
                }
                writer.put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
                let found = reader.find(REALM, "gorst").await.unwrap().unwrap();
                assert!(found.md5.is_some() && found.sha256.is_none());
                assert_eq!(reader.catalog().await.unwrap().realms[REALM].secrets.len(), 1);
                assert!(writer.delete_user(REALM, "gorst").await.unwrap());
            }
            let refused = reader.writer().unwrap().add_secret(REALM, "two").await.unwrap_err();
            assert!(refused.to_string().contains("denied"), "{refused}");
        });
    }
}

/// Databases of long standing are in Latin-1, where most names of today cannot be compared.
#[test]
fn names_that_a_latin1_database_cannot_hold_are_unknown() {
    let database = Database::start(Kind::MariaDb);
    database.run("ALTER DATABASE turn CHARACTER SET latin1");
    database.run(&coturn_schema());
    let store = store(&database.url());
    block_on(async {
        let writer = store.writer().unwrap();
        writer.prepare().await.unwrap();
        for user in ["gorst", "g\u{f6}rst"] {
            writer.put_user(REALM, user, &keys(user, "hero")).await.unwrap();
            let found = store.find(REALM, user).await.unwrap().unwrap();
            assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5(user, REALM, "hero")));
        }
        for stranger in [MATRIX, "\u{1f4de}", "gorst\u{301}", "GORST", "gorst "] {
            assert!(store.find(REALM, stranger).await.unwrap().is_none(), "{stranger:?}");
            assert!(store.find(stranger, "gorst").await.unwrap().is_none(), "{stranger:?}");
        }
        let taken = writer.put_user(REALM, "Gorst", &keys("Gorst", "hero")).await.unwrap_err();
        assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
        let error = writer.put_user(REALM, MATRIX, &keys(MATRIX, "hero")).await.unwrap_err();
        assert!(!error.to_string().contains(MATRIX), "{error}");
    });
}

/// The parameters of the drivers, with an authority of our own.
#[test]
fn tls_is_asked_for_by_the_url() {
    let directory = tempfile::TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let leaf = authority.leaf(&["127.0.0.1"]);
    let root = authority.write_to(directory.path());
    let stranger = directory.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    let stranger = Authority::new(KeyKind::Ecdsa).write_to(&stranger);
    for (kind, mode, verified, authority) in [
        (Kind::Postgres, "sslmode=require", "sslmode=verify-full", "sslrootcert"),
        (Kind::MariaDb, "ssl-mode=REQUIRED", "ssl-mode=VERIFY_IDENTITY", "ssl-ca"),
    ] {
        let plain = Database::start(kind);
        block_on(async {
            let refused = store(&format!("{}?{mode}", plain.url())).catalog().await.unwrap_err();
            assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
        });
        drop(plain);
        let database = Database::start_with_tls(kind, &leaf.certificate, &leaf.key);
        database.run(&coturn_schema());
        let store = |parameters: &str| store(&format!("{}?{parameters}", database.url()));
        block_on(async {
            store(mode).catalog().await.unwrap();
            let known = format!("{verified}&{authority}={}", root.display());
            store(&known).catalog().await.unwrap();
            let unknown = format!("{verified}&{authority}={}", stranger.display());
            let refused = store(&unknown).catalog().await.unwrap_err().to_string();
            assert!(refused.contains("certificate"), "{refused}");
        });
    }
}

#[test]
fn sqlite_holds_what_turnadmin_and_we_write() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("turndb");
    let path = file.to_str().unwrap();
    fill_by_turnadmin("-b", path);
    let store = store(&format!("sqlite://{path}"));
    block_on(async {
        check_what_turnadmin_wrote(&*store).await;
        check_writer(&*store).await;
        check_what_turnadmin_wrote(&*store).await;
    });
    // And coturn's tool reads what we wrote.
    block_on(store.writer().unwrap().put_user(REALM, "ours", &keys("ours", "hero"))).unwrap();
    assert!(turnadmin(["-b", path, "-l", "-r", REALM]).contains("ours"));
}
