//! The credentials door for pages: browser keys, origins and CORS.

use std::time::Duration;

use serde_json::Value;

use crate::fake_issuer::{BEARER, CredentialsDoor, ORIGIN, settings};

#[tokio::test]
async fn a_page_of_its_origin_gets_a_credential_and_may_read_it() {
    let door = CredentialsDoor::open(&settings()).await;
    for (route, lines) in [
        ("GET /v1/credentials?apiKey=pagekey1", &[ORIGIN][..]),
        ("GET /api/v1/turn/credentials?apiKey=pagekey1&region=eu", &[ORIGIN]),
        ("GET /turn?service=turn&username=root&key=pagekey1", &[ORIGIN]),
        ("POST /v1/credentials", &[ORIGIN, "X-Api-Key: pagekey1"]),
        ("POST /v1/credentials", &[ORIGIN, "Authorization: Bearer pagekey1"]),
        ("GET /v1/credentials?apiKey=pagekey1", &["Origin: http://localhost:8080"]),
    ] {
        let answer = door.ask(route, lines, "").await;
        assert_eq!(answer.status, 200, "{route}: {}", answer.body);
        let origin = lines[0].to_lowercase().replace("origin", "access-control-allow-origin");
        assert!(answer.head.contains(&format!("{origin}\r\n")), "{}", answer.head);
        assert!(answer.head.contains("vary: origin"), "{}", answer.head);
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        assert!(!answer.head.contains("allow-credentials"), "{}", answer.head);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
    assert_eq!(door.issuer.count(), 6);
}

#[tokio::test]
async fn what_a_page_says_about_user_and_time_changes_nothing() {
    let door = CredentialsDoor::open(&settings()).await;
    let route = "GET /v1/credentials?apiKey=pagekey1&user=root&tag=a&ttl=86400";
    assert_eq!(door.ask(route, &[ORIGIN], "").await.status, 200);
    let first = door.issuer.last();
    let user = first.user.clone().unwrap();
    let (name, visitor) = user.split_once('-').unwrap();
    assert_eq!((name, visitor.len()), ("web", 12), "{user}");
    assert!(!user.contains("127"), "the address is told to nobody");
    assert_eq!((first.tag, first.ttl), (None, Duration::from_secs(600)));
    // The same visitor has the same name, and so one quota.
    assert_eq!(door.ask(route, &[ORIGIN], "").await.status, 200);
    assert_eq!(door.issuer.last().user, Some(user));
    let other = "GET /v1/credentials?apiKey=pagekey2";
    assert_eq!(door.ask(other, &["Origin: https://other.example"], "").await.status, 200);
    let second = door.issuer.last();
    assert!(second.user.is_some_and(|user| user.starts_with("visitor-")));
    assert_eq!((second.tenant.as_deref(), second.ttl), (Some("other"), Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_foreign_page_gets_nothing() {
    let door = CredentialsDoor::open(&settings()).await;
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "http://app.example",
        "https://app.example:8443",
        "https://APP.example.",
        "null",
        "",
        "*",
    ] {
        let line = format!("Origin: {origin}");
        let answer = door.ask("GET /v1/credentials?apiKey=pagekey1", &[&line], "").await;
        assert_eq!(answer.status, 403, "{origin}: {}", answer.body);
        assert!(!answer.head.contains("access-control"), "{origin}: {}", answer.head);
        assert!(!answer.body.contains("password"), "{}", answer.body);
    }
    let two = [ORIGIN, "Origin: https://evil.example"];
    assert_eq!(door.ask("GET /v1/credentials?apiKey=pagekey1", &two, "").await.status, 403);
    // A page that has a key of its own, and another page's key.
    let other = door.ask("GET /v1/credentials?apiKey=pagekey2", &[ORIGIN], "").await;
    assert_eq!(other.status, 403);
    let none = door.ask("GET /v1/credentials?apiKey=pagekey1", &[], "").await;
    assert_eq!(none.status, 403, "no origin is none of its origins");
    assert!(none.body.contains("names no origin"), "{}", none.body);
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn a_server_key_in_a_page_is_refused() {
    let door = CredentialsDoor::open(&settings()).await;
    for lines in [[BEARER, ORIGIN], [BEARER, "Origin: https://evil.example"]] {
        let answer = door.ask("POST /v1/credentials", &lines, "").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("exchange the key"), "{}", answer.body);
    }
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn a_browser_key_opens_no_route_of_applications() {
    let door = CredentialsDoor::open(&settings()).await;
    for route in [
        "POST /v1/turn/keys/pagekey1/credentials/generate-ice-servers",
        "POST /v1/turn/keys/app/credentials/generate",
        "POST /2010-04-01/Accounts/web/Tokens.json",
    ] {
        let lines = [ORIGIN, "Authorization: Bearer pagekey1"];
        let answer = door.ask(route, &lines, "").await;
        assert_eq!(answer.status, 403, "{route}: {}", answer.body);
    }
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn a_preflight_of_a_known_page_is_answered_and_no_other() {
    let door = CredentialsDoor::open(&settings()).await;
    let wanted = "Access-Control-Request-Method: POST";
    let answer = door.ask("OPTIONS /v1/credentials", &[ORIGIN, wanted], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    for line in [
        "access-control-allow-origin: https://app.example\r\n",
        "access-control-allow-methods: get, post\r\n",
        "access-control-allow-headers: authorization, content-type, x-api-key\r\n",
        "access-control-max-age: 600\r\n",
        "vary: origin",
    ] {
        assert!(format!("{}\r\n", answer.head).contains(line), "{line}: {}", answer.head);
    }
    let foreign =
        door.ask("OPTIONS /v1/credentials", &["Origin: https://evil.example", wanted], "").await;
    assert_eq!(foreign.status, 403);
    assert!(!foreign.head.contains("access-control"), "{}", foreign.head);
    assert_eq!(door.ask("OPTIONS /v1/credentials", &[ORIGIN], "").await.status, 405);
    assert_eq!(door.ask("OPTIONS /nowhere", &[ORIGIN, wanted], "").await.status, 404);
    assert_eq!(door.issuer.count(), 0);
}

#[tokio::test]
async fn any_origin_is_an_origin_all_the_same() {
    let mut open = settings();
    open.browser_keys[0].origins = vec!["*".to_owned()];
    let door = CredentialsDoor::open(&open).await;
    let route = "GET /v1/credentials?apiKey=pagekey1";
    let answer = door.ask(route, &["Origin: https://anybody.example"], "").await;
    assert_eq!(answer.status, 200);
    let exact = "access-control-allow-origin: https://anybody.example\r\n";
    assert!(answer.head.contains(exact), "{}", answer.head);
    assert_eq!(door.ask(route, &[], "").await.status, 403);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["ttl"], 600);
}
