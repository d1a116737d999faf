//! A recorder on real files, with the clock of the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::fake_webhook::FakeWebhook;
use crate::{
    AllocationKey, By, Day, Filters, LogCursor, Party, Per, Period, Threshold, Traffic, UsageRow,
    UsageRows,
};

/// 2026-11-22, 12:00 UTC.
const NOON: u64 = 1_795_348_800;
const DAY: u64 = 86_400;

#[tokio::test]
async fn usage_is_grouped_and_filtered() {
    let recorder = Recorder::open(None, Options::default()).unwrap();
    let app = |user: &str, label: &str| Party {
        tenant: Some("app".to_owned()),
        label: Some(label.to_owned()),
        ..party(user)
    };
    recorder.observe(vec![live(1, party("ann"), 100, 5), live(2, app("bob", "web"), 10, 5)], NOON);
    recorder.observe(vec![live(1, party("ann"), 150, 10)], NOON + DAY);
    recorder.ended(ended(3, app("bob", "ios"), 7, 3), NOON + DAY);

    let rows = usage(&recorder, &[By::User], Filters::default()).await;
    let of = |row: &UsageRow| {
        (row.user.clone().unwrap(), row.traffic.up_bytes, row.allocations, row.seconds)
    };
    let of_all: Vec<_> = rows.iter().map(of).collect();
    assert_eq!(of_all, [("ann".to_owned(), 150, 1, 10), ("bob".to_owned(), 17, 2, 8)]);

    let rows = usage(&recorder, &[By::Day, By::User, By::Day], Filters::default()).await;
    let days: Vec<_> = rows.iter().map(|row| row.day.unwrap().to_string()).collect();
    assert_eq!(days, ["2026-11-22", "2026-11-22", "2026-11-23", "2026-11-23"]);
    assert_eq!(rows[2].traffic.up_bytes, 50);

    let only = |tenant: &str| Filters { tenant: Some(tenant.to_owned()), ..Filters::default() };
    let rows = usage(&recorder, &[By::Label, By::Tenant], only("app")).await;
    let labels: Vec<_> = rows.iter().map(|row| row.label.as_deref().unwrap()).collect();
    assert_eq!((labels, rows[0].tenant.as_deref()), (vec!["ios", "web"], Some("app")));
    let rows = usage(&recorder, &[], only("")).await;
    assert_eq!((rows.len(), rows[0].traffic.up_bytes), (1, 150));
    let hostile = Filters { user: Some("' or 1=1 --".to_owned()), ..Filters::default() };
    assert!(usage(&recorder, &[], hostile).await.is_empty());
    assert_eq!(recorder.path(), None);
}

#[tokio::test]
async fn usage_is_read_page_by_page() {
    let recorder = Recorder::open(None, Options::default()).unwrap();
    let users = ["ann", "bob", "eve"];
    let live = (1..).zip(users).map(|(serial, user)| live(serial, party(user), 10, 1));
    recorder.observe(live.collect(), NOON);
    let mut seen = Vec::new();
    for offset in 0..4 {
        let (from, to, filters) = (Day::of(NOON), Day::of(NOON), Filters::default());
        let query = Query { from, to, by: vec![By::User], filters, offset, most: 1 };
        let page = recorder.usage(query).await.unwrap();
        assert_eq!(page.is_truncated, offset < 2, "{offset}");
        seen.extend(page.rows.into_iter().filter_map(|row| row.user));
    }
    assert_eq!(seen, users);
}

