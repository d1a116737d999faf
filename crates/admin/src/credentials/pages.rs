//! Answers for pages of other origins (CORS, the Fetch Standard section 3.2):
//! those of browser keys may read them, all others may not.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::keys::{CredentialKeys, Page};
use super::who::page;
use crate::answer::error_with_help;

/// Lets pages of known origins read the answer, and answers their preflights.
pub(crate) async fn cross_origin(
    State(keys): State<Arc<CredentialKeys>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let known = match page(headers) {
        Page::Of(origin) if keys.knows_origin(origin) => headers.get(ORIGIN).cloned(),
        Page::Of(_) | Page::Unclear | Page::None => None,
    };
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    // No route takes OPTIONS: where there is one, the method is wrong.
    if is_preflight && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response = match known {
            Some(_) => preflight(),
            None => error_with_help(
                StatusCode::FORBIDDEN,
                "no browser key is for pages of this origin",
                "add the origin to credentials.browser_keys, as in https://app.example",
            ),
        };
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = known {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("Link, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Without credentials: no cookie is known here, and none is set.
fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-api-key"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
