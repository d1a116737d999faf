//! The credentials door, opened: plain, or over TLS.

use std::sync::Arc;
use std::time::Duration;

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::issuer::Issuer;
use super::keys::CredentialKeys;
use super::pages::cross_origin;
use super::routes::{Door, rated, routes};
use crate::answer::{no_such_route, uncached, wrong_method};
use crate::connections::{Bounds, Plain, Threshold, serve};
use crate::serve::peer;

/// The TLS configuration of the next connection. It offers `http/1.1`, or no
/// application protocol at all.
pub type TlsConfigs = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// Everybody may come to this door, and nobody may fill it alone.
const BOUNDS: Bounds =
    Bounds { connections: 1024, per_source: 64, within: Duration::from_secs(10) };

/// So long a client has for its TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// Serves credentials to those who show one of `keys`, until `shutdown`; over TLS
/// where there are configurations for it.
pub async fn serve_credentials(
    listener: TcpListener,
    tls: Option<TlsConfigs>,
    keys: Arc<CredentialKeys>,
    issuer: Arc<dyn Issuer>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let router = routes()
        .with_state(Arc::new(Door { keys: Arc::clone(&keys), issuer }))
        .into_router()
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&keys), rated))
        .layer(from_fn_with_state(keys, cross_origin))
        .layer(from_fn(uncached));
    match tls {
        Some(configs) => serve(listener, peer, Tls(configs), router, BOUNDS, shutdown).await,
        None => serve(listener, peer, Plain, router, BOUNDS, shutdown).await,
    }
}

#[derive(Clone)]
struct Tls(TlsConfigs);

impl<Io: AsyncRead + AsyncWrite + Unpin + Send> Threshold<Io> for Tls {
    type Inside = TlsStream<Io>;

    async fn cross(&self, io: Io) -> Option<TlsStream<Io>> {
        // A client without TLS, or one that has left: nothing of ours is wrong.
        timeout(HANDSHAKE_WITHIN, TlsAcceptor::from((self.0)()).accept(io)).await.ok()?.ok()
    }
}
