//! One HTTP request to the metadata service: no name, no proxy, no redirect, a bounded answer.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// Bytes of an answer at most.
const LARGEST: usize = 64 << 10;

/// What the service answers with 200, as text.
pub(super) async fn get(
    service: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<Answer> {
    ask(service, "GET", path, headers).await.filter(|answer| answer.status == 200)
}

/// The same for any method and status.
pub(super) async fn ask(
    service: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<Answer> {
    let answer = async {
        let stream = TcpStream::connect(service).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, service.ip().to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        let exchange = async {
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let flavor = response.headers().get("metadata-flavor").is_some_and(|it| it == "Google");
            let body = Limited::new(response.into_body(), LARGEST).collect().await.ok()?;
            let text = String::from_utf8(body.to_bytes().into()).ok()?;
            Some(Answer { status, text: text.trim().to_owned(), is_google: flavor })
        };
        tokio::pin!(connection, exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection may end with the answer already read.
            _ = &mut connection => exchange.await,
        }
    };
    timeout(PATIENCE, answer).await.ok()?
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    /// `Metadata-Flavor: Google` is there.
    pub(super) is_google: bool,
}
