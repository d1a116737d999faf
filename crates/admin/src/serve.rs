//! The three doors, opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;

use crate::access::{Access, guard, without_origin};
use crate::admin_routes;
use crate::connections::{Bounds, Peer, Plain, serve};
use crate::control::Control;
use crate::metrics_page::{self, MetricsPage};
use crate::socket::AdminSocket;

/// A scrape, or a look at the health.
const METRICS_WITHIN: Duration = Duration::from_secs(10);

/// A reload with many files, a table of many allocations.
const ADMIN_WITHIN: Duration = Duration::from_secs(120);

/// Serves metrics, health and version until `shutdown`.
pub async fn serve_metrics(
    listener: TcpListener,
    page: Arc<MetricsPage>,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let router = metrics_page::router(page, control);
    serve(listener, peer, Plain, router, Bounds::for_operators(METRICS_WITHIN), shutdown).await;
}

/// Serves everything to those whom `access` admits, until `shutdown`.
pub async fn serve_admin_http(
    listener: TcpListener,
    access: Arc<Access>,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let router = admin_routes::router(control).layer(from_fn_with_state(access, guard));
    serve(listener, peer, Plain, router, Bounds::for_operators(ADMIN_WITHIN), shutdown).await;
}

/// Serves everything to those who may open the socket's file, until `shutdown`;
/// then the file is removed.
///
/// # Errors
/// The socket cannot be given to the runtime.
pub async fn serve_admin_socket(
    socket: AdminSocket,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let router = admin_routes::router(control).layer(from_fn(without_origin));
    let (listener, _file) = socket.open()?;
    serve(listener, |_| Peer(None), Plain, router, Bounds::for_operators(ADMIN_WITHIN), shutdown)
        .await;
    Ok(())
}

pub(crate) const fn peer(address: &SocketAddr) -> Peer {
    Peer(Some(address.ip()))
}
