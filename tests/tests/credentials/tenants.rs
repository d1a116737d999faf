//! Whose credentials they are: the tenant of a key is the tenant in metrics and usage, a tag the label.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use turn_client::{AllocateOptions, Credentials};
use turn_tests::system::{
    EchoThread, HttpRequest, IceServer, channel, connect, http_get, http_unix,
};

use crate::{Issuing, OTHER, PAGE_KEY, SECOND, Terms, relay};

/// Messages of a call, each of 1,000 bytes and sent back.
const MESSAGES: u64 = 50;

#[test]
fn a_keys_tenant_is_the_tenant_in_metrics_and_usage_and_a_tag_is_the_label() {
    let issuing = Issuing::start(Terms::default());
    let of = |request: HttpRequest| {
        relay(&IceServer::read_all(issuing.ask(&request).json().get("iceServers").unwrap()))
    };
    let page = HttpRequest::get(format!("/v1/credentials?apiKey={PAGE_KEY}"));
    let calls = [
        issuing.of_app("user=alice&tag=web-2.call_7"),
        issuing.of_app("user=alice"),
        of(page.header("Origin", "https://app.example.org")),
        of(HttpRequest::get("/v1/credentials?user=bob").bearer(OTHER.1)),
        of(HttpRequest::get("/v1/credentials").bearer(OTHER.1)),
    ];
    let echo = EchoThread::start();
    for server in &calls {
        let (name, password) =
            (server.username.clone().unwrap(), server.credential.clone().unwrap());
        let mut client = connect(issuing.server, Credentials::password(name, password));
        client.allocate(&AllocateOptions::default()).unwrap();
        client.bind_channel(channel(0), echo.address()).unwrap();
        for _ in 0..MESSAGES {
            client.send_channel(channel(0), &[7; 1_000]).unwrap();
            assert_eq!(client.receive(SECOND).unwrap().data.len(), 1_000);
        }
        client.refresh(Duration::ZERO).unwrap();
    }
    let visitor = calls[2].username.as_deref().unwrap().split_once(':').unwrap().1;
    assert!(visitor.starts_with("web-"), "{visitor}");
    let expected = [
        ("", "", "", 1),
        ("", "bob", "", 1),
        ("app", "alice", "", 1),
        ("app", "alice", "web-2.call_7", 1),
        ("web", visitor, "", 1),
    ];
    expect_rows(&issuing, "by=tenant,user,label", &expected);
    expect_rows(&issuing, "by=tenant", &[("", "", "", 2), ("app", "", "", 2), ("web", "", "", 1)]);
    expect_rows(&issuing, "by=label&tenant=app", &[("", "", "", 1), ("", "", "web-2.call_7", 1)]);
    expect_rows(&issuing, "by=user&user=alice", &[("", "alice", "", 2)]);

    // Shards tell their figures once a second or so.
    let deadline = Instant::now() + 10 * SECOND;
    loop {
        let metrics = http_get(issuing.metrics, "/metrics").unwrap().body;
        let holds = [
            "turn_allocations_created_total{realm=\"example.org\",tenant=\"app\"} 2",
            "turn_allocations_created_total{realm=\"example.org\",tenant=\"web\"} 1",
            "turn_credentials_issued_total{key=\"app\"} 2",
            "turn_credentials_issued_total{key=\"other\"} 2",
            "turn_credentials_issued_total{key=\"browser:web\"} 1",
        ];
        let missing: Vec<_> = holds.into_iter().filter(|line| !metrics.contains(line)).collect();
        if missing.is_empty() {
            // Neither users nor labels, which are without number, nor keys.
            assert!(!metrics.contains("alice") && !metrics.contains("call_7"), "{metrics}");
            assert!(!metrics.contains(PAGE_KEY), "{metrics}");
            break;
        }
        assert!(Instant::now() < deadline, "{missing:?}: {metrics}");
        thread::sleep(SECOND / 10);
    }
}

/// Waits for these rows of usage: tenant, user, label, and how many calls.
#[track_caller]
fn expect_rows(issuing: &Issuing, query: &str, expected: &[(&str, &str, &str, u64)]) {
    let path = format!("/api/v1/usage?{query}");
    let deadline = Instant::now() + 10 * SECOND;
    loop {
        let answer = http_unix(&issuing.socket, "GET", &path).unwrap().json();
        let rows = answer.get("rows").and_then(Value::as_array).unwrap();
        let of = |row: &Value, name: &str| {
            row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_u64).unwrap();
        let mut told: Vec<_> = rows
            .iter()
            .map(|row| {
                let bytes = [number(row, "up_bytes"), number(row, "down_bytes")];
                (of(row, "tenant"), of(row, "user"), of(row, "label"), bytes)
            })
            .collect();
        told.sort();
        let expected: Vec<_> = expected
            .iter()
            .map(|(tenant, user, label, calls)| {
                let bytes = calls * MESSAGES * 1_000;
                ((*tenant).to_owned(), (*user).to_owned(), (*label).to_owned(), [bytes, bytes])
            })
            .collect();
        if told == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{query}: {told:?} and not {expected:?}");
        thread::sleep(SECOND / 10);
    }
}
