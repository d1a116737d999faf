//! The connections of one door, bounded: so many at once, one request each, so
//! much time, headers of so many bytes.
//!
//! One request a connection keeps the bound on time simple, and costs a scrape
//! every few seconds nothing. Who comes when all places are taken waits in the
//! backlog until one is free, which takes no longer than the bound on time; who
//! has taken all that one source may have is closed at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service as _;

use crate::attempts::prefix;

/// What the connections of a door may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Of these, so many of one IPv4 address or IPv6 /64.
    pub(crate) per_source: usize,
    /// A connection may take so long, from its first byte to its last.
    pub(crate) within: Duration,
}

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

impl Peer {
    /// Its address; all who have none are one.
    pub(crate) fn source(self) -> IpAddr {
        self.0.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Bounds {
    /// Those of a door for operators.
    pub(crate) const fn for_operators(within: Duration) -> Self {
        Self { connections: 64, per_source: 64, within }
    }
}

/// What a connection goes through before HTTP is spoken on it.
pub(crate) trait Threshold<Io>: Clone + Send + Sync + 'static {
    /// What is behind it.
    type Inside: AsyncRead + AsyncWrite + Unpin + Send;

    /// Takes it across, or drops it.
    fn cross(&self, io: Io) -> impl Future<Output = Option<Self::Inside>> + Send;
}

/// None.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl<Io: AsyncRead + AsyncWrite + Unpin + Send> Threshold<Io> for Plain {
    type Inside = Io;

    async fn cross(&self, io: Io) -> Option<Io> {
        Some(io)
    }
}

/// Serves `router` on a listener until `shutdown`.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    peer: fn(&L::Addr) -> Peer,
    threshold: impl Threshold<L::Io>,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let sources = Arc::new(Sources::default());
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
                let peer = peer(&address);
                let Some(share) = sources.share(peer.source(), bounds.per_source) else {
                    continue;
                };
                let (router, threshold) = (router.clone(), threshold.clone());
                running.spawn(async move {
                    let _held = (place, share);
                    let whole = async {
                        if let Some(io) = threshold.cross(io).await {
                            answer_one(io, peer, router).await;
                        }
                    };
                    // [H30] Who is slower than that has the connection closed.
                    let _ = timeout(bounds.within, whole).await;
                });
            }
        }
    }
    drop(listener);
    let all = async { while running.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, all).await;
}

/// How many connections each source has.
#[derive(Debug, Default)]
struct Sources {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of a source, as long as it is open.
#[derive(Debug)]
struct Share {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    fn share(self: &Arc<Self>, source: IpAddr, most: usize) -> Option<Share> {
        let source = prefix(source);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { sources: Arc::clone(self), source })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}

async fn answer_one(io: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, router: Router) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back_and_leaves_nothing_behind() {
        let sources = Arc::new(Sources::default());
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let held: Vec<_> = (0..3).filter_map(|_| sources.share(source, 2)).collect();
        assert_eq!(held.len(), 2);
        assert!(sources.share(IpAddr::V4(Ipv4Addr::BROADCAST), 2).is_some(), "another source");
        drop(held);
        assert!(sources.share(source, 2).is_some());
        assert!(sources.open.lock().is_ok_and(|open| open.is_empty()));
    }
}
