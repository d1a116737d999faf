//! `/api/v1/credentials`: managed credentials over the admin doors.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::accounts::{
    Account, AccountError, AccountFilter, AccountName, AccountPage, Accounts, ClosedAccount,
    NewAccount,
};
use super::read::{Words, bad, json_body};
use crate::admin_routes::{Door, to_its_end};
use crate::answer::Failure;
use crate::credentials::{array, is_user_name, w3c};
use crate::day::unix_now;
use crate::openapi::{Answer, Operation, Parameter, Routes};
use crate::query::escape;

/// So many entries a page has at most, and if nobody says.
const MOST_ENTRIES: usize = 1000;
const USUAL_ENTRIES: usize = 100;

type Shared = State<Arc<Door>>;

/// The routes.
pub(crate) fn routes() -> Routes<Arc<Door>> {
    const REALM: Parameter = Parameter::query("realm", "its realm; the default one if not said");
    const NAME: Parameter = Parameter::path("username", "its user name, percent-encoded");
    const NAMED: &[Parameter] = &[NAME, REALM];
    const ONE: &str = "/api/v1/credentials/{username}";
    Routes::new()
        .with(
            Operation::post("/api/v1/credentials", "Makes a managed credential.")
                .reading("NewCredential", true)
                .giving([Answer::json(
                    201,
                    "CreatedCredential",
                    "the credential, its password and its iceServers",
                )]),
            create,
        )
        .with(
            Operation::get("/api/v1/credentials", "Managed credentials of a realm, by name.")
                .taking([
                    REALM,
                    Parameter::query("label", "only those with this label"),
                    Parameter::query("after", "from behind this user name: `next` of a page"),
                    Parameter::query("limit", "entries of a page, 1 to 1000; 100 if not said")
                        .kind("integer"),
                ])
                .giving([Answer::json(200, "CredentialPage", "a page; `next` if there is more")]),
            list,
        )
        .with(
            Operation::get(ONE, "One managed credential, without its password.")
                .taking(NAMED)
                .giving([Answer::json(200, "Credential", "the credential")]),
            get,
        )
        .with(
            Operation::delete(ONE, "Deletes it and ends its live allocations.")
                .taking(NAMED)
                .giving([Answer::json(200, "ClosedCredential", "as it was")]),
            delete,
        )
        .with(
            Operation::post(
                "/api/v1/credentials/{username}/disable",
                "Lets nobody use it and ends its live allocations.",
            )
            .taking(NAMED)
            .giving([Answer::json(200, "ClosedCredential", "as it is now")]),
            disable,
        )
        .with(
            Operation::post("/api/v1/credentials/{username}/enable", "Lets it be used again.")
                .taking(NAMED)
                .giving([Answer::json(200, "Credential", "as it is now")]),
            enable,
        )
        .with(
            Operation::get(
                "/api/v1/credentials/{username}/ice-servers",
                "Its iceServers, password included.",
            )
            .taking([
                NAME,
                REALM,
                Parameter::query("format", "w3c (default), or array for the bare list"),
            ])
            .giving([Answer::json(200, "IceServers", "what a client takes")]),
            ice_servers,
        )
}

