//! Who may use the admin door over HTTP: a configured Host, no foreign Origin, a
//! token.
//!
//! A page in the operator's browser can send requests here, and by DNS rebinding
//! even believe that it reads its own origin. It cannot choose the Host that the
//! browser writes, nor leave out its Origin, nor know a token. Tokens are kept
//! as digests and compared in constant time.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::time::Instant;
use tracing::warn;

use crate::answer::error;
use crate::attempts::Attempts;
use crate::connections::Peer;
use crate::host::Host;

/// Tokens and hosts of the admin door, exchangeable while it is open.
#[derive(Debug, Default)]
pub struct Access {
    rules: RwLock<Arc<Rules>>,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Rules {
    tokens: Vec<[u8; 32]>,
    hosts: Vec<Host>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    ForeignHost,
    ForeignOrigin,
    HeldBack(Duration),
    NoToken,
    WrongToken,
}

impl Access {
    /// Admits who shows one of `tokens` and asks for one of `hosts`. Without
    /// tokens or hosts nobody is admitted.
    pub fn new(
        tokens: impl IntoIterator<Item: AsRef<str>>,
        hosts: impl IntoIterator<Item: AsRef<str>>,
    ) -> Self {
        let access = Self::default();
        access.replace(tokens, hosts);
        access
    }

    /// From now on these tokens and hosts. What is no host admits nobody.
    pub fn replace(
        &self,
        tokens: impl IntoIterator<Item: AsRef<str>>,
        hosts: impl IntoIterator<Item: AsRef<str>>,
    ) {
        let tokens = tokens.into_iter().map(|token| digest(token.as_ref().as_bytes())).collect();
        let hosts = hosts.into_iter().filter_map(|host| Host::parse(host.as_ref())).collect();
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Rules { tokens, hosts });
    }

    /// Judges a request from `address`.
    fn judge(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        address: IpAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let is_ours = |host: Option<Host>| {
            host.is_some_and(|host| rules.hosts.iter().any(|entry| entry.means(&host)))
        };
        // A target in absolute form names its host a second time (RFC 9112 section 3.2.2).
        let target = uri.authority().map(|authority| Host::parse(authority.as_str()));
        if !is_ours(only(headers, &HOST).and_then(Host::parse)) || !target.is_none_or(is_ours) {
            return Err(Refusal::ForeignHost);
        }
        if headers.contains_key(ORIGIN)
            && !is_ours(only(headers, &ORIGIN).and_then(Host::of_origin))
        {
            return Err(Refusal::ForeignOrigin);
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the token is looked at: what is held back learns nothing.
        if let Some(left) = attempts.held_back(address, now) {
            return Err(Refusal::HeldBack(left));
        }
        let Some(token) = only(headers, &AUTHORIZATION).and_then(bearer) else {
            return Err(Refusal::NoToken);
        };
        if rules.know(token) {
            return Ok(());
        }
        if attempts.fail(address, now) {
            warn!("admin: ten wrong tokens from one address; it is held back for a minute");
        }
        Err(Refusal::WrongToken)
    }
}

impl Rules {
    /// Whether this is one of the tokens. Every one is compared, all of each.
    fn know(&self, token: &str) -> bool {
        let given = digest(token.as_bytes());
        let none = Choice::from(0);
        self.tokens.iter().fold(none, |known, token| known | token.ct_eq(&given)).into()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Refusal {
    fn response(self) -> Response {
        match self {
            Self::ForeignHost => error(StatusCode::FORBIDDEN, "this Host is not in admin.hosts"),
            Self::ForeignOrigin => {
                error(StatusCode::FORBIDDEN, "requests of pages of other origins are refused")
            }
            Self::HeldBack(left) => {
                let mut response =
                    error(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens from this address");
                let seconds = HeaderValue::from(left.as_secs() + 1);
                response.headers_mut().insert(RETRY_AFTER, seconds);
                response
            }
            Self::NoToken => unauthorized("a token is needed: Authorization: Bearer TOKEN"),
            Self::WrongToken => unauthorized("this token is not in admin.tokens"),
        }
    }
}

/// The admin door over TCP.
pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<Peer>().copied().unwrap_or(Peer(None)).source();
    match access.judge(request.uri(), request.headers(), address, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    }
}

/// The Unix socket: no browser comes this way, unless somebody has put a proxy
/// before it; so whatever has an Origin is a foreign page.
pub(crate) async fn without_origin(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        return Refusal::ForeignOrigin.response();
    }
    next.run(request).await
}

fn unauthorized(message: &str) -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The value of a header that stands there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_origin_and_token_together_admit() {
        let asked = headers(&[HOST_LINE, TOKEN_LINE]);
        assert_eq!(judge(&asked), Ok(()));
        let own_page = headers(&[HOST_LINE, TOKEN_LINE, ("origin", "https://turn.example.org")]);
        assert_eq!(judge(&own_page), Ok(()));
    }

