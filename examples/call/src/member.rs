//! One browser: its WebSocket from the request to the end.
//!
//! Invariants: only a page of this server gets in; so many at once, so many messages a second, so much
//! silence.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::Shared;
use crate::message::{FromPage, MOST_BYTES, Report, ToPage};
use crate::rooms::{Place, RoomName};

/// Messages that wait for a page which does not read.
const QUEUE: usize = 256;

/// How often a page is pinged, which also keeps the way through a NAT open.
const PING: Duration = Duration::from_secs(20);

/// A page that has said nothing for so long, not even a pong, is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a page has for reading one message.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Messages that a page may send at once, and how long one of them takes to come back.
const BURST: u32 = 200;
const REFILL: Duration = Duration::from_millis(20);

/// Takes a browser in.
pub(crate) async fn enter(
    State(shared): State<Shared>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_page(&headers) {
        // Credentials are given to whoever joins: another site must not join in a visitor's name.
        return (StatusCode::FORBIDDEN, "only the page of this server may join").into_response();
    }
    let Ok(place) = Arc::clone(&shared.members).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many are here; try later").into_response();
    };
    let upgrade = upgrade.max_message_size(MOST_BYTES).max_frame_size(MOST_BYTES);
    upgrade.on_upgrade(move |socket| Member::new(shared, place).run(socket))
}

/// Whether the request's origin is the host that it was sent to.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else { return false };
    let origin = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    origin == Some(host)
}

struct Member {
    shared: Shared,
    place: Option<Place>,
    since: Instant,
    report: Option<Report>,
    post: Sender<ToPage>,
    received: Receiver<ToPage>,
    allowance: Allowance,
    _permit: OwnedSemaphorePermit,
}

/// A token bucket.
struct Allowance {
    left: u32,
    filled: Instant,
}

impl Member {
    fn new(shared: Shared, permit: OwnedSemaphorePermit) -> Self {
        let (post, received) = channel(QUEUE);
        let now = Instant::now();
        let allowance = Allowance { left: BURST, filled: now };
        Self {
            shared,
            place: None,
            since: now,
            report: None,
            post,
            received,
            allowance,
            _permit: permit,
        }
    }

    async fn run(mut self, mut socket: WebSocket) {
        self.talk(&mut socket).await;
        self.leave();
    }

    /// Until the page or the way to it is gone.
    async fn talk(&mut self, socket: &mut WebSocket) {
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let out = tokio::select! {
                message = socket.recv() => {
                    let Some(Ok(message)) = message else { return };
                    heard = Instant::now();
                    let answer = match message {
                        Message::Text(text) => self.hear(&text).await,
                        Message::Close(_) => return,
                        Message::Binary(_) => Some(ToPage::error("only text is understood here")),
                        Message::Ping(_) | Message::Pong(_) => None,
                    };
                    let Some(answer) = answer else { continue };
                    Message::Text(answer.text().into())
                }
                Some(message) = self.received.recv() => Message::Text(message.text().into()),
                _ = pings.tick() => Message::Ping(Vec::new().into()),
                () = sleep_until(heard + SILENCE) => return,
            };
            let Ok(Ok(())) = timeout(WRITE_WITHIN, socket.send(out)).await else { return };
        }
    }

    /// Does what a message says; what comes back goes to the page that sent it.
    async fn hear(&mut self, text: &str) -> Option<ToPage> {
        if !self.allowance.take(Instant::now()) {
            return Some(ToPage::error("too many messages; slow down"));
        }
        let Ok(message) = serde_json::from_str(text) else {
            return Some(ToPage::error("that is no message that this server knows"));
        };
        match message {
            FromPage::Join { room } => Some(self.join(&room).await),
            FromPage::Offer { sdp } => self.hand_on(ToPage::Offer { sdp }),
            FromPage::Answer { sdp } => self.hand_on(ToPage::Answer { sdp }),
            FromPage::Candidate { candidate } => self.hand_on(ToPage::Candidate { candidate }),
            FromPage::Report(report) => {
                self.take_down(report);
                None
            }
            FromPage::Leave {} => {
                self.leave();
                None
            }
        }
    }

    async fn join(&mut self, room: &str) -> ToPage {
        let Some(room) = RoomName::new(room) else {
            return ToPage::error(
                "a room's name has 1 to 32 letters, digits, hyphens and underscores",
            );
        };
        self.leave();
        let servers = match self.shared.ice_servers.fetch(&user()).await {
            Ok(servers) => servers,
            Err(error) => {
                say(&format!("no credentials for a call: {error:#}"));
                return ToPage::error(format!("there are no credentials for a relay: {error}"));
            }
        };
        match self.shared.rooms.join(room, self.post.clone()) {
            Err(error) => ToPage::error(error),
            Ok(place) => {
                let joined =
                    ToPage::Joined { others: place.others, ice_servers: servers.into_json() };
                say(&format!("room {}: somebody joined", place.room.as_str()));
                self.since = Instant::now();
                self.place = Some(place);
                joined
            }
        }
    }

    fn hand_on(&self, message: ToPage) -> Option<ToPage> {
        let Some(place) = &self.place else {
            return Some(ToPage::error("join a room first"));
        };
        let told = self.shared.rooms.tell_other(place, message);
        told.err().map(ToPage::error)
    }

    /// Tells the operator when a call uses another pair than before.
    fn take_down(&mut self, report: Report) {
        let Some(place) = &self.place else { return };
        if self.report.as_ref().is_none_or(|last| !last.is_same_pair(&report)) {
            say(&format!("room {}: connected, {report}", place.room.as_str()));
        }
        self.report = Some(report);
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else { return };
        self.shared.rooms.leave(&place);
        let seconds = self.since.elapsed().as_secs();
        let room = place.room.as_str();
        match self.report.take() {
            Some(report) => say(&format!("room {room}: somebody left after {seconds} s, {report}")),
            None => say(&format!("room {room}: somebody left after {seconds} s, without a call")),
        }
        // What was meant for the room that it has left.
        while self.received.try_recv().is_ok() {}
    }
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let steps = now.duration_since(self.filled).as_millis() / REFILL.as_millis().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        if steps > 0 {
            self.left = self.left.saturating_add(steps).min(BURST);
            self.filled = now;
        }
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

/// A user of its own for each browser, so that quotas are its own too.
fn user() -> String {
    let number = getrandom::u64().unwrap_or_default();
    format!("call-{number:016x}")
}

/// A line for the operator. Nobody may be reading any more.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_of_the_host_that_was_asked_is_let_in() {
        for (origin, host, is_own) in [
            (Some("https://a.example:3443"), "a.example:3443", true),
            (Some("http://localhost:3443"), "localhost:3443", true),
            (Some("https://evil.example"), "a.example:3443", false),
            (Some("https://a.example"), "a.example:3443", false),
            (Some("null"), "a.example:3443", false),
            (None, "a.example:3443", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(is_own_page(&headers), is_own, "{origin:?}");
        }
    }

    #[test]
    fn messages_are_counted_and_come_back_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance { left: BURST, filled: start };
        let taken = (0..300).filter(|_| allowance.take(start)).count();
        assert_eq!(taken, 200);
        assert!(allowance.take(start + REFILL));
        assert!(!allowance.take(start + REFILL));
    }
}
