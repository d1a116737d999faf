//! What a request for a credential says, in its query and its body, under the
//! names that the makers of clients have given it.

use axum::extract::Request;
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use super::shapes::Shape;
use crate::query::pairs;

/// A body may have so many bytes.
pub(crate) const MOST_BODY: usize = 4096;

/// What is asked for, as far as it is said.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `user`, `username`
    pub(crate) user: Option<String>,
    /// `tag`, Cloudflare's `customIdentifier`
    pub(crate) tag: Option<String>,
    /// `ttl`, Twilio's `Ttl`; in seconds
    pub(crate) ttl: Option<u64>,
    /// `format`
    pub(crate) shape: Option<Shape>,
    /// `service` of the TURN REST draft
    pub(crate) service: Option<String>,
    /// Metered's `apiKey`, the TURN REST draft's `key`
    pub(crate) key: Option<String>,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the body has more than {MOST_BODY} bytes")]
    TooLarge,
    #[error("the query or the body is no UTF-8 text")]
    NotText,
    #[error("the body is neither a JSON object nor a form")]
    NotJson,
    #[error("{0} stands there twice")]
    Twice(&'static str),
    #[error("ttl is no number of seconds")]
    Ttl,
    #[error("{0} is no text")]
    NotAText(&'static str),
    #[error("format is none of w3c, array, rest, twilio and link")]
    Format,
}

impl Asked {
    /// Reads the query, and then the body, which may say what the query does not.
    pub(crate) async fn of(request: Request) -> Result<Self, Unreadable> {
        let mut asked = Self::default();
        asked.add_pairs(request.uri().query().unwrap_or_default())?;
        let body = Limited::new(request.into_body(), MOST_BODY).collect().await;
        // A body that breaks off has no reader for the answer.
        let body = body.map_err(|_| Unreadable::TooLarge)?.to_bytes();
        let text = std::str::from_utf8(&body).map_err(|_| Unreadable::NotText)?.trim();
        // By what it is: not every client says so, or says so rightly.
        if text.starts_with('{') {
            asked.add_json(text)?;
        } else {
            asked.add_pairs(text)?;
        }
        Ok(asked)
    }

    fn add_pairs(&mut self, text: &str) -> Result<(), Unreadable> {
        for (name, value) in pairs(text).ok_or(Unreadable::NotText)? {
            self.add(&name, Value::String(value))?;
        }
        Ok(())
    }

    fn add_json(&mut self, text: &str) -> Result<(), Unreadable> {
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|_| Unreadable::NotJson)?;
        for (name, value) in object {
            if !value.is_null() {
                self.add(&name, value)?;
            }
        }
        Ok(())
    }

    /// Takes what is known; the rest is for other servers (Metered's `region`).
    fn add(&mut self, name: &str, value: Value) -> Result<(), Unreadable> {
        match name {
            "user" | "username" => put(&mut self.user, "user", text("user", value)?),
            "tag" | "customIdentifier" => put(&mut self.tag, "tag", text("tag", value)?),
            "ttl" | "Ttl" => put(&mut self.ttl, "ttl", seconds(&value)?),
            "format" => {
                let shape = value.as_str().and_then(Shape::parse).ok_or(Unreadable::Format)?;
                put(&mut self.shape, "format", shape)
            }
            "service" => put(&mut self.service, "service", text("service", value)?),
            "apiKey" | "key" => put(&mut self.key, "the key", text("the key", value)?),
            _ => Ok(()),
        }
    }
}

fn put<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), Unreadable> {
    if place.replace(value).is_some() {
        return Err(Unreadable::Twice(name));
    }
    Ok(())
}

fn text(name: &'static str, value: Value) -> Result<String, Unreadable> {
    if let Value::String(text) = value { Ok(text) } else { Err(Unreadable::NotAText(name)) }
}

/// A number, or one in a text, as forms have it.
fn seconds(value: &Value) -> Result<u64, Unreadable> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.ok_or(Unreadable::Ttl)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is a failed test")]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn query_form_and_json_say_the_same() {
        for (target, body) in [
            ("/?user=alice&ttl=60&tag=web&format=rest", ""),
            ("/", "username=alice&Ttl=60&tag=web&format=rest"),
            ("/?format=rest", r#" {"user":"alice","ttl":60,"customIdentifier":"web","x":[]}"#),
            ("/?user=alice&region=eu", r#"{"ttl":"60","tag":"web","format":"rest","key":null}"#),
        ] {
            let asked = ask(target, body).await.unwrap();
            assert_eq!(asked.user.as_deref(), Some("alice"), "{target} {body}");
            assert_eq!(asked.ttl, Some(60), "{target} {body}");
            assert_eq!(asked.tag.as_deref(), Some("web"), "{target} {body}");
            assert_eq!(asked.shape, Some(Shape::Rest), "{target} {body}");
            assert_eq!(asked.key, None);
        }
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_named() {
        for (target, body, wrong) in [
            ("/?ttl=-1", "", Unreadable::Ttl),
            ("/?ttl=1h", "", Unreadable::Ttl),
            ("/", r#"{"ttl":1.5}"#, Unreadable::Ttl),
            ("/", r#"{"user":{"a":1}}"#, Unreadable::NotAText("user")),
            ("/?user=a", r#"{"username":"b"}"#, Unreadable::Twice("user")),
            ("/?key=a&apiKey=b", "", Unreadable::Twice("the key")),
            ("/", r#"{"ttl":"#, Unreadable::NotJson),
            ("/?user=%ff", "", Unreadable::NotText),
            ("/?format=xml", "", Unreadable::Format),
            ("/", &"x".repeat(MOST_BODY + 1), Unreadable::TooLarge),
        ] {
            assert_eq!(ask(target, body).await.err(), Some(wrong), "{target} {body:.40}");
        }
    }

    async fn ask(target: &str, body: &str) -> Result<Asked, Unreadable> {
        let request = Request::builder().uri(target).body(Body::from(body.to_owned())).unwrap();
        Asked::of(request).await
    }
}
