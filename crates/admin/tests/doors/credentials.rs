//! The credentials door: who is let in, and what they may choose.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use turn_admin::{CredentialSettings, IssueError, SourceRate};

use crate::fake_issuer::{BEARER, CredentialsDoor, ORIGIN, settings};
use crate::raw::Answer;

#[tokio::test]
async fn an_application_chooses_user_tag_and_time() {
    let door = CredentialsDoor::open(&settings()).await;
    let body = r#"{"user":"@alice:example.org","tag":"web-1","ttl":60}"#;
    let answer = door.ask("POST /v1/credentials", &[BEARER], body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let wish = door.issuer.last();
    assert_eq!(wish.user.as_deref(), Some("@alice:example.org"));
    assert_eq!(wish.tag.as_deref(), Some("web-1"));
    assert_eq!(wish.ttl, Duration::from_secs(60));
    assert_eq!(
        (wish.realm.as_deref(), wish.tenant.as_deref()),
        (Some("example.org"), Some("acme"))
    );
    let servers = value(&answer)["iceServers"].clone();
    assert_eq!(servers[1]["username"], json!("1588300977:@alice:example.org#web-1"));

    let answer = door
        .ask("GET /v1/credentials", &["Authorization: Basic YXBwOnRoZSBrZXkgb2YgdGhlIGFwcA=="], "")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let wish = door.issuer.last();
    assert_eq!((wish.user, wish.tag, wish.ttl), (None, None, Duration::from_secs(3600)));
}

#[tokio::test]
async fn an_application_has_bounds_and_is_told_them() {
    let door = CredentialsDoor::open(&settings()).await;
    let long = format!("user={}", "x".repeat(257));
    for (query, told) in [
        ("ttl=86401", "ttl is 1 to 86400 seconds here"),
        ("ttl=86401", "credentials.max_ttl"),
        ("ttl=0", "ttl is 1 to 86400"),
        ("ttl=18446744073709551616", "ttl is no number"),
        ("user=a%23b", "this is no user name"),
        ("user=a%0Ab", "this is no user name"),
        ("user=", "this is no user name"),
        (&long, "this is no user name"),
        ("tag=a%20b", "this is no tag"),
        ("format=xml", "format is none of"),
        ("user=a&user=b", "user stands there twice"),
        ("service=mail", "no such service"),
    ] {
        let answer = door.ask(&format!("GET /v1/credentials?{query}"), &[BEARER], "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert!(answer.body.contains(told), "{query}: {}", answer.body);
    }
    assert_eq!(door.issuer.count(), 0);
    assert_eq!(door.ask("GET /v1/credentials?ttl=86400", &[BEARER], "").await.status, 200);
}

#[tokio::test]
async fn without_a_key_of_ours_nothing_is_issued() {
    let door = CredentialsDoor::open(&settings()).await;
    for lines in [
        &[][..],
        &["Authorization: Bearer the key of the ap"],
        &["Authorization: Bearer "],
        &["Authorization: Digest x"],
        // The right key under another name.
        &["Authorization: Basic b3RoZXI6dGhlIGtleSBvZiB0aGUgYXBw"],
        &[BEARER, "Authorization: Bearer x"],
        &["X-Api-Key: pagekey", ORIGIN],
        &["Cookie: key=pagekey1", ORIGIN],
    ] {
        let answer = door.ask("POST /v1/credentials", lines, "").await;
        assert_eq!(answer.status, 401, "{lines:?}: {}", answer.body);
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(value(&answer)["help"].is_string(), "{}", answer.body);
    }
    let of_another = "POST /v1/turn/keys/other/credentials/generate-ice-servers";
    assert_eq!(door.ask(of_another, &[BEARER], "").await.status, 401, "the key of another id");
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn ten_wrong_keys_silence_an_address_but_not_those_who_come_another_way() {
    let door = CredentialsDoor::open(&settings()).await;
    for guess in 0..10 {
        let route = format!("GET /v1/credentials?apiKey=guess{guess}");
        assert_eq!(door.ask(&route, &[ORIGIN], "").await.status, 401);
    }
    let answer = door.ask("GET /v1/credentials?apiKey=pagekey1", &[ORIGIN], "").await;
    assert_eq!(answer.status, 429, "even the right one waits");
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert_eq!(door.ask("GET /v1/credentials", &[BEARER], "").await.status, 200);
    let refused = door.keys.refused();
    let count = |word: &str| refused.iter().find(|of| of.word == word).map(|of| of.count);
    assert_eq!((count("wrong_key"), count("held_back")), (Some(10), Some(1)));
}

#[tokio::test]
async fn a_source_has_its_rate() {
    let rate = SourceRate { events: 1, period: Duration::from_secs(60), burst: 3 };
    let door = CredentialsDoor::open(&CredentialSettings { rate: Some(rate), ..settings() }).await;
    for _ in 0..3 {
        assert_eq!(door.ask("GET /v1/credentials", &[BEARER], "").await.status, 200);
    }
    let answer = door.ask("GET /v1/credentials", &[BEARER, ORIGIN], "").await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.body.contains("credentials.rate"), "{}", answer.body);
    let shown = answer.head.contains("access-control-allow-origin: https://app.example");
    assert!(shown, "a page can read why: {}", answer.head);
    let slow: u64 = answer
        .head
        .split("retry-after: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=61).contains(&slow), "{slow}");
}

#[tokio::test]
async fn exchanged_keys_are_in_force_at_once_and_counters_do_not_fall() {
    let door = CredentialsDoor::open(&settings()).await;
    assert_eq!(door.ask("GET /v1/credentials", &[BEARER], "").await.status, 200);
    let mut other = settings();
    other.server_keys[0].key = "the key of tomorrow".to_owned();
    other.server_keys[0].id = "tomorrow".to_owned();
    door.keys.replace(&other);
    assert_eq!(door.ask("GET /v1/credentials", &[BEARER], "").await.status, 401);
    let tomorrow = "Authorization: Bearer the key of tomorrow";
    assert_eq!(door.ask("GET /v1/credentials", &[tomorrow], "").await.status, 200);
    let issued: Vec<(String, u64)> =
        door.keys.issued().into_iter().map(|of| (of.word, of.count)).collect();
    let expected = [("app", 1), ("browser:visitor", 0), ("browser:web", 0), ("tomorrow", 1)];
    assert_eq!(issued, expected.map(|(word, count)| (word.to_owned(), count)));
}

#[tokio::test]
async fn an_issuer_that_cannot_says_why() {
    let door = CredentialsDoor::open(&settings()).await;
    for (error, status, told) in [
        (IssueError::NoSecret, 503, "auth.secrets"),
        (IssueError::NoRealm, 503, "realm"),
        (IssueError::Draining, 503, "drains"),
        (IssueError::BadUser, 400, "user name"),
    ] {
        *door.issuer.refuses.lock().unwrap() = Some(error);
        let answer = door.ask("GET /v1/credentials", &[BEARER], "").await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(told), "{}", answer.body);
    }
    assert_eq!(door.keys.issued().iter().map(|of| of.count).sum::<u64>(), 0);
}

#[tokio::test]
async fn no_debug_form_tells_a_key() {
    let door = CredentialsDoor::open(&settings()).await;
    let shown = format!("{:?} {:?}", settings(), door.keys);
    assert!(shown.contains("app.example"), "{shown}");
    assert!(!shown.contains("the key of the app") && !shown.contains("pagekey"), "{shown}");
}

#[tokio::test]
async fn nothing_of_an_operator_is_behind_this_door() {
    let door = CredentialsDoor::open(&settings()).await;
    for (method, path) in crate::openapi::admin_routes() {
        for method in [method.as_str(), "GET", "POST", "DELETE", "PUT", "OPTIONS"] {
            for lines in [&[][..], &[BEARER], &[ORIGIN, "Access-Control-Request-Method: POST"]] {
                let answer = door.ask(&format!("{method} {path}"), lines, "").await;
                assert_eq!(answer.status, 404, "{method} {path} {lines:?}: {}", answer.body);
            }
        }
    }
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn what_is_too_large_or_too_slow_ends() {
    let door = CredentialsDoor::open(&settings()).await;
    let large = format!(r#"{{"user":"{}"}}"#, "x".repeat(5000));
    let answer = door.ask("POST /v1/credentials", &[BEARER], &large).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    let answer = door.ask("GET /v1/credentials", &[BEARER], "user=a").await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    let crowd = crowd(door.address).await;
    assert!((60..=64).contains(&crowd), "{crowd} connections of one source");
}

/// How many of 80 silent connections from one source are kept open.
async fn crowd(address: SocketAddr) -> usize {
    let mut open = Vec::new();
    for _ in 0..80 {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    // Those past the bound are closed, however busy this machine is; the others have ten seconds.
    let deadline = Instant::now() + Duration::from_secs(5);
    while open.len() > 64 && Instant::now() < deadline {
        let mut kept = Vec::new();
        for mut stream in open {
            let read = timeout(Duration::from_millis(1), stream.read(&mut [0])).await;
            if read.is_err() {
                kept.push(stream);
            }
        }
        open = kept;
    }
    let kept = open.len();
    // One that leaves makes room for the next.
    drop(open.remove(0));
    let room = async {
        loop {
            let mut next = TcpStream::connect(address).await.unwrap();
            let asked = next.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
            let mut answer = Vec::new();
            if asked.is_ok() && next.read_to_end(&mut answer).await.is_ok_and(|read| read > 0) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), room).await.expect("room for one more");
    kept
}

fn value(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}
