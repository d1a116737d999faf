//! The store that a command writes to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use turn_config::{Config, StoreSource};
use turn_users::{Store, StoreConfig, StoreError, Writer};
use zeroize::Zeroizing;

/// How long a store is waited for: somebody waits in front of a terminal.
const WITHIN: Duration = Duration::from_secs(15);

/// A store that can be written.
pub struct OpenStore(Arc<dyn Store>);

impl OpenStore {
    /// The store at `url`.
    ///
    /// # Errors
    /// The URL cannot be used, or that store is not written by us.
    pub fn at(url: &str) -> Result<Self, String> {
        let config =
            StoreConfig { url: Zeroizing::new(url.to_owned()), token: None, sha256_keys: false };
        let store = turn_users::open(&config).map_err(|error| told(&error))?;
        if store.writer().is_none() {
            return Err(format!(
                "error: {} is not written by us\n  = help: {ELSEWHERE}",
                store.name()
            ));
        }
        Ok(Self(store))
    }

    /// The first of the configuration that can be written.
    ///
    /// # Errors
    /// There is none, or a URL cannot be used.
    pub fn of(config: &Config) -> Result<Self, String> {
        let open = |source: &StoreSource| {
            let config = StoreConfig {
                url: Zeroizing::new(source.url.reveal().to_owned()),
                token: source.token.as_ref().map(|it| Zeroizing::new(it.reveal().to_owned())),
                sha256_keys: source.sha256_keys,
            };
            turn_users::open(&config).map_err(|error| told(&error))
        };
        for source in &config.auth.stores {
            let store = open(source)?;
            if store.writer().is_some() {
                return Ok(Self(store));
            }
        }
        Err(format!(
            "error: no store of the configuration can be written\n  = help: add one under [auth], such as \
             stores = [\"sqlite:///var/lib/turnserver/users.db\"], or name one: --store URL; {ELSEWHERE}"
        ))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Everything in it that is read as a whole.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn catalog(&self) -> Result<turn_users::Catalog, String> {
        self.within(self.0.catalog()).await
    }

    /// Does something with its writer.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Writer) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let Some(writer) = self.0.writer() else {
            return Err(format!("error: {} is not written by us", self.name()));
        };
        self.within(work(writer)).await
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(WITHIN, work).await {
            Ok(done) => done.map_err(|error| told(&error)),
            Err(_) => Err(format!(
                "error: {} does not answer within {} s\n  = help: see whether it runs and can be reached from \
                 here",
                self.name(),
                WITHIN.as_secs()
            )),
        }
    }
}

/// The URL of a store out of a file, which keeps its password off the command line.
///
/// # Errors
/// The file cannot be read.
pub fn url_in(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| format!("error: cannot read {}: {error}", file.display()))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn told(error: &StoreError) -> String {
    format!("error: {error}")
}

const ELSEWHERE: &str = "users of an http(s) store are kept by your application";
