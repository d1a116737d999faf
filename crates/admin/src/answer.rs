//! Answers that every door gives: JSON, errors as `{"error": "..."}`, never a
//! header that lets another origin read them.

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

/// The body of an answer that is no success.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// What is wrong.
    pub(crate) error: String,
    /// Each mistake, where there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mistakes: Vec<String>,
}

/// An error with its message.
pub(crate) fn error(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(ErrorBody { error: message.into(), mistakes: Vec::new() })).into_response()
}

/// For a path that nothing stands behind.
pub(crate) async fn no_such_route(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, format!("nothing at {}", uri.path()))
}

/// For a path that knows other methods.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, format!("{} knows no {method}", uri.path()))
}

/// Turns away requests with a body, which no route reads, and keeps answers out
/// of caches.
pub(crate) async fn bodiless(request: Request, next: Next) -> Response {
    let mut response = if request.body().is_end_stream() {
        next.run(request).await
    } else {
        error(StatusCode::PAYLOAD_TOO_LARGE, "no route takes a body")
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
