//! `/api/v1/usage`: what was used, over the admin doors.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::lines::Lines;
use super::read::{Words, bad};
use super::usage::{LogQuery, UsageBook, UsageBy, UsageError, UsageFilter, UsageQuery, UsageRows};
use crate::admin_routes::Door;
use crate::answer::Failure;
use crate::day::Day;
use crate::openapi::{Answer, Operation, Parameter, Routes};

/// Rows of a page, and lines of the log that are read at once.
const MOST_ROWS: usize = 1000;

/// So many days are looked at if nobody says from when.
const USUAL_DAYS: u32 = 30;

const NDJSON: &str = "application/x-ndjson";

type Shared = State<Arc<Door>>;

/// The routes.
pub(crate) fn routes() -> Routes<Arc<Door>> {
    const FROM: Parameter =
        Parameter::query("from", "the first day, as in 2026-11-01; 30 days ago if not said")
            .kind("date");
    const TO: Parameter =
        Parameter::query("to", "the last day, which is included; today if not said").kind("date");
    Routes::new()
        .with(
            Operation::get("/api/v1/usage", "Bytes, packets, allocations and seconds of a time.")
                .taking([
                    FROM,
                    TO,
                    Parameter::query(
                        "by",
                        "a row for each of these, with commas: day, realm, tenant, user, label, \
                         credential; one row for everything if not said",
                    ),
                    Parameter::query("realm", "only of this realm"),
                    Parameter::query("tenant", "only of this tenant; empty: of none"),
                    Parameter::query("user", "only of this user"),
                    Parameter::query("label", "only with this label; empty: with none"),
                    Parameter::query("credential", "only of this managed credential"),
                    Parameter::query("limit", "rows of a page, 1 to 1000; 1000 if not said")
                        .kind("integer"),
                    Parameter::query("offset", "rows to leave out: `next` of a page")
                        .kind("integer"),
                ])
                .giving([Answer::json(200, "UsageRows", "the sums; `next` if there are more")]),
            usage,
        )
        .with(
            Operation::get(
                "/api/v1/usage/allocations",
                "The allocation log of a time, a JSON object a line.",
            )
            .taking([FROM, TO])
            .giving([Answer::other(
                200,
                NDJSON,
                "Object",
                "allocations that ended then",
            )]),
            allocations,
        )
}

async fn usage(State(door): Shared, uri: Uri) -> Result<Json<UsageRows>, Failure> {
    let book = book(&door)?;
    let known =
        ["from", "to", "by", "realm", "tenant", "user", "label", "credential", "limit", "offset"];
    let words = Words::of(&uri, &known)?;
    let (from, to) = days(&words)?;
    let by = by(words.text("by").as_deref().unwrap_or_default())?;
    let wanted = words.number("limit", 1..=MOST_ROWS)?.unwrap_or(MOST_ROWS);
    let offset = words.number("offset", 0..=usize::MAX / 2)?.unwrap_or(0) as u64;
    let query = UsageQuery {
        from,
        to,
        by,
        of: UsageFilter {
            realm: words.text("realm"),
            tenant: words.text("tenant"),
            user: words.text("user"),
            label: words.text("label"),
            credential: words.text("credential"),
        },
        offset,
        // One more tells whether there is another page.
        limit: wanted as u64 + 1,
    };
    let mut rows = book.usage(query).await.map_err(UsageError::failure)?;
    let next = (rows.len() > wanted).then_some(offset + wanted as u64);
    rows.truncate(wanted);
    Ok(Json(UsageRows { from: from.to_string(), to: to.to_string(), rows, next }))
}

async fn allocations(State(door): Shared, uri: Uri) -> Result<Response, Failure> {
    let book = book(&door)?;
    let (from, to) = days(&Words::of(&uri, &["from", "to"])?)?;
    let query = LogQuery { from, to, after: None, limit: MOST_ROWS as u64 };
    let lines = Lines::of(book, query).await.map_err(UsageError::failure)?;
    Ok(([(CONTENT_TYPE, NDJSON)], Body::new(lines)).into_response())
}

fn book(door: &Door) -> Result<Arc<dyn UsageBook>, Failure> {
    door.control.usage().ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            "usage is not recorded",
            "take usage.path = \"off\" out of the configuration",
        )
    })
}

fn days(words: &Words) -> Result<(Day, Day), Failure> {
    let day = |name: &str| {
        let Some(text) = words.text(name) else { return Ok(None) };
        let day = text.parse::<Day>().map_err(|error| bad(format!("{name}: {error}"), DAY_HELP))?;
        if day.days_since_1970() < 0 {
            return Err(bad(format!("{name} ({day}) is before 1970-01-01"), DAY_HELP));
        }
        Ok(Some(day))
    };
    let to = day("to")?.unwrap_or_else(Day::today);
    let from = day("from")?.unwrap_or_else(|| to.minus(USUAL_DAYS));
    if from > to {
        return Err(bad(format!("from ({from}) is later than to ({to})"), DAY_HELP));
    }
    Ok((from, to))
}

const DAY_HELP: &str = "as in from=2026-11-01&to=2026-11-30; days are those of UTC";

fn by(words: &str) -> Result<Vec<UsageBy>, Failure> {
    let mut by = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let Some(one) = UsageBy::parse(word) else {
            let known = UsageBy::ALL.map(UsageBy::as_str).join(", ");
            return Err(bad(format!("by: usage is not told apart by {word}"), known));
        };
        if !by.contains(&one) {
            by.push(one);
        }
    }
    Ok(by)
}

impl UsageError {
    fn failure(self) -> Failure {
        let help = "the log says what is wrong with usage.path; try again";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, self.to_string(), help)
    }
}
