//! The SQL store on SQLite: coturn's tables as they are, ours beside them, files that come and go.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use turn_credentials::{KeyAlgorithm, LongTermKey};
use turn_users::{
    Keys, ManagedCredential, NewCredential, RealmOption, Store, StoreConfig, StoreError,
    StoredLimits, Writer, open,
};
use zeroize::Zeroizing;

/// What `turnadmin` makes of a new file.
const COTURN_SCHEMA: &str = "
    CREATE TABLE turnusers_lt (realm varchar(127) default '', name varchar(512),
        hmackey char(128), PRIMARY KEY (realm, name));
    CREATE TABLE turn_secret (realm varchar(127) default '', value varchar(127),
        primary key (realm, value));
    CREATE TABLE allowed_peer_ip (realm varchar(127) default '', ip_range varchar(256),
        primary key (realm, ip_range));
    CREATE TABLE denied_peer_ip (realm varchar(127) default '', ip_range varchar(256),
        primary key (realm, ip_range));
    CREATE TABLE turn_origin_to_realm (origin varchar(127), realm varchar(127),
        primary key (origin));
    CREATE TABLE turn_realm_option (realm varchar(127) default '', opt varchar(32),
        value varchar(128), primary key (realm, opt));";

const REALM: &str = "north.gov";

struct Database {
    directory: TempDir,
    store: Arc<dyn Store>,
}

impl Database {
    /// A store whose file is not there yet.
    fn absent() -> Self {
        let directory = TempDir::new().unwrap();
        let store = store(&directory.path().join("users.db"));
        Self { directory, store }
    }

    /// A database as coturn makes it.
    async fn of_coturn() -> Self {
        let database = Self::absent();
        database.run(COTURN_SCHEMA).await;
        database
    }

    /// A database with all tables, ours too.
    async fn prepared() -> Self {
        let database = Self::absent();
        database.writer().prepare().await.unwrap();
        database
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("users.db")
    }

    fn writer(&self) -> &dyn Writer {
        self.store.writer().expect("SQL stores are written")
    }

    async fn run(&self, statements: &str) {
        let mut connection = connect(&self.path()).await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn md5_of(&self, user: &str) -> Option<LongTermKey> {
        self.store.find(REALM, user).await.unwrap().and_then(|user| user.md5)
    }
}

fn store(path: &Path) -> Arc<dyn Store> {
    let url = Zeroizing::new(format!("sqlite://{}", path.display()));
    open(&StoreConfig { url, token: None, sha256_keys: false }).unwrap()
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
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
            label: Some("web".to_owned()),
            created_at: 1_000,
            expires_at: Some(4_000_000_000),
            is_disabled: false,
            limits: StoredLimits {
                allocations: Some(3),
                bandwidth: Some(125_000),
                bandwidth_per_allocation: None,
            },
        },
        keys: keys(user, "of its own"),
        password: Zeroizing::new("of its own".to_owned()),
    }
}

