//! Writing: the command line, and managed credentials.

use std::collections::{BTreeSet, HashMap};

use redis::Pipeline;
use zeroize::Zeroizing;

use super::credentials::{self, State};
use super::keys;
use super::store::RedisStore;
use crate::hex::hex;
use crate::{BoxFuture, Keys, ManagedCredential, NewCredential, RealmOption, StoreError, Writer};

/// Keys that Redis looks at in one step of a list.
const STEP: usize = 1000;

impl RedisStore {
    async fn reach(&self) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("PING").ignore();
        self.line.ask(&pipeline).await
    }

    async fn write_user(&self, realm: &str, user: &str, made: &Keys) -> Result<(), StoreError> {
        self.writable(&[realm, user])?;
        let mut pipeline = Pipeline::new();
        pipeline.hgetall(keys::credential(realm, user));
        let (credential,): (HashMap<String, String>,) = self.line.ask(&pipeline).await?;
        if credentials::is_of(&credential, realm, user) && State::of(&credential) != State::Deleted
        {
            return Err(self.taken(
                "a managed credential has this name; delete it first, or choose another one",
            ));
        }
        let md5 = hex(made.md5.as_bytes());
        let mut pipeline = Pipeline::new();
        pipeline.atomic().set(keys::user(realm, user), md5.as_str()).ignore();
        match &made.sha256 {
            Some(sha256) => {
                let both = Zeroizing::new(format!("{}:{}", *md5, *hex(sha256.as_bytes())));
                pipeline.set(keys::sha256(realm, user), both.as_str()).ignore();
            }
            None => {
                pipeline.del(keys::sha256(realm, user)).ignore();
            }
        }
        self.line.ask(&pipeline).await
    }

    async fn remove_user(&self, realm: &str, user: &str) -> Result<bool, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.atomic().del(keys::user(realm, user));
        pipeline.del(keys::sha256(realm, user)).ignore();
        let (deleted,): (u64,) = self.line.ask(&pipeline).await?;
        Ok(deleted > 0)
    }

    async fn list_users(&self, realm: Option<&str>) -> Result<Vec<(String, String)>, StoreError> {
        let pattern = keys::users(realm);
        let mut users = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
            let ((next, found),): ((u64, Vec<Vec<u8>>),) = self.line.ask(&pipeline).await?;
            let names = found.iter().filter_map(|key| std::str::from_utf8(key).ok());
            let names = names.filter_map(keys::parse_user);
            users.extend(names.filter(|(of, _)| realm.is_none_or(|realm| realm == of)));
            cursor = next;
            if cursor == 0 {
                return Ok(users.into_iter().collect());
            }
        }
    }

    async fn insert_secret(&self, realm: &str, secret: &str) -> Result<(), StoreError> {
        self.writable(&[realm, secret])?;
        let mut pipeline = Pipeline::new();
        pipeline.sadd(keys::secrets(realm), secret).ignore();
        self.line.ask(&pipeline).await
    }

    async fn remove_secrets(&self, realm: &str, secret: Option<&str>) -> Result<u64, StoreError> {
        let key = keys::secrets(realm);
        let mut pipeline = Pipeline::new();
        match secret {
            Some(secret) => pipeline.srem(key, secret),
            None => pipeline.atomic().scard(&key).del(key).ignore(),
        };
        let (removed,): (u64,) = self.line.ask(&pipeline).await?;
        Ok(removed)
    }

    async fn write_option(
        &self,
        realm: &str,
        option: RealmOption,
        value: Option<u64>,
    ) -> Result<(), StoreError> {
        self.writable(&[realm])?;
        let key = keys::option(realm, option);
        let mut pipeline = Pipeline::new();
        match value {
            Some(value) => pipeline.set(key, value).ignore(),
            None => pipeline.del(key).ignore(),
        };
        self.line.ask(&pipeline).await
    }

    async fn write_origin(&self, origin: &str, realm: Option<&str>) -> Result<(), StoreError> {
        self.writable(&[origin])?;
        let mut pipeline = Pipeline::new();
        match realm {
            Some(realm) => pipeline.set(keys::origin(origin), realm).ignore(),
            None => pipeline.del(keys::origin(origin)).ignore(),
        };
        self.line.ask(&pipeline).await
    }

    /// Refuses what would be read back as something else.
    pub(super) fn writable(&self, names: &[&str]) -> Result<(), StoreError> {
        let is_odd = |name: &&str| name.is_empty() || name.chars().any(char::is_control);
        if !names.iter().any(is_odd) {
            return Ok(());
        }
        Err(StoreError::ReadOnly {
            store: self.line.name().to_owned(),
            what: "an empty name or secret, or one with control characters, cannot be kept"
                .to_owned(),
        })
    }

    pub(super) fn taken(&self, what: &str) -> StoreError {
        StoreError::Taken { store: self.line.name().to_owned(), what: what.to_owned() }
    }
}

impl Writer for RedisStore {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.reach())
    }

    fn put_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        keys: &'a Keys,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_user(realm, user, keys))
    }

    fn delete_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.remove_user(realm, user))
    }

    fn users<'a>(
        &'a self,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreError>> {
        Box::pin(self.list_users(realm))
    }

    fn add_secret<'a>(
        &'a self,
        realm: &'a str,
        secret: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.insert_secret(realm, secret))
    }

    fn delete_secrets<'a>(
        &'a self,
        realm: &'a str,
        secret: Option<&'a str>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.remove_secrets(realm, secret))
    }

    fn set_option<'a>(
        &'a self,
        realm: &'a str,
        option: RealmOption,
        value: Option<u64>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_option(realm, option, value))
    }

    fn set_origin<'a>(
        &'a self,
        origin: &'a str,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_origin(origin, realm))
    }

    fn create_credential<'a>(
        &'a self,
        new: &'a NewCredential,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.insert_credential(new))
    }

    fn credentials<'a>(
        &'a self,
        realm: Option<&'a str>,
        after: Option<&'a str>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<ManagedCredential>, StoreError>> {
        Box::pin(self.list_credentials(realm, after, most))
    }

    fn credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<ManagedCredential>, StoreError>> {
        Box::pin(self.one_credential(realm, user))
    }

    fn password<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Zeroizing<String>>, StoreError>> {
        Box::pin(self.one_password(realm, user))
    }

    fn set_disabled<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        is_disabled: bool,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.switch_credential(realm, user, is_disabled))
    }

    fn delete_credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.remove_credential(realm, user))
    }
}
