//! Usage: what is told is what was moved, for everybody who is told apart, after a crash too.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use turn_tests::system::{EchoThread, HttpRequest, Inbox, channel};

use crate::amount::Amount;
use crate::{Account, Keeper, REALM, SECOND, labelled, number, text};

/// What a look at live allocations and the write behind it may take.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn usage_is_what_was_moved_and_both_sides_of_a_call_count() {
    let keeper = Keeper::start("");
    let (shop, desk) = (keeper.create(&labelled("shop")), keeper.create(&labelled("desk")));
    let echo = EchoThread::start();
    let (mut left, at_left) = keeper.allocated(&shop);
    let (mut right, at_right) = keeper.allocated(&shop);
    let (mut other, _) = keeper.allocated(&desk);
    for client in [&mut left, &mut other] {
        client.bind_channel(channel(0), echo.address()).unwrap();
    }
    left.bind_channel(channel(1), at_right.relayed).unwrap();
    right.bind_channel(channel(1), at_left.relayed).unwrap();

    let mut of_shop = Amount::spoken(&mut left, &mut right, 1_000);
    of_shop += Amount::echoed(&mut left, 500, 700);
    let of_desk = Amount::echoed(&mut other, 100, 1_200);
    // While they live.
    keeper.expect_usage(&format!("user={}", shop.username), of_shop);
    of_shop += Amount::echoed(&mut left, 50, 64);
    // And when they have ended; nothing counts twice.
    for client in [&mut left, &mut right, &mut other] {
        client.refresh(Duration::ZERO).unwrap();
    }
    for query in [
        format!("by=user&user={}", shop.username),
        format!("by=credential&credential={}", shop.username),
        "by=label&label=shop".to_owned(),
        "by=day,label,user&label=shop".to_owned(),
    ] {
        keeper.expect_usage(&query, of_shop);
    }
    keeper.expect_usage("by=label&label=desk", of_desk);
    let mut of_all = of_shop;
    of_all += of_desk;
    for query in ["", "by=realm", "by=day", "by=tenant&tenant=", "by=day,user,label,credential"] {
        keeper.expect_usage(query, of_all);
    }

    let rows = keeper.usage("by=user,label,credential,realm,tenant");
    assert_eq!(rows.len(), 2, "{rows:?}");
    let row = rows.iter().find(|row| text(row, "label").as_deref() == Some("shop")).unwrap();
    for (name, expected) in [
        ("user", shop.username.as_str()),
        ("credential", shop.username.as_str()),
        ("realm", REALM),
        ("tenant", ""),
    ] {
        assert_eq!(text(row, name).as_deref(), Some(expected), "{row}");
    }
    assert_eq!(number(row, "allocations"), 2, "{row}");
    assert!(keeper.usage("by=user&label=nobody").is_empty());
    assert!(keeper.usage("from=2020-01-01&to=2020-12-31&by=day").is_empty());
}

#[test]
fn the_allocation_log_is_json_lines_by_date() {
    let keeper = Keeper::start("");
    let shop = keeper.create(&labelled("shop"));
    let echo = EchoThread::start();
    let mut moved = Vec::new();
    for n in 1..=3 {
        let (mut client, allocation) = keeper.allocated(&shop);
        client.bind_channel(channel(0), echo.address()).unwrap();
        let amount = Amount::echoed(&mut client, 10 * n, 500);
        client.refresh(Duration::ZERO).unwrap();
        moved.push((allocation.relayed.to_string(), amount));
    }
    let days = keeper.usage("by=day");
    let [first, last] = [days.first(), days.last()].map(|row| text(row.unwrap(), "day").unwrap());
    let log = |from: &str, to: &str| {
        let path = format!("/api/v1/usage/allocations?from={from}&to={to}");
        let answer = keeper.ask(&HttpRequest::get(path));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type").next(), Some("application/x-ndjson"));
        let lines = answer.body.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let lines = log(&first, &last);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, (relayed, amount)) in lines.iter().zip(&moved) {
        assert_eq!(line.pointer("/relayed/0").and_then(Value::as_str), Some(relayed.as_str()));
        assert_eq!(Amount::of(std::slice::from_ref(line)), *amount, "{line}");
        for (name, expected) in [
            ("realm", REALM),
            ("user", shop.username.as_str()),
            ("credential", shop.username.as_str()),
            ("label", "shop"),
            ("transport", "udp"),
        ] {
            assert_eq!(text(line, name).as_deref(), Some(expected), "{line}");
        }
        assert!(number(line, "ended_at") >= number(line, "started_at"), "{line}");
        assert!(text(line, "reason").is_some_and(|reason| !reason.is_empty()), "{line}");
    }
    assert!(log("2020-01-01", "2020-12-31").is_empty());
    for wrong in ["from=2026-11-02&to=2026-11-01", "from=yesterday", "from=2026-02-30", "day=1"] {
        for path in ["/api/v1/usage", "/api/v1/usage/allocations"] {
            let answer = keeper.ask(&HttpRequest::get(format!("{path}?{wrong}")));
            assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
            assert!(answer.json().get("help").is_some(), "{answer:?}");
        }
    }
}

