//! The description of all routes, in OpenAPI 3.1.

use serde_json::{Map, Value, json};

use super::operation::{Answer, At, Door, Operation, Parameter};
use super::schemas::schemas;

/// The whole document.
pub(crate) fn document(admin: &[Operation], credentials: &[Operation]) -> Value {
    let mut paths = Map::new();
    let of = |door: Door| move |operation| (door, operation);
    let all = admin.iter().map(of(Door::Admin));
    for (door, operation) in all.chain(credentials.iter().map(of(Door::Credentials))) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.verb.as_str().to_owned(), described(door, operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "turnserver",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The admin routes are behind admin.socket and admin.address, \
                            the credentials routes behind credentials.address.",
        },
        "tags": [
            { "name": "admin", "description": "For operators." },
            { "name": "credentials", "description": "For applications and their pages." },
        ],
        "paths": paths,
        "components": { "schemas": schemas(), "securitySchemes": {
            "adminToken": { "type": "http", "scheme": "bearer",
                "description": "one of admin.tokens; the Unix socket needs none" },
            "serverKey": { "type": "http", "scheme": "bearer",
                "description": "one of credentials.server_keys" },
            "serverKeyAndId": { "type": "http", "scheme": "basic",
                "description": "id and key of one of credentials.server_keys" },
            "browserKey": { "type": "apiKey", "in": "query", "name": "apiKey",
                "description": "one of credentials.browser_keys, from a page of its origins" },
            "browserKeyHeader": { "type": "apiKey", "in": "header", "name": "X-Api-Key",
                "description": "the same" },
        } },
    })
}

fn described(door: Door, operation: &Operation) -> Value {
    let (tag, security) = match door {
        Door::Admin => ("admin", json!([{ "adminToken": [] }, {}])),
        Door::Credentials => (
            "credentials",
            json!([
                { "serverKey": [] },
                { "serverKeyAndId": [] },
                { "browserKey": [] },
                { "browserKeyHeader": [] },
            ]),
        ),
    };
    let mut answers: Map<String, Value> = operation.answers.iter().map(answer).collect();
    answers.insert(
        "default".to_owned(),
        json!({ "description": "what is wrong, and what to do",
            "content": { "application/json": { "schema": reference("Error") } } }),
    );
    let mut described = json!({
        "tags": [tag],
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "security": security,
        "parameters": operation.parameters.iter().map(parameter).collect::<Value>(),
        "responses": answers,
    });
    if let (Some(body), Some(described)) = (operation.body, described.as_object_mut()) {
        let body = json!({
            "required": body.is_needed,
            "content": { body.media: { "schema": reference(body.schema) } },
        });
        described.insert("requestBody".to_owned(), body);
    }
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.at {
        At::Path => "path",
        At::Query => "query",
    };
    let schema = match parameter.schema {
        "date" => json!({ "type": "string", "format": "date" }),
        kind => json!({ "type": kind }),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.at == At::Path,
        "description": parameter.about,
        "schema": schema,
    })
}

fn answer(answer: &Answer) -> (String, Value) {
    let described = match answer.body {
        Some((media, schema)) => json!({
            "description": answer.about,
            "content": { media: { "schema": reference(schema) } },
        }),
        None => json!({ "description": answer.about }),
    };
    (answer.status.to_string(), described)
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// A name that is the same for as long as the route is.
fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_matches('/').replace(['/', '-', '.', '{', '}'], "_");
    format!("{}_{path}", operation.verb.as_str())
}
