//! HTTP requests with a body, over TCP from any local address, over TLS, and over a Unix socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};
use turn_client::{TlsOptions, Wire};

use super::http::{HttpResponse, parse};

/// A request that is sent on a connection of its own.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl HttpRequest {
    /// A request with any method, without headers of its own and without a body.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: String::new() }
    }

    /// `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST` with a JSON body.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        let this = Self::new("POST", path).header("Content-Type", "application/json");
        this.body(body.to_string())
    }

    /// `POST` with a form.
    pub fn form(path: impl Into<String>, body: &str) -> Self {
        let kind = "application/x-www-form-urlencoded";
        Self::new("POST", path).header("Content-Type", kind).body(body)
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// `Authorization: Bearer KEY`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    /// Any body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over TCP.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn to(&self, server: SocketAddr) -> io::Result<HttpResponse> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        self.exchange(stream, &server.to_string())
    }

    /// Sends it over TCP from a local address.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn from_to(&self, local: IpAddr, server: SocketAddr) -> io::Result<HttpResponse> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SockAddr::from(SocketAddr::new(local, 0)))?;
        socket.connect_timeout(&SockAddr::from(server), PATIENCE)?;
        self.exchange(socket.into(), &server.to_string())
    }

    /// Sends it over TLS.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn to_tls(&self, server: SocketAddr, options: &TlsOptions) -> io::Result<HttpResponse> {
        let wire = Wire::connect_tls(SocketAddr::new(server.ip(), 0), server, options)?;
        wire.send(self.text(&server.to_string()).as_bytes())?;
        let mut answer = Vec::new();
        loop {
            match wire.read_some(PATIENCE)? {
                Some(bytes) if bytes.is_empty() => return read(&answer),
                Some(bytes) => answer.extend(bytes),
                None => return Err(ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Sends it to a Unix socket.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn to_socket(&self, socket: &Path) -> io::Result<HttpResponse> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(self.text("localhost").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        read(&answer)
    }

    fn exchange(&self, mut stream: TcpStream, host: &str) -> io::Result<HttpResponse> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(self.text(host).as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        read(&answer)
    }

    fn text(&self, host: &str) -> String {
        let Self { method, path, headers, body } = self;
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

impl HttpResponse {
    /// Its body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// All values of a header.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter_map(move |(found, value)| {
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

fn read(answer: &[u8]) -> io::Result<HttpResponse> {
    let answer = String::from_utf8_lossy(answer);
    parse(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, answer.into_owned()))
}