#[tokio::test]
async fn a_file_is_its_owners_and_outlives_the_recorder() {
    let (_directory, path) = file();
    let recorder = Recorder::open(Some(&path), Options::default()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    recorder.ended(ended(1, party("ann"), 100, 5), NOON);
    // Without a flush: the last handle writes.
    drop(recorder);
    let recorder = Recorder::open(Some(&path), Options::default()).unwrap();
    recorder.ended(ended(1, party("ann"), 11, 5), NOON);
    let rows = usage(&recorder, &[By::User], Filters::default()).await;
    assert_eq!((rows[0].traffic.up_bytes, rows[0].allocations), (111, 2));
    assert_eq!(recorder.lost(), 0);
}

#[tokio::test]
async fn two_processes_that_share_a_file_for_a_while_both_count() {
    let (_directory, path) = file();
    let [old, new] = [(); 2].map(|()| Recorder::open(Some(&path), Options::default()).unwrap());
    for (serial, recorder) in (1..).zip([&old, &new, &old]) {
        recorder.ended(ended(serial, party("ann"), 100, 5), NOON);
        recorder.flush().await.unwrap();
    }
    assert_eq!(usage(&new, &[], Filters::default()).await[0].traffic.up_bytes, 300);
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let recorder = Recorder::open(None, Options::default()).unwrap();
    for serial in 0..2_500 {
        recorder.ended(ended(serial, party("ann"), serial, 5), NOON);
    }
    recorder.ended(Ended { ended_at: NOON + DAY, ..ended(9_999, party("bob"), 1, 5) }, NOON);
    let (mut entries, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = log(&recorder, after, usize::MAX).await;
        entries.extend(page.entries);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((entries.len(), pages), (2_500, 3));
    let names: Vec<_> = entries.iter().map(|entry| entry.allocation.clone()).collect();
    let expected: Vec<_> = (0..2_500).map(|serial| format!("1-{serial:06}")).collect();
    assert_eq!(names, expected);

    let line = serde_json::to_value(&entries[7]).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "allocation": "1-000007", "realm": "example.org", "tenant": null, "user": "ann",
            "label": null, "credential": null, "started_at": NOON - 5, "ended_at": NOON,
            "seconds": 5, "reason": "deleted", "client": "192.0.2.1:1000", "transport": "udp",
            "relayed": ["198.51.100.1:50000", "[2001:db8::1]:50000"], "peers": ["203.0.113.1"],
            "up_packets": 1, "up_bytes": 7, "down_packets": 0, "down_bytes": 0,
        })
    );
}

