//! Calling webhooks: each crossing until it is taken, a few at a time.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::Day;
use crate::threshold::Subject;
use crate::totals::Crossing;

/// Calls that wait at most; others stay in the database until the next start.
const MOST_WAITING: usize = 1_000;

/// Calls at a time.
const MOST_RUNNING: usize = 8;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause after a call that failed; the next ones are twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// How often a call is tried: for half a day.
const MOST_TRIES: u32 = 24;

/// Webhooks that are to be called.
#[derive(Debug)]
pub(crate) struct Webhooks {
    client: Option<Client>,
    waiting: Vec<Call>,
    running: JoinSet<(Call, Result<(), CallError>)>,
    /// What waits or runs, so that nothing is called twice.
    known: HashSet<Key>,
    first_pause: Duration,
}

#[derive(Debug)]
struct Call {
    crossing: Crossing,
    due: Instant,
    pause: Duration,
    tries: u32,
}

type Key = (i64, Subject, Day);

/// What a webhook gets.
#[derive(Debug, Serialize)]
struct Event<'a> {
    event: &'static str,
    per: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    realm: &'a str,
    period: &'static str,
    /// The first day of the period.
    starts: Day,
    bytes: u64,
    limit: u64,
    /// Unix seconds.
    at: u64,
}

/// Why a call was not taken. No URL: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum CallError {
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Request(String),
    #[error("it answers {0}")]
    Status(u16),
}

impl Default for Webhooks {
    fn default() -> Self {
        Self::new(FIRST_PAUSE)
    }
}

impl Webhooks {
    fn new(first_pause: Duration) -> Self {
        Self {
            client: None,
            waiting: Vec::new(),
            running: JoinSet::new(),
            known: HashSet::new(),
            first_pause,
        }
    }

    /// Calls for each of these.
    pub(crate) fn send_all(&mut self, crossings: Vec<Crossing>) {
        for crossing in crossings {
            if self.waiting.len() >= MOST_WAITING {
                warn!(
                    most = MOST_WAITING,
                    "usage: too many webhooks wait; the next start calls the rest"
                );
                return;
            }
            if self.known.insert(key(&crossing)) {
                let (due, pause) = (Instant::now(), self.first_pause);
                self.waiting.push(Call { crossing, due, pause, tries: 0 });
            }
        }
    }

    /// Leaves out what waits; what is on its way arrives.
    pub(crate) fn forget(&mut self) {
        for call in self.waiting.drain(..) {
            self.known.remove(&key(&call.crossing));
        }
    }

    /// Waits for the next call that is taken. Nothing is lost when this is dropped.
    pub(crate) async fn delivered(&mut self) -> Crossing {
        loop {
            self.start();
            let due = self.waiting.iter().map(|call| call.due).min();
            let due = due.filter(|_| self.running.len() < MOST_RUNNING);
            tokio::select! {
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    if let Ok((call, outcome)) = done
                        && let Some(crossing) = self.done(call, outcome)
                    {
                        return crossing;
                    }
                }
                () = at(due) => {}
            }
        }
    }

    /// The next call that is taken of those that are due now; nothing where there is none any more.
    pub(crate) async fn last(&mut self) -> Option<Crossing> {
        self.start();
        while let Some(done) = self.running.join_next().await {
            if let Ok((call, Ok(()))) = done {
                return self.done(call, Ok(()));
            }
        }
        None
    }

    /// Starts what is due.
    fn start(&mut self) {
        let now = Instant::now();
        while self.running.len() < MOST_RUNNING {
            let Some(place) = self.waiting.iter().position(|call| call.due <= now) else { return };
            let call = self.waiting.swap_remove(place);
            match self.client() {
                Ok(client) => {
                    self.running.spawn(async move {
                        let outcome = post(&client, &call.crossing).await;
                        (call, outcome)
                    });
                }
                Err(error) => {
                    self.done(call, Err(error));
                }
            }
        }
    }

    /// What was taken; what was not waits for its next time.
    fn done(&mut self, mut call: Call, outcome: Result<(), CallError>) -> Option<Crossing> {
        let threshold = &call.crossing.threshold;
        let host = host(&threshold.webhook);
        let (per, name) = (threshold.per.as_str(), call.crossing.subject.name.as_str());
        let Err(error) = outcome else {
            info!(host, per, name, "usage threshold passed; its webhook was called");
            self.known.remove(&key(&call.crossing));
            return Some(call.crossing);
        };
        call.tries += 1;
        if call.tries == MOST_TRIES {
            warn!(host, per, name, %error, "usage webhook given up; the next start tries again");
            self.known.remove(&key(&call.crossing));
            return None;
        }
        if call.tries == 1 {
            warn!(host, per, name, %error, "usage webhook fails; tried again with growing pauses");
        }
        call.due = Instant::now() + call.pause;
        call.pause = (call.pause * 2).min(LONGEST_PAUSE);
        self.waiting.push(call);
        None
    }

    fn client(&mut self) -> Result<Client, CallError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = client()?;
        self.client = Some(client.clone());
        Ok(client)
    }
}

