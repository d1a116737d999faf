//! What bodies look like, in JSON Schema.

use serde_json::{Value, json};

/// All schemas, by name.
pub(crate) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let word = json!({ "type": ["string", "null"] });
    let number = json!({ "type": "integer", "minimum": 0 });
    let moment =
        json!({ "type": ["integer", "null"], "description": "seconds since 1970; null: none" });
    let limits = json!({ "type": "object", "properties": {
        "allocations": { "type": "integer", "minimum": 1, "description": "at a time" },
        "bandwidth": { "type": "integer", "minimum": 1,
            "description": "payload each direction, bytes a second" },
        "bandwidth_per_allocation": { "type": "integer", "minimum": 1,
            "description": "payload of one allocation each direction, bytes a second" },
    } });
    let credential = json!({
        "username": text, "realm": text, "label": word, "created_at": number,
        "expires_at": moment, "disabled": { "type": "boolean" }, "limits": limits,
    });
    let with = |more: Value| {
        let mut properties = credential.clone();
        if let (Some(properties), Some(more)) = (properties.as_object_mut(), more.as_object()) {
            properties.extend(more.clone());
        }
        json!({ "type": "object", "properties": properties })
    };
    let ice_server = json!({
        "type": "object",
        "required": ["urls"],
        "properties": {
            "urls": { "type": ["string", "array"], "items": text },
            "username": text,
            "credential": text,
        },
    });
    let ice_servers = json!({ "type": "array", "items": ice_server });
    json!({
        "Object": { "type": "object" },
        "ObjectList": { "type": "array", "items": { "type": "object" } },
        "Text": text,
        "Error": { "type": "object", "required": ["error"], "properties": {
            "error": text, "help": text, "mistakes": { "type": "array", "items": text },
        } },
        "Version": { "type": "object", "properties": { "name": text, "version": text } },
        "IceServerList": ice_servers,
        "IceServers": { "type": "object", "required": ["iceServers"], "properties": {
            "iceServers": ice_servers,
            "ttl": { "type": "integer", "description": "seconds that are left" },
        } },
        "IceRequest": { "type": "object", "properties": {
            "realm": text, "tenant": text, "user": text, "tag": text, "ttl": number,
            "format": { "enum": ["w3c", "array", "rest", "twilio", "link"] },
        } },
        "CredentialRequest": { "type": "object", "properties": {
            "user": text,
            "tag": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,32}$" },
            "customIdentifier": { "type": "string", "description": "the same as tag" },
            "ttl": { "type": ["integer", "string"], "description": "seconds" },
            "format": { "enum": ["w3c", "array", "rest", "twilio", "link"] },
        } },
        "TurnRest": { "type": "object", "properties": {
            "username": text, "password": text, "ttl": number,
            "uris": { "type": "array", "items": text },
        } },
        "TwilioToken": { "type": "object", "properties": {
            "account_sid": text, "date_created": text, "date_updated": text,
            "ice_servers": { "type": "array", "items": { "type": "object", "properties": {
                "url": text, "urls": text, "username": text, "credential": text,
            } } },
            "username": text, "password": text, "ttl": text,
        } },
        "NewCredential": { "type": "object", "additionalProperties": false, "properties": {
            "label": text, "username": text, "realm": text, "limits": limits,
            "expires_at": { "type": "integer", "description": "seconds since 1970" },
            "ttl": { "type": "integer", "description": "seconds from now, in place of expires_at" },
        } },
        "Credential": { "type": "object", "properties": credential },
        "CreatedCredential": with(json!({ "password": text, "iceServers": ice_servers })),
        "ClosedCredential": with(json!({ "ended_allocations": number })),
        "CredentialPage": { "type": "object", "properties": {
            "credentials": { "type": "array",
                "items": { "$ref": "#/components/schemas/Credential" } },
            "next": word,
        } },
        "UsageRows": { "type": "object", "properties": {
            "from": { "type": "string", "format": "date" },
            "to": { "type": "string", "format": "date" },
            "rows": { "type": "array", "items": { "type": "object", "properties": {
                "day": text, "realm": text, "tenant": text, "user": text, "label": text,
                "credential": text, "up_bytes": number, "down_bytes": number,
                "up_packets": number, "down_packets": number, "allocations": number,
                "seconds": number,
            } } },
            "next": { "type": ["integer", "null"] },
        } },
    })
}
