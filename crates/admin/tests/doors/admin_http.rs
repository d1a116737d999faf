//! The admin door over TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpListener;
use turn_admin::{Access, serve_admin_http};

use crate::fake::Fake;
use crate::raw::{Answer, request};

#[tokio::test]
async fn who_has_the_token_and_asks_for_a_configured_host_is_served() {
    let (address, fake, _) = open().await;
    let own = [HOST, TOKEN];
    assert!(ask(address, "GET /status", &own).await.body.contains("\"pid\":4711"));
    assert!(ask(address, "GET /allocations", &own).await.body.contains("\"tenant\":\"app\""));
    let drain =
        ask(address, "POST /drain", &[HOST, TOKEN, "Origin: http://turn.example.org"]).await;
    assert!(drain.body.contains("\"state\":\"draining\""), "{}", drain.body);
    assert_eq!(fake.drains.load(Ordering::SeqCst), 1);
    assert_eq!(ask(address, "GET /readyz", &own).await.status, 503);
    assert_eq!(ask(address, "GET /metrics", &own).await.status, 200);
}

#[tokio::test]
async fn no_call_of_a_foreign_page_is_answered() {
    let (address, fake, _) = open().await;
    let foreign: [&[&str]; 6] = [
        &[HOST, TOKEN, "Origin: https://evil.example"],
        &[HOST, TOKEN, "Origin: null"],
        &["Host: evil.example", TOKEN],
        &["Host: evil.example:9642", TOKEN, "Origin: http://evil.example:9642"],
        &["Host: turn.example.org.evil.example", TOKEN],
        &[TOKEN],
    ];
    for lines in foreign {
        for route in ROUTES {
            let answer = ask(address, route, lines).await;
            assert_eq!(answer.status, 403, "{route} {lines:?}: {}", answer.body);
            let is_told = answer.body.starts_with("{\"error\":") || route.starts_with("HEAD");
            assert!(is_told, "{route}: {}", answer.body);
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    assert_untouched(&fake);
}

#[tokio::test]
async fn a_preflight_is_refused_without_a_hint() {
    let (address, ..) = open().await;
    let preflight = [HOST, "Origin: https://evil.example", "Access-Control-Request-Method: DELETE"];
    let answer = ask(address, "OPTIONS /allocations/42", &preflight).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
}

#[tokio::test]
async fn an_absolute_target_of_a_foreign_host_is_refused() {
    let (address, ..) = open().await;
    let answer = ask(address, "GET http://evil.example/status", &[HOST, TOKEN]).await;
    assert_eq!(answer.status, 403);
    let answer = ask(address, "GET http://turn.example.org/status", &[HOST, TOKEN]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn without_the_token_nothing_is_answered_not_even_what_exists() {
    let (address, fake, _) = open().await;
    let wrong = ["Authorization: Basic YTpi", "X: y", "Authorization: the right token of ten"];
    for line in wrong {
        for route in ROUTES.into_iter().chain(["GET /nowhere", "PUT /status"]) {
            let answer = ask(address, route, &[HOST, line]).await;
            assert_eq!(answer.status, 401, "{route} {line}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    assert_untouched(&fake);
}

#[tokio::test]
async fn ten_wrong_tokens_silence_an_address_for_a_minute() {
    let (address, fake, _) = open().await;
    for _ in 0..10 {
        let answer = ask(address, "POST /drain", &[HOST, "Authorization: Bearer wrong"]).await;
        assert_eq!(answer.status, 401);
    }
    let answer = ask(address, "POST /drain", &[HOST, TOKEN]).await;
    assert_eq!(answer.status, 429, "even the right one waits");
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert_untouched(&fake);
}

#[tokio::test]
async fn a_rotated_token_is_in_force_without_a_restart() {
    let (address, _, access) = open().await;
    access.replace(["the token of tomorrow"], ["turn.example.org"]);
    assert_eq!(ask(address, "GET /status", &[HOST, TOKEN]).await.status, 401);
    let tomorrow = [HOST, "Authorization: Bearer the token of tomorrow"];
    assert_eq!(ask(address, "GET /status", &tomorrow).await.status, 200);
}

const HOST: &str = "Host: turn.example.org:9642";
const TOKEN: &str = "Authorization: Bearer the right token of ten";
const ROUTES: [&str; 11] = [
    "GET /status",
    "GET /allocations",
    "DELETE /allocations/42",
    "GET /drain",
    "POST /drain",
    "POST /reload",
    "GET /metrics",
    "GET /healthz",
    "GET /readyz",
    "GET /version",
    "HEAD /status",
];

fn assert_untouched(fake: &Fake) {
    let touched = [&fake.drains, &fake.reloads, &fake.ended, &fake.looks];
    assert_eq!(touched.map(|count| count.load(Ordering::SeqCst)), [0; 4]);
}

async fn ask(address: SocketAddr, route: &str, lines: &[&str]) -> Answer {
    request(address, &format!("{route} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"))).await
}

async fn open() -> (SocketAddr, Arc<Fake>, Arc<Access>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Fake::new();
    let access = Arc::new(Access::new(["the right token of ten"], ["turn.example.org"]));
    let control = Arc::clone(&fake);
    tokio::spawn(serve_admin_http(listener, Arc::clone(&access), control, std::future::pending()));
    (address, fake, access)
}