async fn post(client: &Client, crossing: &Crossing) -> Result<(), CallError> {
    let threshold = &crossing.threshold;
    let event = Event {
        event: "usage.threshold",
        per: threshold.per.as_str(),
        name: &crossing.subject.name,
        realm: &crossing.subject.realm,
        period: threshold.period.as_str(),
        starts: crossing.start,
        bytes: crossing.bytes,
        limit: threshold.bytes,
        at: crossing.at,
    };
    let mut request = client.post(&threshold.webhook).json(&event);
    if let Some(token) = &threshold.token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(|error| CallError::Request(reason(error)))?;
    // Not followed: a redirect would carry what was counted to somebody else.
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(CallError::Status(status.as_u16())) }
}

/// The system's authorities, and one crypto provider whatever the process has installed.
fn client() -> Result<Client, CallError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls = |error: rustls::Error| CallError::Tls(error.to_string());
    let verifier = Verifier::new(Arc::clone(&provider)).map_err(tls)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .user_agent("turnserver")
        .build()
        .map_err(|error| CallError::Request(reason(error)))
}

/// The error with its causes and without the URL.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason
}

/// What logs show of a URL.
fn host(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "not a URL".to_owned())
}

fn key(crossing: &Crossing) -> Key {
    (crossing.threshold.mark(), crossing.subject.clone(), crossing.start)
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fake_webhook::FakeWebhook;
    use crate::{Per, Period, Threshold};

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_call_carries_the_event_and_the_token() {
        let hook = FakeWebhook::start(&[204]);
        let mut webhooks = Webhooks::default();
        webhooks.send_all(vec![crossing(&hook.url("/hook?key=s3cret"))]);
        let taken = tokio::time::timeout(SOON, webhooks.delivered()).await.unwrap();
        assert_eq!(taken.subject.name, "ann");
        let call = hook.next();
        assert!(call.head.starts_with("POST /hook?key=s3cret HTTP/1.1\r\n"), "{}", call.head);
        assert!(call.head.to_lowercase().contains("authorization: bearer t0ken\r\n"));
        let event: serde_json::Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(
            event,
            serde_json::json!({
                "event": "usage.threshold", "per": "user", "name": "ann", "realm": "example.org",
                "period": "month", "starts": "2026-11-01", "bytes": 120, "limit": 100, "at": 77,
            })
        );
    }

    #[tokio::test]
    async fn a_call_is_tried_until_it_is_taken_and_no_redirect_is_followed() {
        let hook = FakeWebhook::start(&[500, 302, 404, 200]);
        let mut webhooks = Webhooks::new(Duration::from_millis(1));
        let crossing = crossing(&hook.url("/"));
        webhooks.send_all(vec![crossing.clone(), crossing.clone()]);
        tokio::time::timeout(SOON, webhooks.delivered()).await.unwrap();
        assert_eq!((0..4).map(|_| hook.next().status).collect::<Vec<_>>(), [500, 302, 404, 200]);
        assert!(hook.is_quiet(), "called once more than it had to be");
        assert!(webhooks.waiting.is_empty() && webhooks.known.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_an_hour_and_end() {
        let mut webhooks = Webhooks::default();
        let mut call = {
            webhooks.send_all(vec![crossing("http://127.0.0.1:1/")]);
            webhooks.waiting.pop().unwrap()
        };
        let mut pauses = Vec::new();
        loop {
            let before = Instant::now();
            webhooks.done(call, Err(CallError::Status(500)));
            let Some(next) = webhooks.waiting.pop() else { break };
            pauses.push((next.due - before).as_secs());
            call = next;
        }
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!((pauses.len(), pauses.last()), (23, Some(&3_600)));
        assert!(webhooks.known.is_empty());
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let mut webhooks = Webhooks::default();
        let start = Day::FIRST;
        let of = |n: u32| Crossing {
            start: start.max(Day::from_number(n).unwrap()),
            ..crossing("http://a/")
        };
        webhooks.send_all((0..2_000).map(of).collect());
        assert_eq!(webhooks.waiting.len(), MOST_WAITING);
        webhooks.forget();
        assert!(webhooks.waiting.is_empty() && webhooks.known.is_empty());
    }

    #[tokio::test]
    async fn nobody_is_called_over_tls_without_a_known_authority() {
        let client = client().unwrap();
        let hook = FakeWebhook::start(&[200]);
        let url = hook.url("/s3cret").replace("http:", "https:");
        let error = post(&client, &crossing(&url)).await.unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    fn crossing(url: &str) -> Crossing {
        let threshold = Threshold {
            bytes: 100,
            per: Per::User,
            name: None,
            period: Period::Month,
            webhook: url.to_owned(),
            token: Some("t0ken".to_owned()),
        };
        let subject = Subject { realm: "example.org".to_owned(), name: "ann".to_owned() };
        let start = "2026-11-01".parse().unwrap();
        Crossing { threshold: Arc::new(threshold), subject, start, bytes: 120, at: 77 }
    }
}
