//! A store that does as a test tells it, and a log that a test can read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use turn_credentials::LongTermKey;

use crate::{BoxFuture, Catalog, Store, StoreError, StoredLimits, StoredRealm, StoredUser, Writer};

pub(super) const REALM: &str = "example.org";

/// A store that does as it is told.
#[derive(Debug)]
pub(super) struct Fake {
    name: &'static str,
    state: Mutex<FakeState>,
    asked: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Debug, Default)]
struct FakeState {
    mode: Mode,
    takes: Duration,
    /// Names and labels.
    users: BTreeMap<String, String>,
    secrets: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Mode {
    #[default]
    Good,
    Failing,
    Malformed,
    Hanging,
    Panicking,
}

impl Fake {
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::default(),
            asked: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    pub(super) fn add(&self, user: &str) {
        let label = format!("{user} of {}", self.name);
        self.state.lock().unwrap().users.insert(user.to_owned(), label);
    }

    pub(super) fn remove(&self, user: &str) {
        self.state.lock().unwrap().users.remove(user);
    }

    pub(super) fn secret(&self, secret: &str) {
        self.state.lock().unwrap().secrets.push(secret.to_owned());
    }

    pub(super) fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    pub(super) fn take(&self, takes: Duration) {
        self.state.lock().unwrap().takes = takes;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// What it gives, as it stands now, after the time that it takes.
    async fn give<T>(&self, read: impl FnOnce(&FakeState) -> T) -> Result<T, StoreError> {
        let (mode, takes, value) = {
            let state = self.state.lock().unwrap();
            (state.mode, state.takes, read(&state))
        };
        match mode {
            Mode::Good => {}
            Mode::Failing => {
                let (store, reason) = (self.name.to_owned(), "refused".to_owned());
                return Err(StoreError::Unavailable { store, reason });
            }
            Mode::Malformed => {
                let (store, what) = (self.name.to_owned(), "a key that is none".to_owned());
                return Err(StoreError::Malformed { store, what });
            }
            Mode::Hanging => std::future::pending().await,
            Mode::Panicking => panic!("as told"),
        }
        sleep(takes).await;
        Ok(value)
    }
}

/// Builds it before it is shared.
pub(super) trait Told {
    fn with(self, user: &str) -> Self;
    fn taking(self, takes: Duration) -> Self;
}

impl Told for Arc<Fake> {
    fn with(self, user: &str) -> Self {
        self.add(user);
        self
    }

    fn taking(self, takes: Duration) -> Self {
        self.take(takes);
        self
    }
}

impl Store for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn find<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredUser>, StoreError>> {
        Box::pin(async move {
            assert_eq!(realm, REALM);
            self.asked.fetch_add(1, Ordering::Relaxed);
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            let _leaving = Leaving(&self.now);
            let label = self.give(|state| state.users.get(user).cloned()).await?;
            Ok(label.map(|label| StoredUser {
                md5: Some(LongTermKey::md5(user, realm, "secret")),
                sha256: None,
                expires_at: None,
                limits: StoredLimits::default(),
                label: Some(label),
                is_managed: false,
            }))
        })
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog, StoreError>> {
        Box::pin(self.give(|state| {
            let secrets = state.secrets.iter().cloned().map(Into::into).collect();
            let realm = StoredRealm { secrets, ..StoredRealm::default() };
            Catalog { realms: [(REALM.to_owned(), realm)].into(), ..Catalog::default() }
        }))
    }

    fn writer(&self) -> Option<&dyn Writer> {
        None
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The levels of what was logged.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<tracing::Level>>>);

impl Log {
    pub(super) fn levels(&self) -> Vec<tracing::Level> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("turn_users")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
