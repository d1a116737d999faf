//! The routes of the credentials door: our own, and those that clients of other
//! servers know, so that a move is a change of the URL.
//!
//! | route | as with |
//! |---|---|
//! | `GET`, `POST /v1/credentials?format=` | our own |
//! | `POST /v1/turn/keys/{id}/credentials/generate-ice-servers`, `generate` | Cloudflare |
//! | `GET /api/v1/turn/credentials?apiKey=` | Metered |
//! | `GET /turn?service=turn&username=&key=` | draft-uberti-behave-turn-rest-00 |
//! | `POST /2010-04-01/Accounts/{sid}/Tokens.json` | Twilio |

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::header::{LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use super::asked::{Asked, Unreadable};
use super::issuer::{IssueError, Issued, Issuer, Wish, is_tag, is_user_name};
use super::keys::{Choice, CredentialKeys, Grant, Page, Presented, Refusal};
use super::shapes::{Shape, links, one_entry, w3c};
use super::who::{page, presented};
use crate::answer::{Failure, error, error_with_help};
use crate::connections::Peer;
use crate::openapi::{Answer, Operation, Parameter, Routes};

/// What the handlers work with.
pub(crate) struct Door {
    pub(crate) keys: Arc<CredentialKeys>,
    pub(crate) issuer: Arc<dyn Issuer>,
}

type Shared = State<Arc<Door>>;

/// The routes.
pub(crate) fn routes() -> Routes<Arc<Door>> {
    const NATIVE: &[Parameter] = &[
        Parameter::query("format", "w3c (default), array, rest, twilio or link"),
        Parameter::query("user", "the user's name; for server keys"),
        Parameter::query("tag", "what usage is counted under; for server keys"),
        Parameter::query("ttl", "seconds; for server keys").kind("integer"),
        Parameter::query("apiKey", "a browser key"),
    ];
    const ANSWERS: &[Answer] = &[
        Answer::json(200, "IceServers", "the credential, in the shape that `format` names"),
        Answer::empty(204, "format=link: Link headers of RFC 9725"),
    ];
    const ID: &[Parameter] = &[Parameter::path("id", "the id of the server key")];
    Routes::new()
        .with(
            Operation::get("/v1/credentials", "A time-limited credential.")
                .taking(NATIVE)
                .giving(ANSWERS),
            native,
        )
        .with(
            Operation::post("/v1/credentials", "The same, with what is asked for in the body.")
                .taking(NATIVE)
                .reading("CredentialRequest", false)
                .giving(ANSWERS),
            native,
        )
        .with(
            Operation::post(
                "/v1/turn/keys/{id}/credentials/generate-ice-servers",
                "A credential as Cloudflare gives it.",
            )
            .taking(ID)
            .reading("CredentialRequest", false)
            .giving([Answer::json(201, "IceServers", "iceServers, without a ttl")]),
            ice_servers,
        )
        .with(
            Operation::post(
                "/v1/turn/keys/{id}/credentials/generate",
                "The same in one entry, as Cloudflare gave it before.",
            )
            .taking(ID)
            .reading("CredentialRequest", false)
            .giving([Answer::json(201, "Object", "iceServers as one object")]),
            one_ice_server,
        )
        .with(
            Operation::get("/api/v1/turn/credentials", "A bare list, as Metered gives it.")
                .taking([Parameter::query("apiKey", "a browser key, or a server key")])
                .giving([Answer::json(200, "IceServerList", "one URL an entry")]),
            bare_list,
        )
        .with(
            Operation::get("/turn", "A credential as the TURN REST draft gives it.")
                .taking([
                    Parameter::query("service", "turn"),
                    Parameter::query("username", "the user's name; for server keys"),
                    Parameter::query("ttl", "seconds; for server keys").kind("integer"),
                    Parameter::query("key", "a server key, or a browser key"),
                ])
                .giving([Answer::json(200, "TurnRest", "username, password, ttl and uris")]),
            turn_rest,
        )
        .with(
            Operation::post(
                "/2010-04-01/Accounts/{sid}/Tokens.json",
                "A credential as Twilio gives it; the body may be a form.",
            )
            .taking([Parameter::path("sid", "the id of the server key")])
            .reading("CredentialRequest", false)
            .giving([Answer::json(201, "TwilioToken", "the token")]),
            twilio,
        )
}

/// Bounds the requests of one source.
pub(crate) async fn rated(
    State(keys): State<Arc<CredentialKeys>>,
    request: Request,
    next: Next,
) -> Response {
    match keys.take(source(&request), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    }
}

async fn native(State(door): Shared, request: Request) -> Response {
    give(&door, request, None, |made| {
        let shape = made.shape.unwrap_or(Shape::W3c);
        match shape.value(&made.issued, &made.grant.name) {
            Some(value) => Json(value).into_response(),
            None => link_headers(&made.issued),
        }
    })
    .await
}

async fn ice_servers(State(door): Shared, Path(id): Path<String>, request: Request) -> Response {
    give(&door, request, Some(id), |made| {
        let login = (made.issued.username.as_str(), made.issued.credential.as_str());
        let body = w3c(&made.issued.stun, &made.issued.turn, login, None);
        (StatusCode::CREATED, Json(body)).into_response()
    })
    .await
}

async fn one_ice_server(State(door): Shared, Path(id): Path<String>, request: Request) -> Response {
    give(&door, request, Some(id), |made| {
        (StatusCode::CREATED, Json(one_entry(&made.issued))).into_response()
    })
    .await
}

async fn bare_list(State(door): Shared, request: Request) -> Response {
    give(&door, request, None, |made| json(StatusCode::OK, Shape::Array, &made, "")).await
}

async fn turn_rest(State(door): Shared, request: Request) -> Response {
    give(&door, request, None, |made| json(StatusCode::OK, Shape::Rest, &made, "")).await
}

async fn twilio(State(door): Shared, Path(sid): Path<String>, request: Request) -> Response {
    give(&door, request, Some(sid.clone()), |made| {
        json(StatusCode::CREATED, Shape::Twilio, &made, &sid)
    })
    .await
}

/// A credential, and what its answer depends on.
struct Made {
    issued: Issued,
    grant: Grant,
    shape: Option<Shape>,
}

/// Reads the request, judges its key, makes the credential and writes the answer.
/// Where the path names a key, the key has to be that one, and an application's.
async fn give(
    door: &Door,
    request: Request,
    id: Option<String>,
    write: impl FnOnce(Made) -> Response,
) -> Response {
    match make(door, request, id).await {
        Ok(made) => write(made),
        Err(response) => response,
    }
}

async fn make(door: &Door, request: Request, id: Option<String>) -> Result<Made, Response> {
    let (source, headers) = (source(&request), request.headers().clone());
    let mut asked = Asked::of(request).await.map_err(Unreadable::response)?;
    let shown = with_id(presented(&headers, asked.key.take()), id);
    let page: Page<'_> = page(&headers);
    let grant =
        door.keys.admit(shown.as_ref(), page, source, Instant::now()).map_err(Refusal::response)?;
    if asked.service.as_ref().is_some_and(|service| service != "turn") {
        let help = "ask for service=turn";
        return Err(error_with_help(StatusCode::BAD_REQUEST, "no such service here", help));
    }
    let shape = asked.shape;
    let wish = wish(&grant, asked).map_err(Failure::into_response)?;
    let issued = door.issuer.issue(wish).map_err(IssueError::failure);
    let issued = issued.map_err(Failure::into_response)?;
    door.keys.count(&grant);
    Ok(Made { issued, grant, shape })
}

/// The id of the path beside a key that comes without one.
fn with_id(shown: Option<Presented>, id: Option<String>) -> Option<Presented> {
    shown.map(|shown| Presented { id: shown.id.or(id), ..shown })
}

fn wish(grant: &Grant, asked: Asked) -> Result<Wish, Failure> {
    let bad =
        |message: String, help: &str| Err(Failure::new(StatusCode::BAD_REQUEST, message, help));
    let (user, tag, ttl) = match &grant.choice {
        Choice::Fixed { user, ttl } => (Some(user.clone()), None, *ttl),
        Choice::Free { ttl, max_ttl } => {
            // [H23]
            let wanted = asked.ttl.map_or(*ttl, Duration::from_secs);
            if wanted.is_zero() || wanted > *max_ttl {
                let most = max_ttl.as_secs();
                return bad(
                    format!("ttl is 1 to {most} seconds here"),
                    "ask for less, or raise credentials.max_ttl",
                );
            }
            (asked.user, asked.tag, wanted)
        }
    };
    if user.as_ref().is_some_and(|user| !is_user_name(user)) {
        return bad(
            "this is no user name".to_owned(),
            "1 to 200 bytes without control characters and without #",
        );
    }
    if tag.as_ref().is_some_and(|tag| !is_tag(tag)) {
        return bad("this is no tag".to_owned(), "1 to 32 letters, digits, and - _ .");
    }
    Ok(Wish { realm: grant.realm.clone(), tenant: grant.tenant.clone(), user, tag, ttl })
}

fn json(status: StatusCode, shape: Shape, made: &Made, account: &str) -> Response {
    (status, Json(shape.value(&made.issued, account))).into_response()
}

/// RFC 9725 section 4.6.
fn link_headers(issued: &Issued) -> Response {
    let mut headers = HeaderMap::new();
    for link in links(issued) {
        let Ok(value) = HeaderValue::from_bytes(link.as_bytes()) else {
            return error(StatusCode::BAD_REQUEST, "this user name cannot stand in a header");
        };
        headers.append(LINK, value);
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn source(request: &Request) -> std::net::IpAddr {
    request.extensions().get::<Peer>().copied().unwrap_or(Peer(None)).source()
}

impl Unreadable {
    fn response(self) -> Response {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotText
            | Self::NotJson
            | Self::Twice(_)
            | Self::Ttl
            | Self::NotAText(_)
            | Self::Format => StatusCode::BAD_REQUEST,
        };
        error(status, self.to_string())
    }
}

impl IssueError {
    pub(crate) fn failure(self) -> Failure {
        let status = match self {
            Self::NoSecret | Self::NoRealm | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadUser => StatusCode::BAD_REQUEST,
        };
        Failure::new(status, self.to_string(), self.help())
    }
}

impl Refusal {
    fn response(self) -> Response {
        let (status, message, help) = match self {
            Self::TooOften(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests from this address",
                "wait; credentials.rate says how many are taken",
            ),
            Self::HeldBack(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong keys from this address",
                "wait a minute, and use a key of the configuration",
            ),
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "a key is needed",
                "Authorization: Bearer KEY for a server key, ?apiKey=KEY for a browser key",
            ),
            Self::WrongKey => (
                StatusCode::UNAUTHORIZED,
                "this key is not known",
                "use one of credentials.server_keys or credentials.browser_keys, with its own id",
            ),
            Self::NoOrigin => (
                StatusCode::FORBIDDEN,
                "a browser key is good for pages of its origins, and this request names no origin",
                "use a server key, or POST from the page: browsers leave the Origin out of a GET \
                 to their own origin",
            ),
            Self::ForeignOrigin => (
                StatusCode::FORBIDDEN,
                "this key is not for pages of this origin",
                "add the origin to the key's origins, as in https://app.example",
            ),
            Self::ServerKeyInPage => (
                StatusCode::FORBIDDEN,
                "a server key is not for pages: whoever reads the page has it",
                "exchange the key, and give the page a browser key",
            ),
            Self::NeedsServerKey => (
                StatusCode::FORBIDDEN,
                "this route is for server keys",
                "a page asks GET /v1/credentials?apiKey=KEY",
            ),
        };
        let mut response = error_with_help(status, message, help);
        match self {
            Self::TooOften(wait) | Self::HeldBack(wait) => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            }
            Self::NoKey | Self::WrongKey => {
                let challenge = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            Self::NoOrigin | Self::ForeignOrigin | Self::ServerKeyInPage | Self::NeedsServerKey => {
            }
        }
        response
    }
}
