//! The metrics door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use turn_admin::{MetricsPage, serve_metrics};

use crate::fake::Fake;
use crate::raw::{get, request};

#[tokio::test]
async fn the_page_tells_live_numbers_in_the_text_format() {
    let (address, fake, _) = open(false).await;
    let page = get(address, "/metrics").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    let up = "turn_relayed_packets_total{realm=\"example.org\",tenant=\"app\",direction=\"up\"}";
    assert!(page.body.contains(&format!("{up} 7\n")), "{}", page.body);
    fake.packets.store(9, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let page = get(address, "/metrics").await;
    assert!(page.body.contains(&format!("{up} 9\n")), "{}", page.body);
}

#[tokio::test]
async fn coturns_names_and_its_root_are_behind_the_switch() {
    let (address, _, page) = open(false).await;
    assert!(!get(address, "/metrics").await.body.contains("turn_total_allocations"));
    assert_eq!(get(address, "/").await.status, 404);
    page.replace("/coturn/metrics", true);
    let shown = get(address, "/coturn/metrics").await.body;
    assert!(shown.contains("turn_total_allocations{type=\"TLS/TCP\"} 6\n"), "{shown}");
    assert!(shown.contains("turn_traffic_rcvp{realm=\"example.org\"} 14\n"), "{shown}");
    assert!(shown.contains("turn_total_traffic_peer_rcvb 4200\n"), "{shown}");
    assert!(shown.contains("turn_build_info{version=\"1.2.3\"} 1\n"), "{shown}");
    assert_eq!(get(address, "/metrics").await.status, 404, "the path has moved");
    let root = get(address, "/").await;
    assert_eq!((root.status, root.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn health_readiness_and_version_are_json() {
    let (address, ..) = open(false).await;
    for (path, body) in [
        ("/healthz", r#"{"alive":true}"#),
        ("/readyz", r#"{"ready":true}"#),
        ("/version", r#"{"name":"turnserver","version":"1.2.3"}"#),
    ] {
        let answer = get(address, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
}

#[tokio::test]
async fn r19_a_draining_server_is_alive_and_not_ready() {
    let (address, fake, _) = open(false).await;
    fake.is_draining.store(true, Ordering::SeqCst);
    let ready = get(address, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, r#"{"error":"draining"}"#));
    assert_eq!(get(address, "/healthz").await.status, 200);
    fake.is_hanging.store(true, Ordering::SeqCst);
    assert_eq!(get(address, "/healthz").await.status, 503);
}

#[tokio::test]
async fn nothing_else_is_there_and_nothing_can_be_changed() {
    let (address, fake, _) = open(true).await;
    let admin = ["/status", "/allocations", "/allocations/42", "/drain", "/reload", "/metrics/"];
    for path in admin.into_iter().chain(["//", "/metrics?x=1/../", "/%6detrics"]) {
        let answer = get(address, path).await;
        let expected = if path.starts_with("/metrics?") { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
    for path in ["/drain", "/reload", "/metrics", "/healthz", "/"] {
        for method in ["POST", "DELETE", "PUT"] {
            let text = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            let status = request(address, &text).await.status;
            assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
        }
    }
    assert_eq!(fake.drains.load(Ordering::SeqCst) + fake.reloads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn head_answers_without_a_body() {
    let (address, ..) = open(true).await;
    for path in ["/metrics", "/healthz", "/"] {
        let answer = request(address, &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(answer.head.contains("content-length: "), "{}", answer.head);
    }
}

#[tokio::test]
async fn h30_a_host_changes_nothing_and_no_other_origin_may_read() {
    let (address, ..) = open(false).await;
    let plain = get(address, "/version").await;
    for lines in [
        "Host: evil.example",
        "Host: localhost\r\nOrigin: https://evil.example",
        "Host: a\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example",
    ] {
        let answer = request(address, &format!("GET /version HTTP/1.1\r\n{lines}\r\n\r\n")).await;
        assert_eq!(answer.body, plain.body, "{lines}");
        assert!(!answer.head.contains("evil"), "{}", answer.head);
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
}

#[tokio::test]
async fn h30_what_is_too_large_or_no_http_ends_the_connection() {
    let (address, ..) = open(false).await;
    let long = "x".repeat(20_000);
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    for (text, statuses) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), [414, 431]),
        (format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n"), [414, 431]),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), [431, 431]),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned(), [413, 413]),
        (
            "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            [413, 413],
        ),
        ("\u{0}\u{3}\u{0}\u{0}!\u{12}\r\n\r\n".to_owned(), [400, 400]),
    ] {
        let answer = request(address, &text).await;
        assert!(statuses.contains(&answer.status), "{}: {}", answer.status, &text[..30]);
    }
    assert_eq!(get(address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn h30_a_crowd_of_scrapers_costs_one_look() {
    let (address, fake, _) = open(false).await;
    let scrapers: Vec<_> =
        (0..50).map(|_| tokio::spawn(async move { get(address, "/metrics").await })).collect();
    for scraper in scrapers {
        assert_eq!(scraper.await.unwrap().status, 200);
    }
    let looks = fake.looks.load(Ordering::SeqCst);
    assert!(looks <= 10, "{looks} looks for 50 scrapes");
}

#[tokio::test]
async fn h30_more_than_64_connections_wait_and_are_served_in_the_end() {
    let (address, ..) = open(false).await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /hea").await.unwrap();
        slow.push(client);
    }
    // Until every place is taken, a scrape may still find one.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut late = tokio::spawn(async move { get(address, "/healthz").await });
    let early = timeout(Duration::from_millis(300), &mut late).await;
    assert!(early.is_err(), "there are 64 places");
    slow.truncate(60);
    assert_eq!(late.await.unwrap().status, 200);
}

#[tokio::test]
async fn h30_a_client_that_drips_is_cut_off_after_ten_seconds() {
    let (address, ..) = open(false).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
    let start = Instant::now();
    let dripping = async {
        let mut answer = [0; 256];
        loop {
            tokio::select! {
                read = client.read(&mut answer) => match read {
                    Ok(read) if read > 0 => {}
                    Ok(_) | Err(_) => return,
                },
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    let _ = client.write_all(b"X: y\r\n").await;
                }
            }
        }
    };
    timeout(Duration::from_secs(15), dripping).await.expect("cut off");
    assert!(start.elapsed() > Duration::from_secs(9), "{:?}", start.elapsed());
}

async fn open(coturn_names: bool) -> (SocketAddr, Arc<Fake>, Arc<MetricsPage>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (fake, page) = (Fake::new(), Arc::new(MetricsPage::new("/metrics", coturn_names)));
    let control = Arc::clone(&fake);
    tokio::spawn(serve_metrics(listener, Arc::clone(&page), control, std::future::pending()));
    (address, fake, page)
}
