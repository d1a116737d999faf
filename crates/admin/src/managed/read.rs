//! What requests of the admin doors say, in their query and their body.

use std::ops::RangeInclusive;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use crate::answer::Failure;
use crate::query::pairs;

/// A body may have so many bytes.
const MOST_BODY: usize = 4096;

/// A query whose names are all known.
#[derive(Debug)]
pub(crate) struct Words(Vec<(String, String)>);

impl Words {
    /// Reads the query of `uri`. A name that is not among `known`, or stands
    /// there twice, is a mistake: a filter that is not understood must not be
    /// taken for none.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Failure> {
        let words = pairs(uri.query().unwrap_or_default())
            .ok_or_else(|| bad("the query is no UTF-8 text", "percent-encode it as UTF-8"))?;
        let known_here = format!("this route knows {}", known.join(", "));
        for (index, (name, _)) in words.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(bad(format!("nothing is called {name} here"), known_here));
            }
            if words.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(bad(format!("{name} stands there twice"), known_here));
            }
        }
        Ok(Self(words))
    }

    /// The value of this name.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    /// The value of this name as a number between bounds.
    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = range.into_inner();
        number.map(Some).ok_or_else(|| {
            bad(format!("{name} is no number that is good here"), format!("{least} to {most}"))
        })
    }
}

/// The body of a request as JSON.
pub(crate) async fn json_body<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    let body = Limited::new(request.into_body(), MOST_BODY).collect().await.map_err(|_| {
        let message = format!("the body has more than {MOST_BODY} bytes");
        Failure::without_help(StatusCode::PAYLOAD_TOO_LARGE, message)
    })?;
    let body = body.to_bytes();
    // Derived readers would take the values of a list for those of the fields, in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad("the body is no JSON object", "GET /openapi.json describes it"));
    }
    serde_json::from_slice(&body).map_err(|error| {
        // Says what and where, never a value.
        bad(format!("the body cannot be read: {error}"), "GET /openapi.json describes it")
    })
}

/// 400, and the way out.
pub(crate) fn bad(message: impl Into<String>, help: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, message, help)
}
