//! Health and version: the same on every door.
//!
//! `/healthz` says whether to start the server anew, `/readyz` whether to send
//! clients here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::answer::error;
use crate::control::Control;
use crate::status::Version;

/// The routes.
pub(crate) fn router(control: Arc<dyn Control>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .with_state(control)
}

async fn healthz(State(control): State<Arc<dyn Control>>) -> Response {
    if control.is_alive() {
        return Json(json!({ "alive": true })).into_response();
    }
    error(StatusCode::SERVICE_UNAVAILABLE, "a shard does not turn")
}

async fn readyz(State(control): State<Arc<dyn Control>>) -> Response {
    // [R19]
    if control.is_ready() {
        return Json(json!({ "ready": true })).into_response();
    }
    error(StatusCode::SERVICE_UNAVAILABLE, control.not_ready_because())
}

async fn version(State(control): State<Arc<dyn Control>>) -> Json<Version> {
    Json(control.version())
}