#[test]
fn a_crash_loses_ten_seconds_of_usage_at_most() {
    let keeper = Keeper::start("");
    let shop = keeper.create(&labelled("shop"));
    let echo = EchoThread::start();
    let (mut client, _) = keeper.allocated(&shop);
    client.bind_channel(channel(0), echo.address()).unwrap();
    let start = Instant::now();
    let mut moved = Vec::new();
    let mut all = Amount::default();
    while start.elapsed() < 17 * SECOND {
        all += Amount::echoed(&mut client, 1, 1_000);
        moved.push((start.elapsed(), all.up_bytes));
        thread::sleep(SECOND / 100);
    }
    let end = start.elapsed();
    let keeper = keeper.again("KILL");
    let kept = Amount::of(&keeper.usage("label=shop"));
    let at = |bytes: u64| moved.iter().find(|(_, sum)| *sum >= bytes).map_or(end, |(at, _)| *at);
    let lost = end - at(kept.up_bytes);
    eprintln!("of {end:?} and {} bytes {lost:?} were lost", all.up_bytes);
    assert!(kept.up_bytes > 0 && lost < 10 * SECOND, "{lost:?} of {end:?}: {kept:?} of {all:?}");
    assert!(kept.up_bytes <= all.up_bytes && kept.down_bytes <= all.down_bytes, "{kept:?}");
    // The credential is there, and what comes now is added.
    let (mut client, _) = keeper.allocated(&shop);
    client.bind_channel(channel(0), echo.address()).unwrap();
    let mut all = kept;
    all += Amount::echoed(&mut client, 10, 100);
    client.refresh(Duration::ZERO).unwrap();
    keeper.expect_usage("label=shop", all);
}

#[test]
fn a_threshold_calls_its_webhook_once_and_not_again_after_a_restart() {
    const TOKEN: &str = "a-token-of-sixteen-bytes";
    let webhook = Inbox::start("");
    let keeper = Keeper::start(&format!(
        "thresholds = [{{ bytes = \"100 kB\", per = \"label\", name = \"shop\", period = \"month\", \
         webhook = \"{}/turn-usage?key=hush\", token = \"{TOKEN}\" }}]",
        webhook.origin()
    ));
    let (shop, desk) = (keeper.create(&labelled("shop")), keeper.create(&labelled("desk")));
    let echo = EchoThread::start();
    let speak = |keeper: &Keeper, account: &Account, messages| {
        let (mut client, _) = keeper.allocated(account);
        client.bind_channel(channel(0), echo.address()).unwrap();
        let amount = Amount::echoed(&mut client, messages, 1_000);
        client.refresh(Duration::ZERO).unwrap();
        amount
    };
    speak(&keeper, &desk, 100);
    let mut all = speak(&keeper, &shop, 40);
    keeper.expect_usage("label=shop", all);
    assert!(webhook.next(SECOND).is_none(), "called below the threshold");
    all += speak(&keeper, &shop, 20);
    let letter = webhook.next(SOON).unwrap();
    assert!(letter.head.starts_with("POST /turn-usage?key=hush HTTP/1.1\r\n"), "{letter:?}");
    let bearer = format!("authorization: bearer {TOKEN}\r\n");
    assert!(letter.head.to_lowercase().contains(&bearer), "{letter:?}");
    let event = letter.json();
    for (name, expected) in
        [("event", "usage.threshold"), ("per", "label"), ("name", "shop"), ("period", "month")]
    {
        assert_eq!(text(&event, name).as_deref(), Some(expected), "{event}");
    }
    assert_eq!(number(&event, "limit"), 100_000, "{event}");
    let bytes = number(&event, "bytes");
    assert!((100_000..=all.up_bytes + all.down_bytes).contains(&bytes), "{event}");

    speak(&keeper, &shop, 200);
    assert!(webhook.next(7 * SECOND).is_none(), "called twice");
    let mut keeper = keeper;
    for signal in ["TERM", "KILL"] {
        let output = keeper.daemon.output();
        assert!(!output.contains("hush") && !output.contains(TOKEN), "{output}");
        keeper = keeper.again(signal);
        speak(&keeper, &shop, 50);
        assert!(webhook.next(7 * SECOND).is_none(), "called again after SIG{signal}");
    }
}

impl Keeper {
    /// Waits until rows of usage tell together what was moved.
    #[track_caller]
    fn expect_usage(&self, query: &str, moved: Amount) {
        let deadline = Instant::now() + SOON;
        loop {
            let rows = self.usage(query);
            let told = Amount::of(&rows);
            if told == moved {
                return;
            }
            let is_too_much = told.up_bytes > moved.up_bytes || told.down_bytes > moved.down_bytes;
            let is_over = Instant::now() > deadline;
            assert!(!is_too_much && !is_over, "{query}: {told:?} and not {moved:?}: {rows:?}");
            thread::sleep(SECOND / 10);
        }
    }
}
