//! Users that an application answers for: one POST for each name that is not in memory.
//!
//! ```text
//! POST URL                                       Authorization: Bearer TOKEN
//! {"realm": "example.org", "username": "alice"}
//!
//! 200 {"password": "..."}                        or {"key": "32 hex digits", "sha256_key": "64"}
//!     optional: "label", "expires_at" (Unix seconds), "allocations" (at a time),
//!     "bandwidth" and "bandwidth_per_allocation" (bytes a second, each direction)
//! 404                                            nobody of that name
//! ```
//!
//! 400 and 422 are about this name alone: its client is told to try again.
//! Anything else is a store that fails: another status, a redirect, an answer of over 64 KiB, an
//! answer that says neither password nor key. The system's certificate authorities count.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;
use serde::{Deserialize, Serialize};
use tracing::warn;
use turn_credentials::{KeyAlgorithm, LongTermKey, prepare};
use zeroize::Zeroizing;

use crate::{BoxFuture, Catalog, Store, StoreError, StoredLimits, StoredUser, Writer};

/// Opens a callback; calls nobody yet.
pub(crate) fn open(url: &str, token: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(HttpStore::new(url, token)?))
}

/// An application that answers for its users.
struct HttpStore {
    /// Without a query: a secret belongs into the token.
    name: String,
    url: Url,
    authorization: Option<HeaderValue>,
    client: Client,
    /// Why the last call failed; nothing where it did not.
    failure: Mutex<Option<StoreError>>,
}

#[derive(Serialize)]
struct Question<'a> {
    realm: &'a str,
    username: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    password: Option<Secret>,
    key: Option<Secret>,
    sha256_key: Option<Secret>,
    label: Option<String>,
    expires_at: Option<u64>,
    allocations: Option<u32>,
    bandwidth: Option<u64>,
    bandwidth_per_allocation: Option<u64>,
}

/// Wiped when it is dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Secret(Zeroizing<String>);

const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// The resolver is shorter; this is for everybody else.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const LONGEST_REPLY: usize = 64 * 1024;
const LONGEST_LABEL: usize = 256;

