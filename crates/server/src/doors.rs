//! The doors beside the relay: metrics, the admin socket, admin HTTP and credentials, on the control
//! thread.
//!
//! They are bound before the first packet is served, so that what cannot be bound stops the start.
//! A default that somebody else has is only warned of: two servers on one host are no mistake.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{debug, info, warn};
use turn_admin::{Access, AdminSocket, Control, Counted, CredentialKeys, MetricsPage, SocketError};
use turn_admin::{serve_admin_http, serve_admin_socket, serve_metrics};
use turn_config::{Config, ListenAt, SocketPath};

use crate::credentials_door::{self, CredentialsDoor};
use crate::plan::Origin;
use crate::running::Running;

/// A door that is written in the configuration cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A TCP listener.
    #[error("{key} = \"{address}\": {source}\n  = help: {}", help(source, *address))]
    Listener {
        /// The key of the configuration.
        key: &'static str,
        /// What it says.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The admin socket.
    #[error("admin.socket: {0}")]
    Socket(#[from] SocketError),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn help(error: &std::io::Error, address: SocketAddr) -> String {
    let port = address.port();
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "`ss -lntp 'sport = :{port}'` names who has it; choose another port, or \"off\""
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "no interface has this address; `ip address` lists them".to_owned()
        }
        _ => "choose another address, or \"off\"".to_owned(),
    }
}

/// Bound, and not served yet.
#[derive(Debug)]
pub struct Doors {
    metrics: Option<TcpListener>,
    admin: Option<TcpListener>,
    socket: Option<AdminSocket>,
    credentials: Option<CredentialsDoor>,
    page: Arc<MetricsPage>,
    access: Arc<Access>,
}

/// What can be changed about open doors.
#[derive(Debug, Clone)]
pub struct Keys {
    page: Arc<MetricsPage>,
    access: Arc<Access>,
    /// Who is given credentials.
    pub(crate) credential_keys: Option<Arc<CredentialKeys>>,
    /// Where credentials are given out.
    pub credentials: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where the admin socket is.
    pub socket: Option<PathBuf>,
    /// Where admin HTTP is served.
    pub admin: Option<SocketAddr>,
}

impl Doors {
    /// Binds what `config` asks for.
    ///
    /// # Errors
    /// Something that is written cannot be bound.
    pub fn bind(config: &Config, origin: Origin) -> Result<Self, DoorError> {
        let metrics = match config.metrics.address {
            ListenAt::Off => None,
            ListenAt::At(address) => Some(listen("metrics.address", address)?),
            ListenAt::Default(address) => listen("metrics.address", address)
                .map_err(|error| warn!("no metrics are served: {error}"))
                .ok(),
        };
        let admin = config.admin.address.map(|address| listen("admin.address", address));
        let admin = admin.transpose()?;
        let socket = match &config.admin.socket {
            SocketPath::Off => None,
            SocketPath::At(path) => Some(AdminSocket::bind(path)?),
            SocketPath::Default(path) => match AdminSocket::bind(path) {
                Ok(socket) => Some(socket),
                // Whoever tries it out is seldom root, and /run is root's.
                Err(error) if origin == Origin::Defaults => {
                    debug!("no admin socket: {error}");
                    None
                }
                Err(error) => {
                    warn!(
                        "no admin socket, so turnserver status, drain and reload do not reach this server: {error}"
                    );
                    None
                }
            },
        };
        let credentials = CredentialsDoor::bind(config)?;
        let page = MetricsPage::new(&config.metrics.path, config.metrics.coturn_names);
        let access = Access::new(tokens(config), &config.admin.hosts);
        let (page, access) = (Arc::new(page), Arc::new(access));
        Ok(Self { metrics, admin, socket, credentials, page, access })
    }

    /// What can be changed about them, and where they are.
    pub fn keys(&self) -> Keys {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        Keys {
            page: Arc::clone(&self.page),
            access: Arc::clone(&self.access),
            credential_keys: self.credentials.as_ref().map(CredentialsDoor::keys),
            credentials: self.credentials.as_ref().and_then(CredentialsDoor::address),
            metrics: self.metrics.as_ref().and_then(address),
            socket: self.socket.as_ref().map(|socket| socket.path().to_owned()),
            admin: self.admin.as_ref().and_then(address),
        }
    }

    /// Serves them until `end` says so; within a runtime.
    ///
    /// # Errors
    /// A listener cannot be given to the runtime.
    pub fn open(self, running: &Arc<Running>, end: &watch::Receiver<bool>) -> std::io::Result<()> {
        let control: &Arc<dyn Control> = &(Arc::clone(running) as _);
        let until = || until(end);
        if let Some(door) = self.credentials {
            door.open(running, end)?;
        }
        if let Some(listener) = self.metrics {
            let address = listener.local_addr()?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            info!(%address, "metrics are served");
            tokio::spawn(serve_metrics(listener, self.page, Arc::clone(control), until()));
        }
        if let Some(listener) = self.admin {
            let address = listener.local_addr()?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            info!(%address, "admin HTTP is served");
            tokio::spawn(serve_admin_http(listener, self.access, Arc::clone(control), until()));
        }
        if let Some(socket) = self.socket {
            let (control, until) = (Arc::clone(control), until());
            info!(path = %socket.path().display(), "the admin socket is served");
            tokio::spawn(async move {
                if let Err(error) = serve_admin_socket(socket, control, until).await {
                    warn!(%error, "the admin socket is not served");
                }
            });
        }
        Ok(())
    }
}

impl Keys {
    /// Credentials given out so far, by key.
    pub fn issued(&self) -> Vec<Counted> {
        self.credential_keys.as_ref().map(|keys| keys.issued()).unwrap_or_default()
    }

    /// Requests for credentials turned away so far, by reason.
    pub fn refused(&self) -> Vec<Counted> {
        self.credential_keys.as_ref().map(|keys| keys.refused()).unwrap_or_default()
    }

    /// Goes by the tokens, hosts, path and names of `config` from now on.
    pub fn exchange(&self, config: &Config) {
        self.page.replace(&config.metrics.path, config.metrics.coturn_names);
        self.access.replace(tokens(config), &config.admin.hosts);
        if let Some((keys, credentials)) =
            self.credential_keys.as_ref().zip(config.credentials.as_ref())
        {
            keys.replace(&credentials_door::settings(credentials));
        }
    }
}

/// Comes back when `end` says so.
pub(crate) fn until(end: &watch::Receiver<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut end = end.clone();
    async move {
        // An end that can no longer be said has come.
        let _ = end.wait_for(|is_over| *is_over).await;
    }
}

fn tokens(config: &Config) -> impl Iterator<Item = &str> {
    config.admin.tokens.iter().map(turn_config::Secret::reveal)
}

pub(crate) fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, DoorError> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|source| DoorError::Listener { key, address, source })
}
