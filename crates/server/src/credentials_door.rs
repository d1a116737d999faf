//! The `[credentials]` listener: bound before anything is served, its keys exchanged by reloads.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::info;
use turn_admin::{
    BrowserKey, CredentialKeys, CredentialSettings, ServerKey, SourceRate, TlsConfigs,
    serve_credentials,
};
use turn_config::{Config, Credentials};

use crate::doors::{DoorError, listen, until};
use crate::running::Running;

/// Bound, and not served yet.
#[derive(Debug)]
pub struct CredentialsDoor {
    listener: TcpListener,
    keys: Arc<CredentialKeys>,
    /// What the configuration says of TLS; nothing: where there are certificates.
    tls: Option<bool>,
}

impl CredentialsDoor {
    /// Binds it where `config` has one.
    ///
    /// # Errors
    /// The address cannot be bound, or there is no randomness.
    pub fn bind(config: &Config) -> Result<Option<Self>, DoorError> {
        let Some(credentials) = &config.credentials else { return Ok(None) };
        let address = credentials.address;
        let listener = listen("credentials.address", address)?;
        let keys = CredentialKeys::new(&settings(credentials)).map_err(|source| {
            DoorError::Listener { key: "credentials.address", address, source }
        })?;
        Ok(Some(Self { listener, keys: Arc::new(keys), tls: credentials.tls }))
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Who may come in.
    pub fn keys(&self) -> Arc<CredentialKeys> {
        Arc::clone(&self.keys)
    }

    /// Serves it until `end` says so; within a runtime.
    ///
    /// # Errors
    /// The listener cannot be given to the runtime.
    pub fn open(self, running: &Arc<Running>, end: &watch::Receiver<bool>) -> std::io::Result<()> {
        let address = self.listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let tls = if self.tls == Some(false) { None } else { configs(running) };
        info!(%address, tls = tls.is_some(), "credentials are given out");
        let issuer = Arc::clone(running);
        tokio::spawn(serve_credentials(listener, tls, self.keys, issuer, until(end)));
        Ok(())
    }
}

/// The keys of a configuration; none where it has no `[credentials]`.
pub fn settings(credentials: &Credentials) -> CredentialSettings {
    let server_keys = credentials.server_keys.iter().map(|key| ServerKey {
        id: key.id.clone(),
        key: key.key.reveal().to_owned(),
        tenant: key.tenant.clone(),
        realm: key.realm.clone(),
    });
    let browser_keys = credentials.browser_keys.iter().map(|key| BrowserKey {
        key: key.key.reveal().to_owned(),
        origins: key.origins.clone(),
        user: key.user.clone(),
        ttl: key.ttl,
        tenant: key.tenant.clone(),
        realm: key.realm.clone(),
    });
    let rate = credentials.rate.value().map(|rate| SourceRate {
        events: rate.events,
        period: rate.period,
        burst: rate.burst,
    });
    CredentialSettings {
        server_keys: server_keys.collect(),
        browser_keys: browser_keys.collect(),
        ttl: credentials.ttl,
        max_ttl: credentials.max_ttl,
        rate,
    }
}

/// The certificates of the moment; those of before where a reload has taken them away.
fn configs(running: &Arc<Running>) -> Option<TlsConfigs> {
    let last = Mutex::new(running.server().certificates()?.tls());
    let running = Arc::downgrade(running);
    Some(Arc::new(move || {
        let now = running.upgrade().and_then(|running| running.server().certificates());
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now {
            *last = now.tls();
        }
        Arc::clone(&last)
    }))
}