impl HttpStore {
    fn new(url: &str, token: Option<&str>) -> Result<Self, StoreError> {
        let refuse = |what: &str, help: &str| StoreError::Url {
            what: format!("the callback's URL {what}"),
            help: help.to_owned(),
        };
        let example = "write https://app.example/turn-auth";
        let url = Url::parse(url).map_err(|_| refuse("cannot be read", example))?;
        let Some(host) = url.host_str() else { return Err(refuse("names no host", example)) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "has a user or a password in it",
                "put what the application is to see into token: it is sent as Authorization: \
                 Bearer",
            ));
        }
        let authorization = token.map(authorization).transpose().map_err(|_| {
            refuse("has a token that no header can carry", "use letters and digits for the token")
        })?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{host}{port}{}", url.scheme(), url.path());
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if url.scheme() == "http" && !is_here {
            warn!(store = name, "passwords of users come over plain HTTP: use https://");
        }
        let client = client(url.scheme() == "https").map_err(|reason| {
            refuse(
                &format!("cannot be called: {reason}"),
                "install the system's certificate authorities (ca-certificates), or name a file \
                 of them in the environment variable SSL_CERT_FILE",
            )
        })?;
        Ok(Self { name, url, authorization, client, failure: Mutex::default() })
    }

    async fn ask(&self, realm: &str, user: &str) -> Result<Option<StoredUser>, StoreError> {
        let question = Question { realm, username: user };
        let mut request = self.client.post(self.url.clone()).json(&question);
        request = request.header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| self.unavailable(reason(error)))?;
        match response.status() {
            StatusCode::OK => {
                let body = self.body(response).await?;
                self.user(&body, realm, user).map(Some)
            }
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_redirection() => Err(self.unavailable(format!(
                "it answers {status}, and redirects are not followed: write the final URL"
            ))),
            // About this name, which a stranger has made up: no reason to ask for nobody else.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(self.malformed(
                "it answers that a name is wrong, which is no answer: 404 is for who is unknown",
            )),
            status => Err(self.unavailable(format!("it answers {status}"))),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let mut body = Zeroizing::new(Vec::new());
        while let Some(part) =
            response.chunk().await.map_err(|error| self.unavailable(reason(error)))?
        {
            if body.len() + part.len() > LONGEST_REPLY {
                return Err(self.malformed("its answer is longer than 64 KiB"));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn user(&self, body: &[u8], realm: &str, user: &str) -> Result<StoredUser, StoreError> {
        // The text of the error would repeat parts of the answer.
        let reply: Reply = serde_json::from_slice(body)
            .map_err(|_| self.malformed("its answer is not the JSON that is expected"))?;
        let key = |algorithm, hex: &Option<Secret>| {
            hex.as_ref().map(|hex| LongTermKey::from_hex(algorithm, &hex.0)).transpose()
        };
        let (md5, sha256) = match &reply.password {
            Some(password) => {
                let password = prepare(&password.0).map_err(|_| {
                    self.malformed("its password has characters that none may have")
                })?;
                let md5 = LongTermKey::md5(user, realm, &password);
                (Some(md5), Some(LongTermKey::sha256(user, realm, &password)))
            }
            None => (
                key(KeyAlgorithm::Md5, &reply.key)
                    .map_err(|_| self.malformed("its key is not 32 hex digits"))?,
                key(KeyAlgorithm::Sha256, &reply.sha256_key)
                    .map_err(|_| self.malformed("its sha256_key is not 64 hex digits"))?,
            ),
        };
        if md5.is_none() && sha256.is_none() {
            return Err(self.malformed("its answer has neither password nor key"));
        }
        let label = reply.label.as_deref().filter(|label| !label.is_empty());
        if label.is_some_and(|label| label.len() > LONGEST_LABEL) {
            return Err(self.malformed("its label is longer than 256 bytes"));
        }
        Ok(StoredUser {
            md5,
            sha256,
            expires_at: reply.expires_at,
            limits: StoredLimits {
                allocations: reply.allocations,
                bandwidth: reply.bandwidth,
                bandwidth_per_allocation: reply.bandwidth_per_allocation,
            },
            label: label.map(str::to_owned),
            is_managed: false,
        })
    }

    fn unavailable(&self, reason: String) -> StoreError {
        StoreError::Unavailable { store: self.name.clone(), reason }
    }

    fn malformed(&self, what: &str) -> StoreError {
        StoreError::Malformed { store: self.name.clone(), what: what.to_owned() }
    }
}

impl Store for HttpStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn find<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredUser>, StoreError>> {
        Box::pin(async move {
            let result = self.ask(realm, user).await;
            let failure = match &result {
                Err(error @ StoreError::Unavailable { .. }) => Some(error.clone()),
                Ok(_) | Err(_) => None,
            };
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
            result
        })
    }

    /// An application has no catalogue. While its last call has failed, it has not recovered
    /// either.
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog, StoreError>> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async { failure.map_or_else(|| Ok(Catalog::default()), Err) })
    }

    fn writer(&self) -> Option<&dyn Writer> {
        None
    }
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

fn authorization(token: &str) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {token}")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// One crypto provider, whatever the process has installed; no proxy out of the environment.
fn client(is_tls: bool) -> Result<Client, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = if is_tls {
        let verifier = Verifier::new(provider).map_err(|error| error.to_string())?;
        versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        versions.with_root_certificates(rustls::RootCertStore::empty())
    };
    Client::builder()
        .tls_backend_preconfigured(config.with_no_client_auth())
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        // One that the application closes just then would be an outage for somebody.
        .pool_max_idle_per_host(0)
        .user_agent("turnserver")
        .build()
        .map_err(reason)
}

/// The error with its causes and without the URL, which may hold a secret.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
