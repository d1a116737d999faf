//! Credentials in the shapes that clients know.
//!
//! | shape | read by |
//! |---|---|
//! | `w3c` | `new RTCPeerConnection(...)`; with the ttl beside it |
//! | `array` | code that wants the bare list, one URL an entry (Metered) |
//! | `rest` | draft-uberti-behave-turn-rest-00, Matrix |
//! | `twilio` | Twilio's clients: both `url` and `urls`, the ttl as text |
//! | `link` | WHIP and WHEP: Link headers (RFC 9725 section 4.6) |

use serde_json::{Value, json};

use super::issuer::Issued;
use crate::day::mail_date;

/// How credentials are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"iceServers": [...], "ttl": ..}`
    W3c,
    /// `[...]`
    Array,
    /// `{"username", "password", "ttl", "uris"}`
    Rest,
    /// `{"ice_servers": [...], ..}`
    Twilio,
    /// One Link header for each URL.
    Link,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::W3c, Self::Array, Self::Rest, Self::Twilio, Self::Link];

    /// As `?format=` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::W3c => "w3c",
            Self::Array => "array",
            Self::Rest => "rest",
            Self::Twilio => "twilio",
            Self::Link => "link",
        }
    }

    /// Reads one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.as_str() == word)
    }

    /// The credential in this shape: JSON, or a line for each Link header.
    pub fn text(self, issued: &Issued) -> String {
        match self.value(issued, "") {
            Some(value) => format!("{value:#}\n"),
            None => links(issued).iter().map(|link| format!("Link: {link}\n")).collect(),
        }
    }

    /// The same as JSON, where it is JSON. `account` is what Twilio's shape calls
    /// the key.
    pub(crate) fn value(self, issued: &Issued, account: &str) -> Option<Value> {
        match self {
            Self::W3c => Some(w3c(
                &issued.stun,
                &issued.turn,
                (&issued.username, &issued.credential),
                Some(issued.ttl.as_secs()),
            )),
            Self::Array => {
                let login = (issued.username.as_str(), issued.credential.as_str());
                Some(array(&issued.stun, &issued.turn, login))
            }
            Self::Rest => Some(json!({
                "username": issued.username,
                "password": issued.credential,
                "ttl": issued.ttl.as_secs(),
                "uris": issued.turn,
            })),
            Self::Twilio => Some(twilio(issued, account)),
            Self::Link => None,
        }
    }
}

/// `iceServers` with the STUN and TURN URLs in separate entries.
pub(crate) fn w3c(
    stun: &[String],
    turn: &[String],
    (username, credential): (&str, &str),
    ttl: Option<u64>,
) -> Value {
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(json!({ "urls": stun }));
    }
    servers.push(json!({ "urls": turn, "username": username, "credential": credential }));
    match ttl {
        Some(ttl) => json!({ "iceServers": servers, "ttl": ttl }),
        None => json!({ "iceServers": servers }),
    }
}

/// One entry a URL.
pub(crate) fn array(
    stun: &[String],
    turn: &[String],
    (username, credential): (&str, &str),
) -> Value {
    let stun = stun.iter().map(|url| json!({ "urls": url }));
    let turn = turn
        .iter()
        .map(|url| json!({ "urls": url, "username": username, "credential": credential }));
    stun.chain(turn).collect()
}

/// Cloudflare's older answer: one object for all URLs.
pub(crate) fn one_entry(issued: &Issued) -> Value {
    let urls: Vec<&String> = issued.stun.iter().chain(&issued.turn).collect();
    json!({
        "iceServers": {
            "urls": urls,
            "username": issued.username,
            "credential": issued.credential,
        }
    })
}

/// Values of Link headers.
pub(crate) fn links(issued: &Issued) -> Vec<String> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let login = format!(
        "username=\"{}\"; credential=\"{}\"; credential-type=\"password\"",
        quoted(&issued.username),
        quoted(&issued.credential)
    );
    let stun = issued.stun.iter().map(|url| format!("<{url}>; rel=\"ice-server\""));
    let turn = issued.turn.iter().map(|url| format!("<{url}>; rel=\"ice-server\"; {login}"));
    stun.chain(turn).collect()
}

