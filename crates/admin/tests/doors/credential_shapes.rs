//! Each route of the credentials door, read as the clients of its maker read it.

use serde_json::{Value, json};

use crate::fake_issuer::{BEARER, CredentialsDoor, ORIGIN, settings};

const STUN: &str = "stun:turn.example:3478";
const UDP: &str = "turn:turn.example:3478?transport=udp";
const TLS: &str = "turns:turn.example:5349?transport=tcp";

#[tokio::test]
async fn our_own_in_every_format() {
    let door = CredentialsDoor::open(&settings()).await;
    let ask = async |format: &str| {
        let route = format!("GET /v1/credentials?user=alice&ttl=60{format}");
        let answer = door.ask(&route, &[BEARER], "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let (user, password) = ("1588300977:alice", "the password");
    let w3c = json!({ "ttl": 60, "iceServers": [
        { "urls": [STUN] },
        { "urls": [UDP, TLS], "username": user, "credential": password },
    ] });
    assert_eq!(ask("").await, w3c);
    assert_eq!(ask("&format=w3c").await, w3c);
    assert_eq!(ask("&format=array").await, list(user));
    let rest = json!({ "username": user, "password": password, "ttl": 60, "uris": [UDP, TLS] });
    assert_eq!(ask("&format=rest").await, rest);
    assert_eq!(ask("&format=twilio").await["ice_servers"][1]["url"], json!(UDP));
}

#[tokio::test]
async fn links_as_rfc_9725_has_them() {
    let door = CredentialsDoor::open(&settings()).await;
    let route = "GET /v1/credentials?format=link&apiKey=pagekey1";
    let answer = door.ask(route, &[ORIGIN], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let links: Vec<&str> =
        answer.head.lines().filter_map(|line| line.strip_prefix("link: ")).collect();
    assert_eq!(links.len(), 3, "{}", answer.head);
    assert_eq!(links[0], format!("<{STUN}>; rel=\"ice-server\""));
    assert!(
        links[1].starts_with(&format!("<{UDP}>; rel=\"ice-server\"; username=\"1588300977:web-"))
    );
    assert!(links[1].ends_with("; credential=\"the password\"; credential-type=\"password\""));
    assert!(links[2].starts_with(&format!("<{TLS}>; ")));
    assert!(answer.head.contains("access-control-expose-headers: link, retry-after"));
}

#[tokio::test]
async fn as_cloudflare() {
    let door = CredentialsDoor::open(&settings()).await;
    let body = r#"{"ttl": 86400, "customIdentifier": "call-7"}"#;
    let lines = [BEARER, "Content-Type: application/json"];
    let route = "POST /v1/turn/keys/app/credentials/generate-ice-servers";
    let answer = door.ask(route, &lines, body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let user = "1588300977:#call-7";
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        value,
        json!({ "iceServers": [
            { "urls": [STUN] },
            { "urls": [UDP, TLS], "username": user, "credential": "the password" },
        ] })
    );
    assert_eq!(door.issuer.last().tag.as_deref(), Some("call-7"));
    assert_eq!(door.issuer.last().ttl.as_secs(), 86_400);

    let answer = door.ask("POST /v1/turn/keys/app/credentials/generate", &lines, body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        value,
        json!({ "iceServers":
            { "urls": [STUN, UDP, TLS], "username": user, "credential": "the password" } })
    );
}

#[tokio::test]
async fn as_metered() {
    let door = CredentialsDoor::open(&settings()).await;
    let route = "GET /api/v1/turn/credentials?apiKey=pagekey1&region=global";
    let answer = door.ask(route, &[ORIGIN], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    let user = format!("1588300977:{}", door.issuer.last().user.unwrap());
    assert_eq!(value, list(&user));
    let wrong = door.ask("GET /api/v1/turn/credentials?apiKey=nobody", &[ORIGIN], "").await;
    assert_eq!(wrong.status, 401);
    assert!(serde_json::from_str::<Value>(&wrong.body).unwrap()["error"].is_string());
}

#[tokio::test]
async fn as_the_turn_rest_draft() {
    let door = CredentialsDoor::open(&settings()).await;
    let route = "GET /turn?service=turn&username=mbzrxpgjys&key=the%20key+of%20the%20app";
    let answer = door.ask(route, &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    let expected = json!({
        "username": "1588300977:mbzrxpgjys",
        "password": "the password",
        "ttl": 3600,
        "uris": [UDP, TLS],
    });
    assert_eq!(value, expected);
    assert_eq!(door.ask("GET /turn?service=stun", &[BEARER], "").await.status, 400);
}

#[tokio::test]
async fn as_twilio() {
    let door = CredentialsDoor::open(&settings()).await;
    // `app:the key of the app`
    let lines = [
        "Authorization: Basic YXBwOnRoZSBrZXkgb2YgdGhlIGFwcA==",
        "Content-Type: application/x-www-form-urlencoded",
    ];
    let route = "POST /2010-04-01/Accounts/app/Tokens.json";
    let answer = door.ask(route, &lines, "Ttl=3600").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    let login = |url: &str| json!({ "url": url, "urls": url, "username": "1588300977:", "credential": "the password" });
    let expected = json!({
        "account_sid": "app",
        "date_created": "Fri, 01 May 2020 01:42:57 +0000",
        "date_updated": "Fri, 01 May 2020 01:42:57 +0000",
        "ice_servers": [{ "url": STUN, "urls": STUN }, login(UDP), login(TLS)],
        "password": "the password",
        "ttl": "3600",
        "username": "1588300977:",
    });
    assert_eq!(value, expected);
    assert_eq!(door.ask(route, &lines, "").await.status, 201, "Ttl may be left out");
}

fn list(user: &str) -> Value {
    let login = |url: &str| json!({ "urls": url, "username": user, "credential": "the password" });
    json!([{ "urls": STUN }, login(UDP), login(TLS)])
}