    #[test]
    fn a_foreign_host_is_refused_whatever_token_it_brings() {
        let nobody = headers(&[TOKEN_LINE]);
        let foreign = headers(&[("host", "evil.example"), TOKEN_LINE]);
        let two = headers(&[HOST_LINE, ("host", "evil.example"), TOKEN_LINE]);
        for asked in [nobody, foreign, two] {
            assert_eq!(judge(&asked), Err(Refusal::ForeignHost), "{asked:?}");
        }
        let target = Uri::from_static("http://evil.example/drain");
        let asked = headers(&[HOST_LINE, TOKEN_LINE]);
        assert_eq!(access().judge(&target, &asked, CLIENT, now()), Err(Refusal::ForeignHost));
    }

    #[test]
    fn a_foreign_origin_is_refused_whatever_token_it_brings() {
        for origin in ["https://evil.example", "null", "", "http://turn.example.org.evil.example"] {
            let asked = headers(&[HOST_LINE, TOKEN_LINE, ("origin", origin)]);
            assert_eq!(judge(&asked), Err(Refusal::ForeignOrigin), "{origin:?}");
        }
        let two = headers(&[
            HOST_LINE,
            TOKEN_LINE,
            ("origin", "https://turn.example.org"),
            ("origin", "https://evil.example"),
        ]);
        assert_eq!(judge(&two), Err(Refusal::ForeignOrigin));
    }

    #[test]
    fn a_missing_token_is_no_guess_and_a_wrong_one_is() {
        let access = access();
        let ask = |line| {
            access.judge(&Uri::from_static("/"), &headers(&[HOST_LINE, line]), CLIENT, now())
        };
        for _ in 0..20 {
            assert_eq!(ask(("accept", "*/*")), Err(Refusal::NoToken));
            assert_eq!(ask(("authorization", "Basic YTpi")), Err(Refusal::NoToken));
        }
        for _ in 0..10 {
            let wrong = ask(("authorization", "Bearer the first token..."));
            assert_eq!(wrong, Err(Refusal::WrongToken));
        }
        assert!(matches!(ask(TOKEN_LINE), Err(Refusal::HeldBack(_))), "the right one waits, too");
    }

    #[test]
    fn replaced_tokens_are_in_force_at_once() {
        let access = access();
        access.replace(["a token of another day"], ["turn.example.org"]);
        let asked = headers(&[HOST_LINE, TOKEN_LINE]);
        let judged = access.judge(&Uri::from_static("/"), &asked, CLIENT, now());
        assert_eq!(judged, Err(Refusal::WrongToken));
    }

    #[test]
    fn without_tokens_nobody_is_admitted_and_no_debug_form_tells_them() {
        let access = Access::new([""; 0], ["turn.example.org"]);
        let asked = headers(&[HOST_LINE, ("authorization", "Bearer ")]);
        assert!(access.judge(&Uri::from_static("/"), &asked, CLIENT, now()).is_err());
        let first = digest(b"the first token.")[0].to_string();
        assert!(!format!("{:?}", self::access()).contains(&first));
    }

    const HOST_LINE: (&str, &str) = ("host", "turn.example.org:9642");
    const TOKEN_LINE: (&str, &str) = ("authorization", "Bearer the second token");
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn access() -> Access {
        Access::new(["the first token.", "the second token"], ["turn.example.org"])
    }

    fn judge(headers: &HeaderMap) -> Result<(), Refusal> {
        access().judge(&Uri::from_static("/status"), headers, CLIENT, now())
    }

    fn now() -> Instant {
        Instant::now()
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }
}
