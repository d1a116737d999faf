//! Answers that every door gives: JSON, errors as `{"error": "...", "help": "..."}`,
//! never a header that lets another origin read them.

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The body of an answer that is no success.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// What is wrong.
    pub(crate) error: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// Each mistake, where there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mistakes: Vec<String>,
}

/// An error with its message.
pub(crate) fn error(status: StatusCode, message: impl Into<String>) -> Response {
    Failure::without_help(status, message).into_response()
}

/// An error with its message and the way out.
pub(crate) fn error_with_help(
    status: StatusCode,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Response {
    Failure::new(status, message, help).into_response()
}

/// An error on its way to becoming an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
    help: Option<String>,
}

impl Failure {
    /// What is wrong, and the way out.
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { status, error: error.into(), help: Some(help.into()) }
    }

    /// What is wrong.
    pub(crate) fn without_help(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), help: None }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, error, help } = self;
        (status, Json(ErrorBody { error, help, mistakes: Vec::new() })).into_response()
    }
}

/// For a path that nothing stands behind.
pub(crate) async fn no_such_route(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, format!("nothing at {}", uri.path()))
}

/// For a path that knows other methods.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, format!("{} knows no {method}", uri.path()))
}

/// Turns away requests with a body, which no route behind it reads.
pub(crate) async fn bodiless(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    error(StatusCode::PAYLOAD_TOO_LARGE, "this route takes no body")
}

/// Keeps answers out of caches, and browsers from guessing what they are.
pub(crate) async fn uncached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
