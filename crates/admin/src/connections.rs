//! The connections of one door, bounded: so many at once, one request each, so
//! much time, headers of so many bytes.
//!
//! One request a connection keeps the bound on time simple, and costs a scrape
//! every few seconds nothing. Who comes when all places are taken waits in the
//! backlog until one is free, which takes no longer than the bound on time.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service as _;

/// Connections of a door at once.
pub(crate) const MOST_CONNECTIONS: usize = 64;

/// All headers of a request together; the smallest bound that the parser has.
const MOST_HEADER_BYTES: usize = 8192;

/// Header fields of a request.
const MOST_HEADERS: usize = 64;

/// So long a client has for its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// What is under way when a door closes has so long to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a request comes from; none over a Unix socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// Serves `router` on a listener until `shutdown`; a connection may take
/// `within`.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    peer: fn(&L::Addr) -> Peer,
    router: Router,
    within: Duration,
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
            (place, (io, address)) = next => {
                let (router, peer) = (router.clone(), peer(&address));
                running.spawn(async move {
                    let _place = place;
                    // [H30] Who is slower than that has the connection closed.
                    let _ = timeout(within, answer_one(io, peer, router)).await;
                });
            }
        }
    }
    drop(listener);
    let all = async { while running.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, all).await;
}

async fn answer_one(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    peer: Peer,
    router: Router,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEADER_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(io), service);
    // What goes wrong here is the client's doing or its leaving; it has its answer or none.
    let _ = connection.await;
}
