//! Names that are unusual, names that are none, and what is answered where nothing is.

use serde_json::json;
use turn_tests::system::HttpRequest;

use crate::{Account, Keeper, text};

const ODD: [&str; 12] = [
    "@alice:example.org",
    "a/b",
    "../../etc/passwd",
    "a?b=c&d",
    "50% off+more",
    "two words",
    "\"quoted\"\\",
    "'; DROP TABLE turnserver_credential; --",
    "Zo\u{eb}",
    "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}",
    "\u{1F4DE}",
    "42",
];

#[test]
fn names_with_any_characters_are_made_found_used_and_deleted() {
    let keeper = Keeper::start("");
    for name in ODD {
        let body = json!({ "username": name, "label": "caf\u{e9} \u{1F4DE}" });
        let made = keeper.ask(&HttpRequest::post("/api/v1/credentials", &body));
        assert_eq!(made.status, 201, "{name}: {made:?}");
        let place = made.header("location").next().unwrap().to_owned();
        let (path, realm) = place.split_once('?').unwrap();
        assert_eq!(realm, "realm=example.org", "{place}");
        let password = text(&made.json(), "password").unwrap();
        let account = Account { username: name.to_owned(), password };
        assert_eq!(text(&keeper.get(&place), "username").as_deref(), Some(name));
        assert_eq!(text(&keeper.get(path), "label").as_deref(), Some("caf\u{e9} \u{1F4DE}"));
        keeper.allocated(&account);
        let again = keeper.ask(&HttpRequest::post("/api/v1/credentials", &body));
        assert_eq!(again.status, 409, "{name}: {again:?}");
        let servers = keeper.get(&format!("{path}/ice-servers?format=array"));
        let servers = servers.as_array().unwrap();
        assert!(servers.iter().any(|it| text(it, "username").as_deref() == Some(name)));
        for (method, path, code) in [
            ("POST", format!("{path}/disable"), Some(401)),
            ("POST", format!("{path}/enable"), None),
            ("DELETE", path.to_owned(), Some(401)),
        ] {
            let answer = keeper.ask(&HttpRequest::new(method, &path));
            assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
            assert_eq!(keeper.refusal(&account), code, "{method} {path}");
        }
        assert_eq!(keeper.ask(&HttpRequest::get(path)).status, 404, "{path}");
    }
    // A name rests when it is deleted, until no server of the store knows it any more.
    let again = keeper.ask(&HttpRequest::post("/api/v1/credentials", &json!({ "username": "42" })));
    assert_eq!(again.status, 409, "{again:?}");
    // What counts is the name as clients prepare it (RFC 8265), whichever way it is typed.
    let made = keeper.create(&json!({ "username": "Chloe\u{308}" }));
    assert_eq!(made.username, "Chlo\u{eb}");
    keeper.allocated(&Account { username: "Chloe\u{308}".to_owned(), password: made.password });
    for path in ["Chloe%CC%88", "Chlo%C3%AB"] {
        let found = keeper.get(&format!("/api/v1/credentials/{path}"));
        assert_eq!(text(&found, "username").as_deref(), Some("Chlo\u{eb}"));
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_way_out() {
    let keeper = Keeper::start("");
    let one = keeper.create(&json!({ "username": "one" }));
    let long = "x".repeat(300);
    let later = 4_000_000_000_u64;
    for (body, status) in [
        (json!({ "username": "" }), 400),
        (json!({ "username": "a#b" }), 400),
        (json!({ "username": "a\nb" }), 400),
        (json!({ "username": long }), 400),
        (json!({ "username": "x".repeat(201) }), 400),
        // A static user of the configuration would be asked in its place.
        (json!({ "username": "ann" }), 409),
        (json!({ "label": "" }), 400),
        (json!({ "label": long }), 400),
        (json!({ "ttl": 0 }), 400),
        (json!({ "ttl": 60, "expires_at": later }), 400),
        (json!({ "expires_at": 1 }), 400),
        (json!({ "limits": { "allocations": 0 } }), 400),
        (json!({ "limits": { "speed": 1 } }), 400),
        (json!({ "password": "of my choice" }), 400),
        (json!({ "realm": "nowhere.example" }), 422),
        (json!("nothing"), 400),
    ] {
        let answer = keeper.ask(&HttpRequest::post("/api/v1/credentials", &body));
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        let told = answer.json();
        assert!(text(&told, "error").is_some() && text(&told, "help").is_some(), "{told}");
    }
    let large = HttpRequest::new("POST", "/api/v1/credentials").body("x".repeat(5_000));
    assert_eq!(keeper.ask(&large).status, 413);
    for path in ["?limit=0", "?limit=1001", "?color=red", "?label=a&label=b"] {
        let answer = keeper.ask(&HttpRequest::get(format!("/api/v1/credentials{path}")));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    for (method, path) in EACH {
        // There is nobody of this name, and no such realm.
        for (query, status) in [("", 404), ("?realm=nowhere.example", 422)] {
            let path = format!("{path}{query}");
            let answer = keeper.ask(&HttpRequest::new(method, &path));
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            assert!(text(&answer.json(), "help").is_some(), "{answer:?}");
        }
    }
    let list = keeper.get("/api/v1/credentials");
    assert_eq!(text(list.pointer("/credentials/0").unwrap(), "username"), Some(one.username));
    assert_eq!(list.pointer("/credentials/1"), None, "{list}");
}

#[test]
fn without_a_store_each_route_says_which_key_brings_one() {
    let keeper = Keeper::with("", "path = \"off\"");
    let all = [("POST", "/api/v1/credentials"), ("GET", "/api/v1/credentials")];
    for (method, path) in all.into_iter().chain(EACH) {
        let answer = keeper.ask(&HttpRequest::new(method, path));
        assert_eq!(answer.status, 501, "{method} {path}: {answer:?}");
        assert!(answer.body.contains("auth.stores"), "{answer:?}");
    }
    for path in ["/api/v1/usage", "/api/v1/usage/allocations"] {
        let answer = keeper.ask(&HttpRequest::get(path));
        assert_eq!(answer.status, 501, "{path}: {answer:?}");
        assert!(answer.body.contains("usage.path"), "{answer:?}");
    }
}

/// The routes of one credential.
const EACH: [(&str, &str); 5] = [
    ("GET", "/api/v1/credentials/nobody"),
    ("DELETE", "/api/v1/credentials/nobody"),
    ("POST", "/api/v1/credentials/nobody/disable"),
    ("POST", "/api/v1/credentials/nobody/enable"),
    ("GET", "/api/v1/credentials/nobody/ice-servers"),
];
