//! The store, and one user out of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use redis::Pipeline;
use turn_credentials::{KeyAlgorithm, LongTermKey};
use zeroize::Zeroizing;

use super::credentials::{self, State};
use super::keys;
use super::line::Line;
use super::sweep::Sweep;
use crate::{BoxFuture, Catalog, Store, StoreError, StoredLimits, StoredUser, Writer};

/// Opens a store by its URL; connects to nobody yet.
pub(crate) fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let line = Line::open("auth.stores", url)?;
    Ok(Arc::new(RedisStore { line, sweep: Mutex::default(), asked: Mutex::default() }))
}

/// A store in a Redis database.
#[derive(Debug)]
pub(super) struct RedisStore {
    pub(super) line: Line,
    /// Which keys there are for the catalogue.
    pub(super) sweep: Mutex<Sweep>,
    /// Realms that users were asked of: what there is of them needs no sweep.
    pub(super) asked: Mutex<BTreeSet<String>>,
}

/// Realms belong to the operator; this many are remembered.
const MOST_ASKED: usize = 1024;

impl RedisStore {
    async fn look_up(&self, realm: &str, user: &str) -> Result<Option<StoredUser>, StoreError> {
        self.remember(realm);
        let mut pipeline = Pipeline::new();
        pipeline.get(keys::user(realm, user)).get(keys::sha256(realm, user));
        pipeline.hgetall(keys::credential(realm, user));
        type Found = (Option<String>, Option<String>, HashMap<String, String>);
        let (md5, sha256, credential): Found = self.line.ask(&pipeline).await?;
        let (md5, sha256) = (md5.map(Zeroizing::new), sha256.map(Zeroizing::new));
        if credentials::is_of(&credential, realm, user) {
            match State::of(&credential) {
                // Its name wins, and a disabled one is nobody.
                State::Disabled => return Ok(None),
                State::Enabled => return self.managed(&credential).map(Some),
                State::Deleted => {}
            }
        }
        md5.map(|md5| self.static_user(&md5, sha256)).transpose()
    }

    fn managed(&self, credential: &HashMap<String, String>) -> Result<StoredUser, StoreError> {
        let text = |field: &str| credential.get(field).filter(|text| !text.is_empty());
        let key = |algorithm, field| text(field).map(|hex| self.key(algorithm, hex)).transpose();
        Ok(StoredUser {
            md5: key(KeyAlgorithm::Md5, "md5")?,
            sha256: key(KeyAlgorithm::Sha256, "sha256")?,
            expires_at: credentials::number(credential, "expires_at"),
            limits: credentials::limits(credential),
            label: text("label").cloned(),
            is_managed: true,
        })
    }

    fn static_user(
        &self,
        hex: &str,
        sha256: Option<Zeroizing<String>>,
    ) -> Result<StoredUser, StoreError> {
        let hex = hex.trim();
        let (mut md5, mut long) = (None, None);
        if hex.len() == KeyAlgorithm::Sha256.key_len() * 2 {
            // coturn 4.4 could be told to write these.
            long = Some(self.key(KeyAlgorithm::Sha256, hex)?);
        } else {
            md5 = Some(self.key(KeyAlgorithm::Md5, hex)?);
        }
        if let (Some(md5), Some((of, hex))) =
            (&md5, sha256.as_ref().and_then(|text| text.split_once(':')))
            // Made of a former password otherwise: coturn's tools do not know of it.
            && self.key(KeyAlgorithm::Md5, of)?.ct_eq(md5)
        {
            long = Some(self.key(KeyAlgorithm::Sha256, hex)?);
        }
        Ok(StoredUser {
            md5,
            sha256: long,
            expires_at: None,
            limits: StoredLimits::default(),
            label: None,
            is_managed: false,
        })
    }

    fn key(&self, algorithm: KeyAlgorithm, hex: &str) -> Result<LongTermKey, StoreError> {
        LongTermKey::from_hex(algorithm, hex).map_err(|error| {
            self.malformed(format!(
                "the {error} of a user: set the user anew with `turnserver users add`"
            ))
        })
    }

    fn remember(&self, realm: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MOST_ASKED && !asked.contains(realm) {
            asked.insert(realm.to_owned());
        }
    }

    pub(super) fn malformed(&self, what: String) -> StoreError {
        StoreError::Malformed { store: self.line.name().to_owned(), what }
    }
}

impl Store for RedisStore {
    fn name(&self) -> &str {
        self.line.name()
    }

    fn find<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredUser>, StoreError>> {
        Box::pin(self.look_up(realm, user))
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog, StoreError>> {
        Box::pin(self.read_catalog())
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}