async fn create(State(door): Shared, request: Request) -> Result<Response, Failure> {
    let accounts = accounts(&door)?;
    let new = checked(json_body(request).await?)?;
    let work = async move {
        let created = accounts.create(new).await?;
        let name = AccountName {
            realm: Some(created.account.realm.clone()),
            username: created.account.username.clone(),
        };
        // It is made, whether its URLs can be told at this moment or not.
        Ok((accounts.ice_servers(name).await.ok(), created))
    };
    let (ice, created) = to_its_end(work).await?.map_err(AccountError::failure)?;
    let account = &created.account;
    let (name, realm) = (escape(&account.username), escape(&account.realm));
    let place = format!("/api/v1/credentials/{name}?realm={realm}");
    let mut body = json!(created);
    if let (Some(ice), Some(object)) = (ice, body.as_object_mut()) {
        let login = (ice.username.as_str(), ice.credential.as_str());
        let servers = w3c(&ice.stun, &ice.turn, login, None);
        object.extend(servers.as_object().cloned().unwrap_or_default());
    }
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

async fn list(State(door): Shared, uri: Uri) -> Result<Response, Failure> {
    let accounts = accounts(&door)?;
    let words = Words::of(&uri, &["realm", "label", "after", "limit"])?;
    let wanted = words.number("limit", 1..=MOST_ENTRIES)?.unwrap_or(USUAL_ENTRIES);
    let filter = AccountFilter {
        realm: words.text("realm"),
        label: words.text("label"),
        after: words.text("after"),
        // One more tells whether there is another page.
        limit: wanted + 1,
    };
    let mut entries = accounts.list(filter).await.map_err(AccountError::failure)?;
    let is_more = entries.len() > wanted;
    entries.truncate(wanted);
    let next = entries.last().filter(|_| is_more).map(|last| last.username.clone());
    Ok(Json(AccountPage { credentials: entries, next }).into_response())
}

async fn get(
    State(door): Shared,
    Path(username): Path<String>,
    uri: Uri,
) -> Result<Json<Account>, Failure> {
    let (accounts, name) = named(&door, username, &uri)?;
    accounts.get(name).await.map(Json).map_err(AccountError::failure)
}

async fn enable(
    State(door): Shared,
    Path(username): Path<String>,
    uri: Uri,
) -> Result<Json<Account>, Failure> {
    let (accounts, name) = named(&door, username, &uri)?;
    let work = async move { accounts.enable(name).await };
    to_its_end(work).await?.map(Json).map_err(AccountError::failure)
}

async fn disable(
    State(door): Shared,
    Path(username): Path<String>,
    uri: Uri,
) -> Result<Json<ClosedAccount>, Failure> {
    let (accounts, name) = named(&door, username, &uri)?;
    let work = async move { accounts.disable(name).await };
    to_its_end(work).await?.map(Json).map_err(AccountError::failure)
}

async fn delete(
    State(door): Shared,
    Path(username): Path<String>,
    uri: Uri,
) -> Result<Json<ClosedAccount>, Failure> {
    let (accounts, name) = named(&door, username, &uri)?;
    let work = async move { accounts.delete(name).await };
    to_its_end(work).await?.map(Json).map_err(AccountError::failure)
}

async fn ice_servers(
    State(door): Shared,
    Path(username): Path<String>,
    uri: Uri,
) -> Result<Response, Failure> {
    let accounts = accounts(&door)?;
    let words = Words::of(&uri, &["realm", "format"])?;
    let format = words.text("format");
    let is_list = match format.as_deref() {
        None | Some("w3c") => false,
        Some("array") => true,
        Some(_) => return Err(bad("format is neither w3c nor array", "leave it out for w3c")),
    };
    let name = AccountName { realm: words.text("realm"), username };
    let ice = accounts.ice_servers(name).await.map_err(AccountError::failure)?;
    let login = (ice.username.as_str(), ice.credential.as_str());
    if is_list {
        return Ok(Json(array(&ice.stun, &ice.turn, login)).into_response());
    }
    let ttl = ice.expires_at.map(|end| end.saturating_sub(unix_now()));
    Ok(Json(w3c(&ice.stun, &ice.turn, login, ttl)).into_response())
}

fn accounts(door: &Door) -> Result<Arc<dyn Accounts>, Failure> {
    door.control.accounts().ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            "there is no store that managed credentials could be kept in",
            "name one that can be written in auth.stores, as in \
             \"sqlite:///var/lib/turnserver/users.db\"",
        )
    })
}

fn named(
    door: &Door,
    username: String,
    uri: &Uri,
) -> Result<(Arc<dyn Accounts>, AccountName), Failure> {
    let words = Words::of(uri, &["realm"])?;
    Ok((accounts(door)?, AccountName { realm: words.text("realm"), username }))
}

/// Judges what can be judged without a store, and turns `ttl` into `expires_at`.
fn checked(new: NewAccount) -> Result<NewAccount, Failure> {
    if new.username.as_ref().is_some_and(|name| !is_user_name(name)) {
        let help = "1 to 200 bytes without control characters and without #";
        return Err(bad("username is no user name", help));
    }
    let is_label = |label: &String| {
        (1..=64).contains(&label.len()) && !label.contains(|letter: char| letter.is_control())
    };
    if new.label.as_ref().is_some_and(|label| !is_label(label)) {
        return Err(bad("label is no label", "1 to 64 bytes without control characters"));
    }
    let now = unix_now();
    let expires_at = match (new.expires_at, new.ttl) {
        (Some(_), Some(_)) => {
            return Err(bad("expires_at and ttl exclude each other", "leave one of them out"));
        }
        (Some(end), None) => Some(end),
        (None, Some(0)) => return Err(bad("ttl is at least 1 second", "leave it out for no end")),
        (None, Some(ttl)) => Some(now.saturating_add(ttl)),
        (None, None) => None,
    };
    if expires_at.is_some_and(|end| end <= now || end > LAST_END) {
        let help = "seconds since 1970, later than now";
        return Err(bad("expires_at is no moment to come", help));
    }
    let limits = [new.limits.bandwidth, new.limits.bandwidth_per_allocation];
    if new.limits.allocations == Some(0) || limits.contains(&Some(0)) {
        return Err(bad("a limit of 0 lets nothing through", "disable the credential instead"));
    }
    Ok(NewAccount { expires_at, ttl: None, ..new })
}

/// The end of the year 9999.
const LAST_END: u64 = 253_402_300_799;

impl AccountError {
    fn failure(self) -> Failure {
        let message = self.to_string();
        let (status, help) = match self {
            Self::Unknown => (StatusCode::NOT_FOUND, "GET /api/v1/credentials lists them".into()),
            Self::Exists => {
                (StatusCode::CONFLICT, "choose another username, or leave it out".into())
            }
            Self::NoRealm => {
                (StatusCode::UNPROCESSABLE_ENTITY, "GET /status lists the realms".to_owned())
            }
            Self::Invalid { help, .. } => (StatusCode::UNPROCESSABLE_ENTITY, help),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "GET /status tells how the stores are; try again".to_owned(),
            ),
        };
        Failure::new(status, message, help)
    }
}
