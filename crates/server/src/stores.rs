//! Credential stores between the shards that ask and the resolver that answers.
//!
//! ```text
//!   shard ── FindKey ──> StoreKeys ──> Resolver (a thread of its own) ──> SQLite, PostgreSQL, ...
//!     ^                                   │
//!     └────────── KeySlip::answer ────────┘          within a second, whatever a store does
//! ```

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use turn_admin::{Counted, StoreFigures, StoreRow};
use turn_config::StoreSource;
use turn_credentials::UnixSeconds;
use turn_engine::{Bandwidth, FoundUser, KeyAnswer, Marks, RealmId, UserLimits};
use turn_net::{KeyFinder, KeySlip};
use turn_users::{
    Answer, Catalog, Resolver, Store, StoreConfig, StoreError, StoreHealth, StoredUser,
};
use zeroize::Zeroizing;

use crate::realms::Registry;

/// The stores of a running server; there may be none.
#[derive(Debug, Default)]
pub struct Stores {
    /// Started with the first store.
    resolver: OnceLock<Resolver>,
    started: Notify,
    /// Names of realms.
    names: Mutex<Arc<Registry>>,
    /// What is asked now, for those that write.
    open: Mutex<Vec<Arc<dyn Store>>>,
}

/// How long a start waits for what the stores say of realms: their secrets are to be there with the
/// first packet.
const PATIENCE: Duration = Duration::from_secs(1);

impl Stores {
    /// Asks `stores` from now on.
    ///
    /// # Errors
    /// The thread that asks them cannot be started.
    pub fn ask(&self, stores: Vec<Arc<dyn Store>>) -> io::Result<()> {
        lock(&self.open).clone_from(&stores);
        if let Some(resolver) = self.resolver.get() {
            resolver.replace(stores);
        } else if !stores.is_empty() {
            let resolver = Resolver::start(stores, turn_users::Options::default())?;
            // Reloads take turns, so nobody else has started one.
            let _ = self.resolver.set(resolver);
            self.started.notify_one();
        }
        Ok(())
    }

    /// What the stores say of realms, once each has been asked or a second is over.
    pub fn first_catalog(&self) -> Arc<Catalog> {
        let Some(resolver) = self.resolver.get() else { return Arc::default() };
        let catalog = resolver.catalog();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && catalog.has_changed().is_ok_and(|has| !has) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let known = catalog.borrow();
        Arc::clone(&known)
    }

    /// What the stores say of realms, now and whenever it changes; waits for the first store.
    pub async fn catalog(&self) -> watch::Receiver<Arc<Catalog>> {
        loop {
            match self.resolver.get() {
                Some(resolver) => return resolver.catalog(),
                None => self.started.notified().await,
            }
        }
    }

    /// The one who answers, if there was a store.
    pub fn resolver(&self) -> Option<&Resolver> {
        self.resolver.get()
    }

    /// Goes by these names of realms.
    pub fn set_names(&self, names: Arc<Registry>) {
        *lock(&self.names) = names;
    }

    /// How each store does, for `turnserver status`.
    pub fn rows(&self) -> Vec<StoreRow> {
        let row = |health: StoreHealth| StoreRow {
            name: health.name,
            up: health.is_up,
            last_error: health.last_error,
            lookups: health.looked_up,
            failed: health.failed,
            cached: health.cached,
        };
        self.health().into_iter().map(row).collect()
    }

    /// How each store does, for metrics.
    pub fn figures(&self) -> Vec<StoreFigures> {
        let counted = |word: &str, count| Counted { word: word.to_owned(), count };
        let figures = |health: StoreHealth| StoreFigures {
            store: health.name,
            is_up: health.is_up,
            lookups: vec![
                counted("answered", health.looked_up.saturating_sub(health.failed)),
                counted("failed", health.failed),
                counted("cached", health.cached),
            ],
        };
        self.health().into_iter().map(figures).collect()
    }

    fn health(&self) -> Vec<StoreHealth> {
        self.resolver.get().map(Resolver::health).unwrap_or_default()
    }

    /// The first store that can be written.
    pub fn writable(&self) -> Option<Arc<dyn Store>> {
        lock(&self.open).iter().find(|store| store.writer().is_some()).cloned()
    }
}

/// Opens stores; nothing is asked yet.
///
/// # Errors
/// A URL is of no use.
pub fn open(sources: &[StoreSource]) -> Result<Vec<Arc<dyn Store>>, StoreError> {
    let open = |source: &StoreSource| {
        turn_users::open(&StoreConfig {
            url: Zeroizing::new(source.url.reveal().to_owned()),
            token: source.token.as_ref().map(|token| Zeroizing::new(token.reveal().to_owned())),
            sha256_keys: source.sha256_keys,
        })
    };
    sources.iter().map(open).collect()
}

impl KeyFinder for Stores {
    fn find(&self, realm: RealmId, name: &str, slip: KeySlip) {
        // Without a store nobody asks; the slip answers for itself.
        let Some(resolver) = self.resolver.get() else { return };
        let names = Arc::clone(&lock(&self.names));
        resolver.find(names.realm_name(realm), name, {
            let name = name.to_owned();
            move |answer| slip.answer(key_answer(answer, &name))
        });
    }
}

fn key_answer(answer: Answer, name: &str) -> KeyAnswer {
    match answer {
        Answer::Found(user) => KeyAnswer::Found(found(&user, name)),
        Answer::Unknown => KeyAnswer::Unknown,
        Answer::Unavailable => KeyAnswer::Unavailable,
    }
}

fn found(user: &StoredUser, name: &str) -> FoundUser {
    let bandwidth = |bytes_per_second: u64| Bandwidth { bytes_per_second };
    let marks = (user.is_managed || user.label.is_some()).then(|| {
        Arc::new(Marks {
            label: user.label.as_deref().map(Into::into),
            credential: user.is_managed.then(|| name.into()),
        })
    });
    FoundUser {
        md5: user.md5.clone(),
        sha256: user.sha256.clone(),
        expiry: user.expires_at.map(UnixSeconds),
        limits: UserLimits {
            allocations: user.limits.allocations,
            bandwidth: user.limits.bandwidth.map(bandwidth),
            bandwidth_per_allocation: user.limits.bandwidth_per_allocation.map(bandwidth),
        },
        marks,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