#[tokio::test]
async fn what_is_old_is_deleted_once_a_day() {
    let recorder = Recorder::open(None, options(3 * DAY, DAY)).unwrap();
    for day in 0..5 {
        let at = NOON + day * DAY;
        let ended = Ended { ended_at: at, ..ended(day, party("ann"), 10, 1) };
        recorder.ended(ended, at);
        recorder.flush().await.unwrap();
    }
    // The first word of a day starts the deletion, which runs beside the rest.
    let days = eventually(
        async || {
            let rows = usage(&recorder, &[By::Day], Filters::default()).await;
            rows.iter().map(|row| row.day.unwrap().to_string()).collect::<Vec<_>>()
        },
        |days| days.len() <= 4,
    )
    .await;
    assert_eq!(days, ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"]);
    let entries = eventually(async || log(&recorder, None, 100).await.entries, |it| it.len() <= 2);
    assert_eq!(entries.await.first().unwrap().ended_at, NOON + 3 * DAY);
}

#[tokio::test]
async fn a_file_that_is_none_is_left_as_it_is_and_named() {
    let (directory, path) = file();
    fs::write(&path, "no database, but somebody's diary; ".repeat(100)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Recorder::open(Some(&path), Options::default()).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("help: "), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let missing = directory.path().join("missing/usage.db");
    let error = Recorder::open(Some(&missing), Options::default()).unwrap_err().to_string();
    assert!(error.contains("make the directory"), "{error}");
    assert!(!missing.parent().unwrap().exists());
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let (_directory, path) = file();
    drop(Recorder::open(Some(&path), Options::default()).unwrap());
    let mut other = connect(&path).await;
    other.execute("update usage_schema set version = 2").await.unwrap();
    other.close().await.unwrap();
    let error = Recorder::open(Some(&path), Options::default()).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_nothing_is_lost() {
    let (_directory, path) = file();
    let recorder = Recorder::open(Some(&path), Options::default()).unwrap();
    recorder.ended(ended(1, party("ann"), 100, 5), NOON);
    recorder.flush().await.unwrap();
    let mut other = connect(&path).await;
    other.execute("begin exclusive").await.unwrap();
    recorder.ended(ended(2, party("ann"), 10, 5), NOON);
    let error = recorder.flush().await.unwrap_err();
    assert!(matches!(error, UsageError::Unavailable(_)), "{error}");
    let begun = Instant::now();
    recorder.ended(ended(3, party("ann"), 1, 5), NOON);
    assert!(begun.elapsed() < Duration::from_millis(100), "its caller waits");
    other.execute("rollback").await.unwrap();
    let rows = usage(&recorder, &[], Filters::default()).await;
    assert_eq!((rows[0].traffic.up_bytes, rows[0].allocations), (111, 3));
    assert_eq!(log(&recorder, None, 100).await.entries.len(), 3);
    assert_eq!(recorder.lost(), 0);
}

#[tokio::test]
async fn a_threshold_calls_once_and_a_restart_does_not_repeat_it() {
    let (_directory, path) = file();
    let hook = FakeWebhook::start(&[204]);
    let options = || with_threshold(1_000, Per::User, &hook.url("/"));
    let recorder = Recorder::open(Some(&path), options()).unwrap();
    recorder.observe(vec![live(1, party("ann"), 999, 5), live(2, party("bob"), 5, 5)], NOON);
    recorder.flush().await.unwrap();
    assert!(hook.is_quiet());
    recorder.observe(vec![live(1, party("ann"), 1_001, 10)], NOON + 5);
    recorder.flush().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!((&event["name"], &event["bytes"]), (&"ann".into(), &1_001.into()));
    assert_eq!((&event["limit"], &event["at"]), (&1_000.into(), &(NOON + 5).into()));
    drop(recorder);

    let recorder = Recorder::open(Some(&path), options()).unwrap();
    recorder.ended(ended(1, party("ann"), 9_000, 5), NOON + 60);
    // Counted over the restart: 5 and 995.
    recorder.ended(ended(2, party("bob"), 995, 5), NOON + 60);
    recorder.flush().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!((&event["name"], &event["bytes"]), (&"bob".into(), &1_000.into()));
    assert!(hook.is_quiet(), "ann's is told once a month");

    // December is another period.
    recorder.ended(ended(3, party("ann"), 1_000, 5), NOON + 9 * DAY);
    recorder.flush().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!((&event["name"], &event["starts"]), (&"ann".into(), &"2026-12-01".into()));
}

#[tokio::test]
async fn what_nobody_was_told_of_is_told_after_a_restart() {
    let (_directory, path) = file();
    let hook = FakeWebhook::start(&[503]);
    let recorder =
        Recorder::open(Some(&path), with_threshold(10, Per::Realm, &hook.url("/"))).unwrap();
    recorder.ended(ended(1, party("ann"), 10, 5), NOON);
    recorder.flush().await.unwrap();
    assert_eq!(hook.next().status, 503);
    drop(recorder);
    let recorder =
        Recorder::open(Some(&path), with_threshold(10, Per::Realm, &hook.url("/"))).unwrap();
    recorder.observe(Vec::new(), NOON + 5);
    let event: serde_json::Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!((&event["name"], &event["at"]), (&"example.org".into(), &NOON.into()));
}

#[tokio::test]
async fn a_threshold_that_is_added_later_counts_what_was_there() {
    let recorder = Recorder::open(None, Options::default()).unwrap();
    let hook = FakeWebhook::start(&[200]);
    recorder.ended(ended(1, party("ann"), 50, 5), NOON);
    recorder.flush().await.unwrap();
    recorder.replace(with_threshold(60, Per::User, &hook.url("/")));
    recorder.ended(ended(2, party("ann"), 10, 5), NOON);
    recorder.flush().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!((&event["name"], &event["bytes"]), (&"ann".into(), &60.into()));
    assert!(hook.is_quiet());
}

/// A look comes every five seconds, so counting and writing one must take much less.
#[tokio::test]
async fn a_hundred_thousand_allocations_of_ten_thousand_users_are_counted_in_time() {
    let (_directory, path) = file();
    let recorder = Recorder::open(Some(&path), Options::default()).unwrap();
    let look = |up_bytes| {
        let of = |n: u64| live(n, party(&format!("user-{}", n % 10_000)), up_bytes, up_bytes);
        (0..100_000).map(of).collect::<Vec<_>>()
    };
    for bytes in 1..=3 {
        let live = look(bytes);
        let begun = Instant::now();
        recorder.observe(live, NOON);
        let handed_over = begun.elapsed();
        recorder.flush().await.unwrap();
        eprintln!("handed over in {handed_over:?}, counted and written in {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    let rows = usage(&recorder, &[By::User], Filters::default()).await;
    let sum: u64 = rows.iter().map(|row| row.traffic.up_bytes).sum();
    assert_eq!((rows.len(), sum), (10_000, 300_000));
}

/// A process of its own counts 1,000 bytes each 100 ms and says so, until it is killed.
#[tokio::test]
async fn a_kill_loses_ten_seconds_at_most() {
    const CHILD: &str = "TURN_USAGE_TEST_FILE";
    const TEST: &str = "recorder::tests::a_kill_loses_ten_seconds_at_most";
    if let Some(path) = std::env::var_os(CHILD) {
        let recorder = Recorder::open(Some(Path::new(&path)), Options::default()).unwrap();
        for tick in 1..600 {
            recorder.observe(vec![live(1, party("ann"), tick * 1_000, tick / 10)], NOON);
            eprintln!("counted {tick}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        return;
    }
    let (_directory, path) = file();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ticks = lines.map_while(Result::ok);
    let mut ticks = ticks.filter_map(|line| line.strip_prefix("counted ")?.parse::<u64>().ok());
    // Three commits have been due, then the fourth one never comes.
    let last = ticks.find(|tick| *tick >= 180).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let recorder = Recorder::open(Some(&path), Options::default()).unwrap();
    let rows = usage(&recorder, &[By::User], Filters::default()).await;
    let kept = rows[0].traffic.up_bytes / 1_000;
    assert!(kept + 100 >= last, "{kept} ticks of 100 ms are kept of {last}");
}

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("usage.db");
    (directory, path)
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
}

/// Asks until `is_there`, and gives the last answer.
async fn eventually<T>(ask: impl AsyncFn() -> T, is_there: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = ask().await;
        if is_there(&answer) || Instant::now() > end {
            return answer;
        }
    }
}

async fn usage(recorder: &Recorder, by: &[By], filters: Filters) -> Vec<UsageRow> {
    let (from, to) = (Day::of(NOON).before(30), Day::of(NOON + 30 * DAY));
    let query = Query { from, to, by: by.to_vec(), filters, offset: 0, most: UsageRows::MOST };
    let answer = recorder.usage(query).await.unwrap();
    assert!(!answer.is_truncated);
    answer.rows
}

async fn log(recorder: &Recorder, after: Option<LogCursor>, most: usize) -> LogPage {
    let (from, to) = (Day::of(NOON).before(30), Day::of(NOON));
    let to = if most == 100 { Day::LAST } else { to };
    recorder.log(LogQuery { from, to, after, most }).await.unwrap()
}

fn options(keep: u64, keep_log: u64) -> Options {
    let [keep, keep_log] = [keep, keep_log].map(Duration::from_secs);
    Options { keep, keep_log, thresholds: Vec::new() }
}

fn with_threshold(bytes: u64, per: Per, url: &str) -> Options {
    let (webhook, period) = (url.to_owned(), Period::Month);
    let threshold = Threshold { bytes, per, name: None, period, webhook, token: None };
    Options { thresholds: vec![threshold], ..Options::default() }
}

fn party(user: &str) -> Party {
    Party { realm: "example.org".to_owned(), user: user.to_owned(), ..Party::default() }
}

fn live(serial: u64, party: Party, up_bytes: u64, seconds: u64) -> Live {
    let traffic = Traffic { up_bytes, up_packets: 1, ..Traffic::default() };
    Live {
        id: AllocationKey { shard: 1, serial },
        party,
        traffic,
        age: Duration::from_secs(seconds),
    }
}

fn ended(serial: u64, party: Party, up_bytes: u64, seconds: u64) -> Ended {
    let Live { id, party, traffic, age } = live(serial, party, up_bytes, seconds);
    Ended {
        id,
        party,
        traffic,
        age,
        started_at: NOON - seconds,
        ended_at: NOON,
        reason: "deleted",
        client: "192.0.2.1:1000".to_owned(),
        transport: "udp",
        relayed: ["198.51.100.1:50000", "[2001:db8::1]:50000"]
            .map(|it| it.parse().unwrap())
            .to_vec(),
        peers: vec!["203.0.113.1".to_owned()],
    }
}
