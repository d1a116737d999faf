//! What the admin doors answer, once they have let somebody in.
//!
//! | route | |
//! |---|---|
//! | `GET /status` | [`Status`] |
//! | `GET /allocations` | every live allocation, [`AllocationRow`] |
//! | `DELETE /allocations/{id}` | ends one; 404 where there is none |
//! | `GET /drain`, `POST /drain` | [`DrainStatus`]; POST begins it |
//! | `POST /reload` | [`ReloadReport`](crate::ReloadReport), or 422 with every mistake |
//! | `GET /metrics`, `/healthz`, `/readyz`, `/version` | as on the metrics door, with our own names |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::answer::{ErrorBody, bodiless, error, no_such_route, wrong_method};
use crate::control::{Control, Ended};
use crate::health;
use crate::metrics_page;
use crate::scrape::Scrape;
use crate::status::{AllocationRow, DrainStatus, Status};

struct Door {
    control: Arc<dyn Control>,
    scrape: Scrape,
}

/// The routes of the admin doors.
pub(crate) fn router(control: Arc<dyn Control>) -> Router {
    let scrape = Scrape::new(Arc::clone(&control));
    let door = Arc::new(Door { control: Arc::clone(&control), scrape });
    Router::new()
        .route("/status", get(status))
        .route("/allocations", get(allocations))
        .route("/allocations/{id}", delete(end_allocation))
        .route("/drain", get(drain_status).post(drain))
        .route("/reload", post(reload))
        .route("/metrics", get(metrics))
        .with_state(door)
        .merge(health::router(control))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(bodiless))
}

async fn status(State(door): State<Arc<Door>>) -> Json<Status> {
    Json(door.control.status().await)
}

async fn allocations(State(door): State<Arc<Door>>) -> Json<Vec<AllocationRow>> {
    Json(door.control.allocations().await)
}

async fn end_allocation(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Response {
    let control = Arc::clone(&door.control);
    let wanted = id.clone();
    let ended = to_its_end(async move { control.end_allocation(wanted).await });
    match ended.await {
        Ok(Ended::Done) => Json(json!({ "ended": id })).into_response(),
        Ok(Ended::Unknown) => {
            error(StatusCode::NOT_FOUND, format!("no live allocation has the id {id}"))
        }
        Ok(Ended::NotAnId) => {
            error(StatusCode::BAD_REQUEST, format!("{id} is no id of an allocation"))
        }
        Err(response) => response,
    }
}

async fn drain_status(State(door): State<Arc<Door>>) -> Json<DrainStatus> {
    Json(door.control.status().await.drain)
}

async fn drain(State(door): State<Arc<Door>>) -> Response {
    let control = Arc::clone(&door.control);
    match to_its_end(async move { control.drain().await }).await {
        Ok(status) => Json(status).into_response(),
        Err(response) => response,
    }
}

async fn reload(State(door): State<Arc<Door>>) -> Response {
    let control = Arc::clone(&door.control);
    match to_its_end(async move { control.reload().await }).await {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(mistakes)) => {
            let error = "the new configuration is refused; the running one stays".to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, Json(ErrorBody { error, mistakes })).into_response()
        }
        Err(response) => response,
    }
}

async fn metrics(State(door): State<Arc<Door>>) -> Response {
    metrics_page::response(&*door.scrape.figures().await, false)
}

/// Runs what changes something in a task of its own, so that it is not left half
/// done when whoever asked has gone.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Response> {
    // [R18] Applied in full or not at all, whoever listens.
    tokio::spawn(work)
        .await
        .map_err(|_| error(StatusCode::INTERNAL_SERVER_ERROR, "this has failed; see the log"))
}
