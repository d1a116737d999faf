//! The description of the routes, compared with the routes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turn_admin::{ClosedAccount, CreatedAccount, UsageRow, UsageRows};

use crate::fake::Fake;
use crate::fake_issuer::{BEARER, CredentialsDoor, settings, text};
use crate::keeper::{Kept, open};
use crate::raw::exchange;

#[tokio::test]
async fn every_route_is_described_and_every_described_route_is_there() {
    let document = document().await;
    let described = |tag: &str| -> BTreeSet<(String, String)> {
        operations(&document)
            .filter(|(_, _, operation)| operation["tags"][0] == tag)
            .map(|(method, path, _)| (method.to_uppercase(), path.to_owned()))
            .collect()
    };
    let owned = |routes: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        routes.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect()
    };
    assert_eq!(described("admin"), owned(&ADMIN));
    assert_eq!(described("credentials"), owned(&CREDENTIALS));

    let kept = Kept::open().await;
    for (method, path) in admin_routes() {
        let answer = kept.ask(&format!("{method} {path}"), "").await;
        let is_missing = answer.body.contains("nothing at") || answer.status == 405;
        assert!(!is_missing, "{method} {path}: {} {}", answer.status, answer.body);
        // And nothing stands there under a method that is not described.
        for other in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let is_described = admin_routes().contains(&(other.to_owned(), path.clone()));
            if !is_described {
                let answer = kept.ask(&format!("{other} {path}"), "").await;
                assert_eq!(answer.status, 405, "{other} {path}: {}", answer.body);
            }
        }
    }
    let door = CredentialsDoor::open(&settings()).await;
    for (method, path) in CREDENTIALS.map(|(method, path)| (method, filled(path))) {
        let answer = door.ask(&format!("{method} {path}"), &[BEARER], "").await;
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}", answer.body);
        let other = if method == "GET" && path != "/v1/credentials" { "POST" } else { "DELETE" };
        let answer = door.ask(&format!("{other} {path}"), &[BEARER], "").await;
        assert_eq!(answer.status, 405, "{other} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_document_holds_together() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        let placeholders: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let of_path: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(placeholders, of_path, "{method} {path}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 40);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn schemas_name_the_fields_that_bodies_have() {
    let document = document().await;
    let row = UsageRow {
        day: Some(String::new()),
        realm: Some(String::new()),
        tenant: Some(String::new()),
        user: Some(String::new()),
        label: Some(String::new()),
        credential: Some(String::new()),
        ..UsageRow::default()
    };
    let rows = UsageRows { rows: vec![row], ..UsageRows::default() };
    let mut created = json!(CreatedAccount::default());
    created["iceServers"] = json!([]);
    for (schema, body) in [
        ("/components/schemas/UsageRows", json!(rows)),
        ("/components/schemas/UsageRows/properties/rows/items", json!(rows.rows[0])),
        ("/components/schemas/CreatedCredential", created),
        ("/components/schemas/ClosedCredential", json!(ClosedAccount::default())),
    ] {
        let properties = document.pointer(&format!("{schema}/properties")).unwrap();
        let named: BTreeSet<&String> = properties.as_object().unwrap().keys().collect();
        let there: BTreeSet<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(named, there, "{schema}");
    }
}

/// Every route of the admin doors, its path filled in.
pub(crate) fn admin_routes() -> Vec<(String, String)> {
    ADMIN.map(|(method, path)| (method.to_owned(), filled(path))).to_vec()
}

fn filled(path: &str) -> String {
    path.replace("{id}", "app").replace("{sid}", "app").replace("{username}", "ann")
}

const ADMIN: [(&str, &str); 21] = [
    ("GET", "/status"),
    ("GET", "/allocations"),
    ("DELETE", "/allocations/{id}"),
    ("GET", "/drain"),
    ("POST", "/drain"),
    ("POST", "/reload"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/version"),
    ("GET", "/openapi.json"),
    ("POST", "/api/v1/ice-servers"),
    ("POST", "/api/v1/credentials"),
    ("GET", "/api/v1/credentials"),
    ("GET", "/api/v1/credentials/{username}"),
    ("DELETE", "/api/v1/credentials/{username}"),
    ("POST", "/api/v1/credentials/{username}/disable"),
    ("POST", "/api/v1/credentials/{username}/enable"),
    ("GET", "/api/v1/credentials/{username}/ice-servers"),
    ("GET", "/api/v1/usage"),
    ("GET", "/api/v1/usage/allocations"),
];

const CREDENTIALS: [(&str, &str); 7] = [
    ("GET", "/v1/credentials"),
    ("POST", "/v1/credentials"),
    ("POST", "/v1/turn/keys/{id}/credentials/generate-ice-servers"),
    ("POST", "/v1/turn/keys/{id}/credentials/generate"),
    ("GET", "/api/v1/turn/credentials"),
    ("GET", "/turn"),
    ("POST", "/2010-04-01/Accounts/{sid}/Tokens.json"),
];

async fn document() -> Value {
    let (path, _client, _place) = open(Fake::new()).await;
    let stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let answer = exchange(stream, &text("GET /openapi.json", &[], "")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    serde_json::from_str(&answer.body).unwrap()
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn collect_references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                found.push(reference);
            }
            object.values().for_each(|inner| collect_references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_references(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
