//! Health and version: the same on every door.
//!
//! `/healthz` says whether to start the server anew, `/readyz` whether to send
//! clients here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::answer::error;
use crate::control::Control;
use crate::openapi::{Answer, Operation, Routes};
use crate::status::Version;

/// The routes.
pub(crate) fn routes() -> Routes<Arc<dyn Control>> {
    Routes::new()
        .with(
            Operation::get("/healthz", "Whether every shard turns.").giving([Answer::json(
                200,
                "Object",
                "they do; 503 where one does not",
            )]),
            healthz,
        )
        .with(
            Operation::get("/readyz", "Whether new clients should be sent here.")
                .giving([Answer::json(200, "Object", "they should; 503 while it drains")]),
            readyz,
        )
        .with(
            Operation::get("/version", "What runs.").giving([Answer::json(
                200,
                "Version",
                "name and version",
            )]),
            version,
        )
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
