//! Managed credentials over the admin socket.

use serde_json::{Value, json};
use turn_admin::client::ClientError;
use turn_admin::{AccountLimits, AccountName, IceRequest, NewAccount};

use crate::fake::Fake;
use crate::keeper::{Kept, open};
use crate::raw::Answer;

#[tokio::test]
async fn a_credential_is_made_used_disabled_enabled_and_deleted() {
    let kept = Kept::open().await;
    let new = NewAccount {
        label: Some("room 7 / Zoë".to_owned()),
        username: Some("@a:b/c?d e".to_owned()),
        limits: AccountLimits { allocations: Some(2), ..AccountLimits::default() },
        ttl: Some(3600),
        ..NewAccount::default()
    };
    let made = kept.client.create_account(&new).await.unwrap();
    assert_eq!(made.password, "hush");
    assert_eq!(made.account.label.as_deref(), Some("room 7 / Zoë"));
    assert_eq!(made.account.limits.allocations, Some(2));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let end = made.account.expires_at.unwrap();
    assert!((now + 3590..=now + 3601).contains(&end), "{end}");

    let name = AccountName { realm: None, username: "@a:b/c?d e".to_owned() };
    assert_eq!(kept.client.account(&name).await.unwrap(), made.account);
    let ice = kept.client.account_ice_servers(&name).await.unwrap();
    assert_eq!(ice["iceServers"][1]["credential"], json!("hush"));
    assert!(ice["ttl"].as_u64().is_some_and(|left| left <= 3600), "{ice}");
    let closed = kept.client.disable_account(&name).await.unwrap();
    assert_eq!((closed.ended_allocations, closed.account.disabled), (2, true));
    assert!(!kept.client.enable_account(&name).await.unwrap().disabled);
    kept.client.delete_account(&name).await.unwrap();
    let gone = kept.client.delete_account(&name).await.unwrap_err();
    assert!(matches!(gone, ClientError::Refused { status: 404, .. }), "{gone}");
    assert!(gone.to_string().contains("= help: "), "{gone}");
}

