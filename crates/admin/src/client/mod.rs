//! The command line's side of the admin socket.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::answer::ErrorBody;
use crate::control::Ended;
use crate::status::{AllocationRow, DrainStatus, ReloadReport, Status, Version};

mod managed;

/// A little longer than the server gives itself.
const WITHIN: Duration = Duration::from_secs(130);

/// Speaks to one server. Each call is a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

/// Why a server has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no server answers at {}: is it running? If its admin.socket is elsewhere, name it with \
         --socket PATH",
        path.display()
    )]
    NoServer {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is somebody else's.
    #[error(
        "{} may not be opened: it belongs to the server's user; try again with sudo",
        path.display()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot speak to the server at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came back is not what a server of this version says.
    #[error("the answer from {} cannot be read ({reason}): is it a turnserver, of this version?",
        path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The server says no.
    #[error("the server refuses: {message}{}", shown(help.as_deref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reason.
        message: String,
        /// What to do about it, where the server says so.
        help: Option<String>,
    },
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Client {
    /// A client of the server at this socket.
    ///
    /// # Errors
    /// Nobody answers there, or the socket may not be opened.
    pub async fn connect(path: impl Into<PathBuf>) -> Result<Self, ClientError> {
        let client = Self { path: path.into() };
        drop(client.stream().await?);
        Ok(client)
    }

    /// `GET /status`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.read(Method::GET, "/status").await
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.read(Method::GET, "/version").await
    }

    /// `GET /allocations`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn allocations(&self) -> Result<Vec<AllocationRow>, ClientError> {
        self.read(Method::GET, "/allocations").await
    }

    /// `DELETE /allocations/{id}`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_allocation(&self, id: &str) -> Result<Ended, ClientError> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
        if id.is_empty() || id == "." || id == ".." || !id.bytes().all(is_id) {
            return Ok(Ended::NotAnId);
        }
        let answer = self.ask(Method::DELETE, &format!("/allocations/{id}")).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Ended::Unknown),
            StatusCode::BAD_REQUEST => Ok(Ended::NotAnId),
            _ => self.accepted(answer).map(|_| Ended::Done),
        }
    }

    /// `POST /drain`: begins it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn drain(&self) -> Result<DrainStatus, ClientError> {
        self.read(Method::POST, "/drain").await
    }

    /// `GET /drain`: how it goes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn drain_status(&self) -> Result<DrainStatus, ClientError> {
        self.read(Method::GET, "/drain").await
    }

    /// `POST /reload`: what was applied, or every mistake of the new configuration.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reload(&self) -> Result<Result<ReloadReport, Vec<String>>, ClientError> {
        let answer = self.ask(Method::POST, "/reload").await?;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            let body: ErrorBody = self.parse(&answer.body)?;
            return Ok(Err(body.mistakes));
        }
        let body = self.accepted(answer)?;
        self.parse(&body).map(Ok)
    }

    /// `GET /metrics`: the page as text.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let body = self.ask(Method::GET, "/metrics").await.and_then(|all| self.accepted(all))?;
        String::from_utf8(body.into()).map_err(|error| self.garbled(&error))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
    ) -> Result<T, ClientError> {
        let answer = self.ask(method, route).await?;
        let body = self.accepted(answer)?;
        self.parse(&body)
    }

    async fn ask(&self, method: Method, route: &str) -> Result<Answer, ClientError> {
        self.say(method, route, Bytes::new()).await
    }

    async fn tell(&self, route: &str, body: &impl Serialize) -> Result<Bytes, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.garbled(&error))?;
        self.say(Method::POST, route, body.into()).await.and_then(|answer| self.accepted(answer))
    }

    async fn say(&self, method: Method, route: &str, body: Bytes) -> Result<Answer, ClientError> {
        let mut whole = Vec::new();
        let collect = |_, piece: &[u8]| {
            whole.extend_from_slice(piece);
            Ok(())
        };
        let status = self.hear(method, route, body, collect).await?;
        Ok(Answer { status, body: whole.into() })
    }

    /// Sends one request and gives each piece of its answer's body to `each`, with
    /// the status of the answer.
    async fn hear(
        &self,
        method: Method,
        route: &str,
        body: Bytes,
        each: impl FnMut(StatusCode, &[u8]) -> io::Result<()>,
    ) -> Result<StatusCode, ClientError> {
        let stream = self.stream().await?;
        let exchange = timeout(WITHIN, exchange(stream, method, route, body, each));
        let late = |_| self.unreachable(ErrorKind::TimedOut.into());
        exchange.await.map_err(late)?.map_err(|error| self.garbled(&error))
    }

    async fn stream(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.path).await.map_err(|source| {
            let (path, kind) = (self.path.clone(), source.kind());
            if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
                return ClientError::NoServer { path };
            }
            if kind == ErrorKind::PermissionDenied {
                return ClientError::Denied { path };
            }
            ClientError::Unreachable { path, source }
        })
    }

    fn accepted(&self, answer: Answer) -> Result<Bytes, ClientError> {
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let body: ErrorBody = self.parse(&answer.body)?;
        let status = answer.status.as_u16();
        Err(ClientError::Refused { status, message: body.error, help: body.help })
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.garbled(&error))
    }

    fn garbled(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::Garbled { path: self.path.clone(), reason: error.to_string() }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        ClientError::Unreachable { path: self.path.clone(), source }
    }
}

/// One request, one answer.
async fn exchange(
    stream: UnixStream,
    method: Method,
    route: &str,
    body: Bytes,
    mut each: impl FnMut(StatusCode, &[u8]) -> io::Result<()>,
) -> Result<StatusCode, Exchange> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder().method(method).uri(route).header(HOST, "turnserver");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(body))?;
    // The connection ends with its only sender.
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body: Incoming = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                each(status, &piece)?;
            }
        }
        Ok(status)
    };
    // Its errors arrive with the answer.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

fn shown(help: Option<&str>) -> String {
    help.map(|help| format!("\n  = help: {help}")).unwrap_or_default()
}

/// What goes wrong on the way.
#[derive(Debug, thiserror::Error)]
enum Exchange {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Request(#[from] hyper::http::Error),
    #[error("it cannot be written on: {0}")]
    Sink(#[from] io::Error),
}