#[tokio::test]
async fn coturns_tables_are_read_as_they_are() {
    let database = Database::of_coturn().await;
    database
        .run(
            "INSERT INTO turnusers_lt VALUES
                ('north.gov', 'gorst', '7da2270ccfa49786e0115366d3a3d14d'),
                ('south.gov', 'gorst', '00000000000000000000000000000000');
             INSERT INTO turn_secret VALUES ('north.gov', 'logen'), ('north.gov', 'bloody9'),
                ('north.gov', ''), ('', 'nobodys'), ('crinna.org', 'library');
             INSERT INTO allowed_peer_ip (ip_range) VALUES ('172.17.13.200');
             INSERT INTO denied_peer_ip VALUES ('north.gov', '172.17.17.133-172.17.19.56');
             INSERT INTO turn_origin_to_realm VALUES ('https://bligh.edu:443', 'crinna.org');
             INSERT INTO turn_realm_option VALUES ('north.gov', 'max-bps', '500000'),
                ('north.gov', 'total-quota', '12000'), ('north.gov', 'user-quota', '10000'),
                ('north.gov', 'unknown-option', 'any');",
        )
        .await;
    let key = database.md5_of("gorst").await.unwrap();
    assert!(key.ct_eq(&LongTermKey::md5("gorst", REALM, "hero")));
    let found = database.store.find(REALM, "gorst").await.unwrap().unwrap();
    assert!(found.sha256.is_none() && found.expires_at.is_none() && !found.is_managed);
    assert!(database.store.find(REALM, "dogman").await.unwrap().is_none());
    assert!(database.store.find("east.gov", "gorst").await.unwrap().is_none());

    let catalog = database.store.catalog().await.unwrap();
    let north = &catalog.realms[REALM];
    let secrets: Vec<&str> = north.secrets.iter().map(|secret| secret.as_str()).collect();
    assert_eq!(secrets, ["bloody9", "logen"]);
    assert_eq!(north.denied_peers, ["172.17.17.133-172.17.19.56"]);
    assert_eq!(
        (north.max_bps, north.total_quota, north.user_quota),
        (Some(500_000), Some(12_000), Some(10_000))
    );
    assert_eq!(catalog.realms[""].allowed_peers, ["172.17.13.200"]);
    assert!(catalog.realms[""].secrets.is_empty());
    assert_eq!(catalog.origins["https://bligh.edu:443"], "crinna.org");
    assert!(catalog.ended.is_empty());
}