fn twilio(issued: &Issued, account: &str) -> Value {
    let made = mail_date(issued.expires_at.saturating_sub(issued.ttl.as_secs()));
    let stun = issued.stun.iter().map(|url| json!({ "url": url, "urls": url }));
    let turn = issued.turn.iter().map(|url| {
        json!({
            "url": url,
            "urls": url,
            "username": issued.username,
            "credential": issued.credential,
        })
    });
    json!({
        "account_sid": account,
        "date_created": made,
        "date_updated": made,
        "ice_servers": stun.chain(turn).collect::<Value>(),
        "password": issued.credential,
        "ttl": issued.ttl.as_secs().to_string(),
        "username": issued.username,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_shape_is_what_its_readers_expect() {
        let issued = issued();
        let value = |shape: Shape| shape.value(&issued, "AC1").unwrap_or_default();
        assert_eq!(
            value(Shape::W3c),
            json!({ "ttl": 3600, "iceServers": [
                { "urls": ["stun:t.example:3478"] },
                { "urls": ["turn:t.example:3478?transport=udp", "turns:t.example:5349?transport=tcp"],
                  "username": "1588300977:alice", "credential": "p\"w\\" },
            ] })
        );
        assert_eq!(
            value(Shape::Array),
            json!([
                { "urls": "stun:t.example:3478" },
                { "urls": "turn:t.example:3478?transport=udp",
                  "username": "1588300977:alice", "credential": "p\"w\\" },
                { "urls": "turns:t.example:5349?transport=tcp",
                  "username": "1588300977:alice", "credential": "p\"w\\" },
            ])
        );
        assert_eq!(
            value(Shape::Rest),
            json!({ "username": "1588300977:alice", "password": "p\"w\\", "ttl": 3600, "uris": [
                "turn:t.example:3478?transport=udp", "turns:t.example:5349?transport=tcp"] })
        );
        let twilio = value(Shape::Twilio);
        assert_eq!(twilio.get("ttl"), Some(&json!("3600")));
        assert_eq!(twilio.get("account_sid"), Some(&json!("AC1")));
        assert_eq!(twilio.get("date_created"), Some(&json!("Fri, 01 May 2020 01:42:57 +0000")));
        assert_eq!(
            twilio.pointer("/ice_servers/0"),
            Some(&json!({ "url": "stun:t.example:3478", "urls": "stun:t.example:3478" }))
        );
        assert_eq!(twilio.pointer("/ice_servers/2/credential"), Some(&json!("p\"w\\")));
        assert_eq!(
            one_entry(&issued).pointer("/iceServers/urls/2").and_then(Value::as_str),
            Some("turns:t.example:5349?transport=tcp")
        );
    }

    #[test]
    fn links_quote_what_would_end_their_quotes() {
        let text = Shape::Link.text(&issued());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"Link: <stun:t.example:3478>; rel="ice-server""#,
                r#"Link: <turn:t.example:3478?transport=udp>; rel="ice-server"; username="1588300977:alice"; credential="p\"w\\"; credential-type="password""#,
                r#"Link: <turns:t.example:5349?transport=tcp>; rel="ice-server"; username="1588300977:alice"; credential="p\"w\\"; credential-type="password""#,
            ]
        );
    }

    #[test]
    fn a_server_without_stun_urls_has_no_empty_entry() {
        let issued = Issued { stun: Vec::new(), ..issued() };
        let value = Shape::W3c.value(&issued, "").unwrap_or_default();
        assert_eq!(value.pointer("/iceServers").and_then(Value::as_array).map(Vec::len), Some(1));
    }

    fn issued() -> Issued {
        Issued {
            username: "1588300977:alice".to_owned(),
            credential: "p\"w\\".to_owned(),
            ttl: Duration::from_secs(3600),
            expires_at: 1_588_300_977,
            stun: vec!["stun:t.example:3478".to_owned()],
            turn: vec![
                "turn:t.example:3478?transport=udp".to_owned(),
                "turns:t.example:5349?transport=tcp".to_owned(),
            ],
        }
    }
}
