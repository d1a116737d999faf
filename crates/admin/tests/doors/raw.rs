//! HTTP by hand, so that a request can be as wrong as a test wants it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `GET path` with a Host.
pub(crate) async fn get(address: impl ToSocketAddrs, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
}

/// Sends this text and reads until the other side closes.
pub(crate) async fn request(address: impl ToSocketAddrs, text: &str) -> Answer {
    exchange(TcpStream::connect(address).await.unwrap(), text).await
}

/// The same over any stream.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    text: &str,
) -> Answer {
    let mut answer = Vec::new();
    let whole = async {
        // Who refuses what is too long may not read it to its end.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(Duration::from_secs(20), whole)
        .await
        .expect("an answer, and the end of the connection");
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