#[tokio::test]
async fn reading_writes_nothing() {
    let database = Database::of_coturn().await;
    let before = fs::read(database.path()).unwrap();
    assert!(database.md5_of("gorst").await.is_none());
    database.store.catalog().await.unwrap();
    assert_eq!(fs::read(database.path()).unwrap(), before);
    assert_eq!(fs::read_dir(database.directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_table_of_secrets_alone_is_enough() {
    let database = Database::absent();
    database
        .run(
            "CREATE TABLE turn_secret (realm varchar(127), value varchar(127)); \
              INSERT INTO turn_secret VALUES ('north.gov', 'logen');",
        )
        .await;
    assert_eq!(database.store.catalog().await.unwrap().realms[REALM].secrets.len(), 1);
    assert!(database.store.find(REALM, "gorst").await.unwrap().is_none());
}

#[tokio::test]
async fn another_programs_database_is_an_error_not_an_empty_store() {
    let database = Database::absent();
    database.run("CREATE TABLE music (title text)").await;
    let error = database.store.find(REALM, "gorst").await.unwrap_err();
    assert!(matches!(error, StoreError::Malformed { .. }), "{error}");
    let error = database.store.catalog().await.unwrap_err().to_string();
    assert!(error.contains("users.db") && error.contains("coturn's tables"), "{error}");
    fs::write(database.path(), "music ".repeat(1_000)).unwrap();
    let error = database.store.catalog().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn an_absent_file_is_a_store_that_is_down_until_it_comes() {
    let database = Database::absent();
    let error = database.store.find(REALM, "gorst").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("users.db: No such file"), "{error}");
    assert!(!database.path().exists());
    database.writer().prepare().await.unwrap();
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    assert!(database.md5_of("gorst").await.is_some());
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_anew() {
    let database = Database::prepared().await;
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    assert!(database.md5_of("gorst").await.is_some());
    let other = Database::of_coturn().await;
    fs::rename(other.path(), database.path()).unwrap();
    assert!(database.md5_of("gorst").await.is_none());
}

#[tokio::test]
async fn the_file_is_made_for_the_group_to_read() {
    let database = Database::prepared().await;
    let mode = fs::metadata(database.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // Again: what is there stays.
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    database.writer().prepare().await.unwrap();
    assert!(database.md5_of("gorst").await.is_some());
}

#[tokio::test]
async fn readers_wait_for_a_writer_and_give_up_in_time() {
    for mode in ["delete", "wal"] {
        let database = Database::prepared().await;
        database.run(&format!("PRAGMA journal_mode = {mode}")).await;
        database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
        let mut writer = connect(&database.path()).await;
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut writer).await.unwrap();
        let start = Instant::now();
        let found = database.store.find(REALM, "gorst").await;
        if mode == "wal" {
            assert!(found.unwrap().is_some());
        } else {
            let error = found.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
            assert!(start.elapsed() < Duration::from_millis(900));
        }
        sqlx::raw_sql("COMMIT").execute(&mut writer).await.unwrap();
        assert!(database.md5_of("gorst").await.is_some(), "{mode}");
    }
}

#[tokio::test]
async fn users_are_written_and_read() {
    let database = Database::prepared().await;
    let writer = database.writer();
    for user in ["gorst", "ann", "gorst"] {
        writer.put_user(REALM, user, &keys(user, "hero")).await.unwrap();
    }
    writer.put_user("south.gov", "gorst", &keys("gorst", "hero")).await.unwrap();
    let found = database.store.find(REALM, "gorst").await.unwrap().unwrap();
    assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5("gorst", REALM, "hero")));
    assert!(found.sha256.unwrap().ct_eq(&LongTermKey::sha256("gorst", REALM, "hero")));
    let of_north = [(REALM.to_owned(), "ann".to_owned()), (REALM.to_owned(), "gorst".to_owned())];
    assert_eq!(writer.users(Some(REALM)).await.unwrap(), of_north);
    assert_eq!(writer.users(None).await.unwrap().len(), 3);
    assert!(writer.delete_user(REALM, "gorst").await.unwrap());
    assert!(!writer.delete_user(REALM, "gorst").await.unwrap());
    assert!(database.md5_of("gorst").await.is_none());
    assert!(database.md5_of("Ann").await.is_none() && database.md5_of("ann ").await.is_none());
}

#[tokio::test]
async fn a_sha256_key_of_a_former_password_is_not_used() {
    let database = Database::prepared().await;
    database.writer().put_user(REALM, "gorst", &keys("gorst", "former")).await.unwrap();
    // As turnadmin does it, who knows nothing of our table.
    database.run("UPDATE turnusers_lt SET hmackey = '7da2270ccfa49786e0115366d3a3d14d'").await;
    let found = database.store.find(REALM, "gorst").await.unwrap().unwrap();
    assert!(found.md5.unwrap().ct_eq(&LongTermKey::md5("gorst", REALM, "hero")));
    assert!(found.sha256.is_none());
    database.run("DELETE FROM turnusers_lt").await;
    assert!(database.store.find(REALM, "gorst").await.unwrap().is_none());
}

#[tokio::test]
async fn a_broken_key_is_named_and_harms_nobody_else() {
    let database = Database::prepared().await;
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    database
        .run("INSERT INTO turnusers_lt VALUES ('north.gov', 'ann', 'bm90IGEga2V5IGF0IGFsbA==')")
        .await;
    let error = database.store.find(REALM, "ann").await.unwrap_err();
    assert!(matches!(error, StoreError::Malformed { .. }), "{error}");
    assert!(!error.to_string().contains("bm90"), "{error}");
    assert!(database.md5_of("gorst").await.is_some());
}

#[tokio::test]
async fn hostile_names_are_texts_and_nothing_else() {
    let database = Database::prepared().await;
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    let long = "x".repeat(5_000);
    for name in ["' OR '1'='1", "gorst'; DROP TABLE turnusers_lt; --", "a\0b", "%", "", &long] {
        assert!(database.store.find(REALM, name).await.unwrap().is_none(), "{name:?}");
        assert!(database.store.find(name, "gorst").await.unwrap().is_none(), "{name:?}");
    }
    assert!(database.md5_of("gorst").await.is_some());
}

#[tokio::test]
async fn secrets_options_and_origins_are_written() {
    let database = Database::prepared().await;
    let writer = database.writer();
    for secret in ["one", "two", "one"] {
        writer.add_secret(REALM, secret).await.unwrap();
    }
    writer.set_option(REALM, RealmOption::MaxBps, Some(1)).await.unwrap();
    writer.set_option(REALM, RealmOption::MaxBps, Some(2)).await.unwrap();
    writer.set_option(REALM, RealmOption::UserQuota, Some(3)).await.unwrap();
    writer.set_option(REALM, RealmOption::UserQuota, None).await.unwrap();
    writer.set_origin("https://app.example", Some(REALM)).await.unwrap();
    writer.set_origin("https://old.example", Some(REALM)).await.unwrap();
    writer.set_origin("https://old.example", None).await.unwrap();
    let catalog = database.store.catalog().await.unwrap();
    let realm = &catalog.realms[REALM];
    assert_eq!((realm.secrets.len(), realm.max_bps, realm.user_quota), (2, Some(2), None));
    assert_eq!(catalog.origins.keys().collect::<Vec<_>>(), ["https://app.example"]);
    assert_eq!(writer.delete_secrets(REALM, Some("one")).await.unwrap(), 1);
    assert_eq!(writer.delete_secrets(REALM, Some("one")).await.unwrap(), 0);
    writer.add_secret(REALM, "three").await.unwrap();
    assert_eq!(writer.delete_secrets(REALM, None).await.unwrap(), 2);
}

#[tokio::test]
async fn an_option_that_is_no_number_is_named() {
    let database = Database::of_coturn().await;
    database.run("INSERT INTO turn_realm_option VALUES ('north.gov', 'max-bps', 'much')").await;
    let error = database.store.catalog().await.unwrap_err().to_string();
    assert!(error.contains("max-bps") && error.contains("north.gov"), "{error}");
}

#[tokio::test]
async fn credentials_live_and_end() {
    let database = Database::prepared().await;
    let (store, writer) = (&database.store, database.writer());
    let new = credential("web-1");
    writer.create_credential(&new).await.unwrap();
    let again = writer.create_credential(&new).await.unwrap_err();
    assert!(matches!(again, StoreError::Taken { .. }), "{again}");
    let found = store.find(REALM, "web-1").await.unwrap().unwrap();
    assert!(found.is_managed && found.label.as_deref() == Some("web"));
    assert_eq!((found.expires_at, found.limits), (Some(4_000_000_000), new.shown.limits));
    assert!(found.md5.unwrap().ct_eq(&new.keys.md5) && found.sha256.is_some());
    assert_eq!(writer.credential(REALM, "web-1").await.unwrap().unwrap(), new.shown);
    let password = writer.password(REALM, "web-1").await.unwrap().unwrap();
    assert_eq!(*password, "of its own");

    assert!(writer.set_disabled(REALM, "web-1", true).await.unwrap());
    assert!(store.find(REALM, "web-1").await.unwrap().is_none());
    let ended = [(REALM.to_owned(), "web-1".to_owned())];
    assert_eq!(store.catalog().await.unwrap().ended, ended);
    assert!(writer.credential(REALM, "web-1").await.unwrap().unwrap().is_disabled);
    assert!(writer.set_disabled(REALM, "web-1", false).await.unwrap());
    assert!(store.find(REALM, "web-1").await.unwrap().is_some());
    assert!(store.catalog().await.unwrap().ended.is_empty());

    assert!(writer.delete_credential(REALM, "web-1").await.unwrap());
    assert!(!writer.delete_credential(REALM, "web-1").await.unwrap());
    assert!(!writer.set_disabled(REALM, "web-1", false).await.unwrap());
    assert!(store.find(REALM, "web-1").await.unwrap().is_none());
    assert_eq!(store.catalog().await.unwrap().ended, ended);
    assert!(writer.password(REALM, "web-1").await.unwrap().is_none());
    assert!(writer.credential(REALM, "web-1").await.unwrap().is_none());
    let bytes = fs::read(database.path()).unwrap();
    let taken = writer.create_credential(&new).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken}; {} bytes", bytes.len());
    // Every server has seen its end by then.
    database.run("UPDATE turnserver_credential SET ended_at = ended_at - 16").await;
    writer.create_credential(&new).await.unwrap();
    assert!(store.find(REALM, "web-1").await.unwrap().is_some());
    assert!(store.catalog().await.unwrap().ended.is_empty());
}

#[tokio::test]
async fn what_ended_is_forgotten_after_a_day() {
    let database = Database::prepared().await;
    let writer = database.writer();
    writer.create_credential(&credential("gone")).await.unwrap();
    writer.create_credential(&credential("off")).await.unwrap();
    writer.delete_credential(REALM, "gone").await.unwrap();
    writer.set_disabled(REALM, "off", true).await.unwrap();
    database.run("UPDATE turnserver_credential SET ended_at = ended_at - 90000").await;
    let ended = database.store.catalog().await.unwrap().ended;
    assert_eq!(ended, [(REALM.to_owned(), "off".to_owned())]);
}

#[tokio::test]
async fn users_and_credentials_share_their_names() {
    let database = Database::prepared().await;
    let writer = database.writer();
    writer.put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    let taken = writer.create_credential(&credential("gorst")).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
    writer.create_credential(&credential("web")).await.unwrap();
    let taken = writer.put_user(REALM, "web", &keys("web", "hero")).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
    // turnadmin does not ask; what is switched off stays off.
    database
        .run("INSERT INTO turnusers_lt VALUES ('north.gov', 'web', '7da2270ccfa49786e0115366d3a3d14d')")
        .await;
    writer.set_disabled(REALM, "web", true).await.unwrap();
    assert!(database.store.find(REALM, "web").await.unwrap().is_none());
}

#[tokio::test]
async fn credentials_are_listed_page_by_page() {
    let database = Database::prepared().await;
    let writer = database.writer();
    for number in 0..7 {
        writer.create_credential(&credential(&format!("web-{number}"))).await.unwrap();
    }
    let mut elsewhere = credential("web-2");
    elsewhere.shown.realm = "south.gov".to_owned();
    writer.create_credential(&elsewhere).await.unwrap();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = writer.credentials(None, after.as_deref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.user.clone());
        seen.extend(page.into_iter().map(|one| (one.user, one.realm)));
    }
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!((seen.len(), &seen), (8, &sorted));
    let north = writer.credentials(Some(REALM), Some("web-4"), 10).await.unwrap();
    assert_eq!(north.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["web-5", "web-6"]);
}