#[tokio::test]
async fn making_one_answers_with_everything_that_a_client_needs() {
    let kept = Kept::open().await;
    let answer = kept.ask("POST /api/v1/credentials", r#"{"user":"a#b"}"#).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let answer =
        kept.ask("POST /api/v1/credentials", r#"{"user":"a b","realm":"b.example"}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.head.contains("location: /api/v1/credentials/a%20b?realm=b.example"));
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    assert_eq!(
        value(&answer),
        json!({
            "username": "a b", "realm": "b.example", "label": null, "created_at": 7,
            "expires_at": null, "disabled": false, "limits": {}, "password": "hush",
            "iceServers": [
                { "urls": ["stun:turn.example:3478"] },
                { "urls": ["turn:turn.example:3478"], "username": "a b", "credential": "hush" },
            ],
        })
    );
    let list =
        kept.ask("GET /api/v1/credentials/a%20b/ice-servers?realm=b.example&format=array", "");
    assert_eq!(value(&list.await)[1]["urls"], json!("turn:turn.example:3478"));
    let shown = kept.ask("GET /api/v1/credentials/a%20b?realm=b.example", "").await;
    assert!(!shown.body.contains("hush"), "{}", shown.body);
    assert_eq!(kept.ask("GET /api/v1/credentials/a%20b", "").await.status, 404, "another realm");
}

#[tokio::test]
async fn what_cannot_be_made_is_told_with_the_way_out() {
    let kept = Kept::open().await;
    let long = format!(r#"{{"label":"{}"}}"#, "x".repeat(65));
    let large = format!(r#"{{"label":"{}"}}"#, "x".repeat(5000));
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        (r#"{"usr":"a"}"#, 400),
        (r#"{"user":""}"#, 400),
        (&long, 400),
        (r#"{"label":"a\nb"}"#, 400),
        (r#"{"ttl":0}"#, 400),
        (r#"{"ttl":60,"expires_at":99999999999}"#, 400),
        (r#"{"expires_at":60}"#, 400),
        (r#"{"ttl":18446744073709551615}"#, 400),
        (r#"{"limits":{"allocations":0}}"#, 400),
        (r#"{"limits":{"bandwidth":-1}}"#, 400),
        (r#"{"limits":{"speed":1}}"#, 400),
        (r#"{"realm":"nowhere"}"#, 422),
        (&large, 413),
    ] {
        let answer = kept.ask("POST /api/v1/credentials", body).await;
        assert_eq!(answer.status, status, "{body:.60}: {}", answer.body);
        assert!(value(&answer)["error"].is_string(), "{}", answer.body);
        assert!(status == 413 || value(&answer)["help"].is_string(), "{}", answer.body);
    }
    let once = r#"{"username":"ann"}"#;
    assert_eq!(kept.ask("POST /api/v1/credentials", once).await.status, 201);
    assert_eq!(kept.ask("POST /api/v1/credentials", once).await.status, 409);
    *kept.keeper.is_down.lock().unwrap() = true;
    let down = kept.ask("GET /api/v1/credentials", "").await;
    assert_eq!(down.status, 503);
    assert!(down.body.contains("sqlite:///users.db"), "{}", down.body);
}

#[tokio::test]
async fn pages_follow_each_other_and_end() {
    let kept = Kept::open().await;
    for number in 0..250 {
        let label = Some(if number % 2 == 0 { "even" } else { "odd" }.to_owned());
        let username = Some(format!("user {number:03}"));
        let new = NewAccount { label, username, ..NewAccount::default() };
        kept.client.create_account(&new).await.unwrap();
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = kept.client.accounts(None, None, after.as_deref()).await.unwrap();
        names.extend(page.credentials.into_iter().map(|account| account.username));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<String> = (0..250).map(|number| format!("user {number:03}")).collect();
    assert_eq!(names, all);
    let odd = value(&kept.ask("GET /api/v1/credentials?label=odd&limit=1000", "").await);
    assert_eq!(odd["credentials"].as_array().map(Vec::len), Some(125));
    assert_eq!(odd["next"], Value::Null);
    let exact = value(&kept.ask("GET /api/v1/credentials?limit=250", "").await);
    assert_eq!(exact["next"], Value::Null, "a full page may be the last");
    for query in ["limit=0", "limit=1001", "limit=x", "lable=odd", "limit=1&limit=2", "after=%ff"] {
        let answer = kept.ask(&format!("GET /api/v1/credentials?{query}"), "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_operator_makes_time_limited_credentials_too() {
    let kept = Kept::open().await;
    let mut asked = IceRequest {
        user: Some("call-1".to_owned()),
        ttl: Some(60),
        tag: Some("web".to_owned()),
        ..IceRequest::default()
    };
    let text = kept.client.ice_servers(&asked).await.unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["iceServers"][1]["username"], json!("1588300977:call-1#web"));
    assert_eq!(value["ttl"], json!(60));
    asked.format = Some("link".to_owned());
    let text = kept.client.ice_servers(&asked).await.unwrap();
    assert!(text.starts_with("Link: <stun:turn.example:3478>; rel=\"ice-server\"\n"), "{text}");
    asked.format = Some("xml".to_owned());
    assert!(kept.client.ice_servers(&asked).await.is_err());
    for body in [r#"{"user":"a#b"}"#, r#"{"ttl":0}"#, r#"{"tag":"a b"}"#, r#"{"usr":""}"#] {
        let answer = kept.ask("POST /api/v1/ice-servers", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
    assert_eq!(kept.issuer.count(), 2);
}

#[tokio::test]
async fn what_is_not_switched_on_says_which_key_does() {
    let (_path, client, _place) = open(Fake::new()).await;
    let name = AccountName { realm: None, username: "ann".to_owned() };
    let told = [
        (client.account(&name).await.unwrap_err(), "auth.stores"),
        (client.create_account(&NewAccount::default()).await.unwrap_err(), "auth.stores"),
        (client.usage("2026-11-01", "2026-11-30", "", None).await.unwrap_err(), "usage.path"),
        (client.allocation_log(None, None, |_| Ok(())).await.unwrap_err(), "usage.path"),
        (client.ice_servers(&IceRequest::default()).await.unwrap_err(), "auth.secrets"),
    ];
    for (error, key) in told {
        assert!(matches!(error, ClientError::Refused { status: 501, .. }), "{error}");
        assert!(error.to_string().contains(key), "{error}");
    }
}

fn value(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}
