//! What a running server is asked over HTTP: metrics, health, state, drain, reload,
//! managed credentials and usage by its operator, credentials by applications.
//!
//! Plain data in, HTTP out: this crate knows no other crate of the workspace.
//! The binary implements [`Control`] and [`Issuer`]; four doors lead to them:
//!
//! | door | who may | what |
//! |---|---|---|
//! | [`serve_metrics`] | who reaches the port | metrics, health, version; nothing that changes |
//! | [`serve_admin_socket`] | the owner of a Unix socket of mode 0600 | everything |
//! | [`serve_admin_http`] | a bearer token, a configured Host, no foreign Origin | everything |
//! | [`serve_credentials`] | a server key, or a browser key and its Origin | time-limited credentials, and nothing else |
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
mod credentials;
mod day;
mod exposition;
mod figures;
mod health;
mod host;
mod latencies;
mod managed;
mod metrics_page;
mod native_names;
mod openapi;
mod query;
mod scrape;
mod serve;
mod socket;
mod status;

pub use access::Access;
pub use admin_routes::IceRequest;
pub use control::{BoxFuture, Control, Ended};
pub use coturn_names::coturn_metric_names;
pub use credentials::{
    BrowserKey, CredentialKeys, CredentialSettings, IssueError, Issued, Issuer, ServerKey, Shape,
    SourceRate, TlsConfigs, Wish, is_tag, is_user_name, serve_credentials,
};
pub use day::{Day, NotADay};
pub use figures::{
    CertificateFigures, ConnectionFigures, Counted, DatagramFigures, DtlsFigures, EndedFigures,
    Figures, HandshakeFigures, PeerConnectionFigures, PortFigures, ProcessFigures,
    RateBucketFigures, ReloadFigures, ResponseFigures, RingFigures, ShardFigures, StoreFigures,
    StreamFigures, TenantFigures, TrafficFigures, TransportFigures,
};
pub use latencies::{LATENCY_BOUNDS, Latencies};
pub use managed::{
    Account, AccountError, AccountFilter, AccountIce, AccountLimits, AccountName, AccountPage,
    Accounts, ClosedAccount, CreatedAccount, LogPage, LogQuery, NewAccount, UsageBook, UsageBy,
    UsageError, UsageFilter, UsageQuery, UsageRow, UsageRows,
};
pub use metrics_page::MetricsPage;
pub use native_names::metric_names;
pub use serve::{serve_admin_http, serve_admin_socket, serve_metrics};
pub use socket::{AdminSocket, SocketError};
pub use status::{
    AllocationCounts, AllocationRow, CertificateRow, DrainState, DrainStatus, ListenerRow, PortRow,
    ReloadReport, ReloadRow, Status, StoreRow, TrafficRow, Version,
};