#[tokio::test]
async fn without_our_tables_writing_says_what_to_do() {
    let database = Database::of_coturn().await;
    let error = database.writer().create_credential(&credential("web")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("turnserver_credential") && text.contains("GRANT") || text.contains("grant"),
        "{text}"
    );
    assert!(database.writer().credentials(None, None, 10).await.unwrap().is_empty());
    database.writer().prepare().await.unwrap();
    database.writer().create_credential(&credential("web")).await.unwrap();
    assert!(database.store.find(REALM, "web").await.unwrap().is_some());
}

#[tokio::test]
async fn many_ask_at_once_and_some_walk_away() {
    let database = Database::prepared().await;
    database.writer().put_user(REALM, "gorst", &keys("gorst", "hero")).await.unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&database.store);
        asked.spawn(async move {
            let limit = Duration::from_millis(if number % 3 == 0 { 0 } else { 5_000 });
            tokio::time::timeout(limit, store.find(REALM, "gorst")).await
        });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok(found) = answer.unwrap() {
            assert!(found.unwrap().is_some());
        }
    }
    assert!(database.md5_of("gorst").await.is_some());
    let key = LongTermKey::derive(KeyAlgorithm::Md5, "gorst", REALM, "hero");
    assert!(database.md5_of("gorst").await.unwrap().ct_eq(&key));
}
