//! What the admin doors answer, once they have let somebody in.
//!
//! | route | |
//! |---|---|
//! | `GET /status` | [`Status`] |
//! | `GET /allocations` | every live allocation, [`AllocationRow`] |
//! | `DELETE /allocations/{id}` | ends one; 404 where there is none |
//! | `GET /drain`, `POST /drain` | [`DrainStatus`]; POST begins it |
//! | `POST /reload` | [`ReloadReport`](crate::ReloadReport), or 422 with every mistake |
//! | `POST /api/v1/ice-servers` | a time-limited credential of the operator's choice |
//! | `/api/v1/credentials...` | managed credentials, [`account_routes`] |
//! | `/api/v1/usage...` | usage, [`usage_routes`] |
//! | `GET /openapi.json` | the description of all of it, and of the credentials door |
//! | `GET /metrics`, `/healthz`, `/readyz`, `/version` | as on the metrics door, with our own names |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::{ErrorBody, Failure, error, no_such_route, uncached, wrong_method};
use crate::control::{Control, Ended};
use crate::credentials::{
    IssueError, Shape, Wish, is_tag, is_user_name, routes as credential_routes,
};
use crate::exposition::CONTENT_TYPE as TEXT_FORMAT;
use crate::health;
use crate::managed::{account_routes, bad, json_body, usage_routes};
use crate::metrics_page;
use crate::openapi::{Answer, Operation, Parameter, Routes, document};
use crate::scrape::Scrape;
use crate::status::{AllocationRow, DrainStatus, Status};

/// What the handlers work with.
pub(crate) struct Door {
    pub(crate) control: Arc<dyn Control>,
    scrape: Scrape,
}

/// The body of `POST /api/v1/ice-servers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IceRequest {
    /// The realm; none: the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The tenant whose secret is used; none: the realm's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The user id; none: the credential names nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What usage is counted under, beside the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Seconds; none: an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// `w3c`, `array`, `rest`, `twilio` or `link`; none: `w3c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// The routes of the admin doors.
pub(crate) fn router(control: Arc<dyn Control>) -> Router {
    let scrape = Scrape::new(Arc::clone(&control));
    let door = Arc::new(Door { control: Arc::clone(&control), scrape });
    routes()
        .with_state(door)
        .merge(health::routes().with_state(control))
        .into_router()
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(uncached))
}

fn routes() -> Routes<Arc<Door>> {
    Routes::new()
        .with(
            Operation::get("/status", "The server at a glance.").giving([Answer::json(
                200,
                "Object",
                "version, listeners, traffic, stores",
            )]),
            status,
        )
        .with(
            Operation::get("/allocations", "Every live allocation.").giving([Answer::json(
                200,
                "ObjectList",
                "the allocations",
            )]),
            allocations,
        )
        .with(
            Operation::delete("/allocations/{id}", "Ends an allocation.")
                .taking([Parameter::path("id", "its id, as /allocations tells it")])
                .giving([Answer::json(200, "Object", "its id")]),
            end_allocation,
        )
        .with(
            Operation::get("/drain", "How a drain goes.").giving([Answer::json(
                200,
                "Object",
                "state, allocations, deadline",
            )]),
            drain_status,
        )
        .with(
            Operation::post("/drain", "Begins to drain: no new allocation, live ones go on.")
                .giving([Answer::json(200, "Object", "as GET /drain")]),
            drain,
        )
        .with(
            Operation::post("/reload", "Reads the configuration again and applies all of it.")
                .giving([
                    Answer::json(200, "Object", "keys that changed, keys that wait for a restart"),
                    Answer::json(422, "Error", "every mistake; nothing has changed"),
                ]),
            reload,
        )
        .with(
            Operation::get("/metrics", "Figures for Prometheus.").giving([Answer::other(
                200,
                TEXT_FORMAT,
                "Text",
                "the text format 0.0.4",
            )]),
            metrics,
        )
        .with(
            Operation::post("/api/v1/ice-servers", "Makes a time-limited credential.")
                .reading("IceRequest", true)
                .giving([Answer::json(
                    201,
                    "IceServers",
                    "the credential as `format` says; link: a line of text for each header",
                )]),
            ice_servers,
        )
        .with(
            Operation::get("/openapi.json", "This description.").giving([Answer::json(
                200,
                "Object",
                "OpenAPI 3.1",
            )]),
            openapi,
        )
        .merge(account_routes())
        .merge(usage_routes())
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
        Err(failure) => failure.into_response(),
    }
}

async fn drain_status(State(door): State<Arc<Door>>) -> Json<DrainStatus> {
    Json(door.control.status().await.drain)
}

async fn drain(State(door): State<Arc<Door>>) -> Response {
    let control = Arc::clone(&door.control);
    match to_its_end(async move { control.drain().await }).await {
        Ok(status) => Json(status).into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn reload(State(door): State<Arc<Door>>) -> Response {
    let control = Arc::clone(&door.control);
    match to_its_end(async move { control.reload().await }).await {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(mistakes)) => {
            let error = "the new configuration is refused; the running one stays".to_owned();
            let body = ErrorBody { error, help: None, mistakes };
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

async fn metrics(State(door): State<Arc<Door>>) -> Response {
    metrics_page::response(&*door.scrape.figures().await, false)
}

async fn ice_servers(State(door): State<Arc<Door>>, request: Request) -> Result<Response, Failure> {
    let issuer = door.control.issuer().ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            "there is no shared secret to make credentials with",
            "add one to auth.secrets",
        )
    })?;
    let asked: IceRequest = json_body(request).await?;
    let shape = asked.format.as_deref().map_or(Some(Shape::W3c), Shape::parse);
    let shape = shape
        .ok_or_else(|| bad("there is no such format", Shape::ALL.map(Shape::as_str).join(", ")))?;
    if asked.user.as_ref().is_some_and(|user| !is_user_name(user)) {
        let help = "1 to 256 bytes without control characters and without #";
        return Err(bad("user is no user name", help));
    }
    if asked.tag.as_ref().is_some_and(|tag| !is_tag(tag)) {
        return Err(bad("tag is no tag", "1 to 32 letters, digits, and - _ ."));
    }
    let ttl = Duration::from_secs(asked.ttl.unwrap_or(3600));
    if ttl.is_zero() || ttl > LONGEST {
        return Err(bad("ttl is 1 second to 10 years", "leave it out for an hour"));
    }
    let IceRequest { realm, tenant, user, tag, .. } = asked;
    let issued = issuer.issue(Wish { realm, tenant, user, tag, ttl });
    let issued = issued.map_err(IssueError::failure)?;
    Ok(match shape.value(&issued, "") {
        Some(value) => (StatusCode::CREATED, Json(value)).into_response(),
        None => (StatusCode::CREATED, shape.text(&issued)).into_response(),
    })
}

/// An operator's credential is good for so long at most.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

async fn openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| {
        let admin = routes();
        let health = health::routes();
        let admin = [admin.operations(), health.operations()].concat();
        document(&admin, credential_routes().operations()).to_string()
    });
    ([(CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// Runs what changes something in a task of its own, so that it is not left half
/// done when whoever asked has gone.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Failure> {
    // [R18] Applied in full or not at all, whoever listens.
    tokio::spawn(work).await.map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Failure::without_help(status, "this has failed; see the log")
    })
}
