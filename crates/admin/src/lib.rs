//! What an operator asks a running server: metrics, health, state, drain, reload.
//!
//! Plain data in, HTTP out: this crate knows no other crate of the workspace.
//! The binary implements [`Control`]; three doors lead to it:
//!
//! | door | who may | what |
//! |---|---|---|
//! | [`serve_metrics`] | who reaches the port | metrics, health, version; nothing that changes |
//! | [`serve_admin_socket`] | the owner of a Unix socket of mode 0600 | everything |
//! | [`serve_admin_http`] | a bearer token, a configured Host, no foreign Origin | everything |
//!
//! [`client::Client`] speaks to the second one for the command line.
//! [`Figures`] are shown under native names (`turn_*`), and under those of
//! coturn where they are wanted ([`coturn_names`]).

#![forbid(unsafe_code)]

mod access;
mod admin_routes;
mod answer;
mod attempts;
pub mod client;
mod connections;
mod control;
pub mod coturn_names;
mod exposition;
mod figures;
mod health;
mod host;
mod latencies;
mod metrics_page;
mod native_names;
mod scrape;
mod serve;
mod socket;
mod status;

pub use access::Access;
pub use control::{BoxFuture, Control, Ended};
pub use coturn_names::coturn_metric_names;
pub use figures::{
    CertificateFigures, ConnectionFigures, Counted, DatagramFigures, DtlsFigures, EndedFigures,
    Figures, HandshakeFigures, PeerConnectionFigures, PortFigures, ProcessFigures,
    RateBucketFigures, ReloadFigures, ResponseFigures, RingFigures, ShardFigures, StreamFigures,
    TenantFigures, TrafficFigures, TransportFigures,
};
pub use latencies::{LATENCY_BOUNDS, Latencies};
pub use metrics_page::MetricsPage;
pub use native_names::metric_names;
pub use serve::{serve_admin_http, serve_admin_socket, serve_metrics};
pub use socket::{AdminSocket, SocketError};
pub use status::{
    AllocationCounts, AllocationRow, CertificateRow, DrainState, DrainStatus, ListenerRow, PortRow,
    ReloadReport, ReloadRow, Status, TrafficRow, Version,
};
