//! Requests to the server's HTTP listeners, over TCP and over its Unix socket, byte by byte as a test
//! wants them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status code.
    pub status: u16,
    /// The lines of its head, the status line among them.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET` with a Host header that names the address.
///
/// # Errors
/// When nobody answers there.
pub fn http_get(server: SocketAddr, path: &str) -> io::Result<HttpResponse> {
    http(server, "GET", path, &[("Host", &server.to_string())])
}

/// A request without a body, with these headers and no others.
///
/// # Errors
/// When nobody answers there.
pub fn http(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<HttpResponse> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(stream, method, path, headers)
}

/// A request without a body to a Unix socket.
///
/// # Errors
/// When nobody answers there.
pub fn http_unix(socket: &Path, method: &str, path: &str) -> io::Result<HttpResponse> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(stream, method, path, &[("Host", "localhost")])
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<HttpResponse> {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, answer.into_owned()))
}

pub(super) fn parse(answer: &str) -> Option<HttpResponse> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if is_chunked { joined(body)? } else { body.to_owned() };
    Some(HttpResponse { status, head: head.to_owned(), body })
}

/// Joins the chunks of a body.
fn joined(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(after.get(..length)?);
        rest = after.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_plain_and_a_chunked_body_are_read() {
        let plain = parse("HTTP/1.1 503 Unavailable\r\ncontent-length: 8\r\n\r\ndraining").unwrap();
        assert_eq!((plain.status, plain.body.as_str()), (503, "draining"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().body, "abcde");
    }

    #[test]
    fn what_is_no_response_is_none() {
        assert_eq!(parse("SSH-2.0-x\r\n"), None);
    }
}
