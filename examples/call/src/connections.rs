//! The connections of the page, bounded: so many at once, so much time for a handshake and for a
//! request's head, headers of so many bytes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

/// Connections at once; those beyond it wait in the backlog.
const MOST_CONNECTIONS: usize = 256;

/// So long a client has for the TLS handshake, and for a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A connection that is no WebSocket ends after this.
const REQUESTS_WITHIN: Duration = Duration::from_secs(60);

/// The wait after an accept that failed, as it does without free descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Serves `router` until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut running = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = running.join_next() => {}
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    let (acceptor, router) = (acceptor.clone(), router.clone());
                    running.spawn(async move {
                        let _place = place;
                        connection(stream, acceptor, router).await;
                    });
                }
                Err(_) => sleep(AFTER_FAILURE).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, router: Router) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => requests(stream, router).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HEAD_WITHIN, acceptor.accept(stream)).await {
                requests(stream, router).await;
            }
        }
    }
}

async fn requests<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A WebSocket goes on in a task of its own, with bounds of its own (`member`).
    let _ = timeout(REQUESTS_WITHIN, connection).await;
}
