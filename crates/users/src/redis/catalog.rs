//! Everything that is not asked for one by one.

use std::collections::BTreeSet;
use std::mem;
use std::sync::PoisonError;

use redis::{FromRedisValue, Pipeline, Value};
use zeroize::Zeroizing;

use super::keys::{self, Listed};
use super::store::RedisStore;
use crate::lifespan::{ENDED_FOR, seconds_now};
use crate::{Catalog, StoreError};

/// Commands that are sent at once.
const BATCH: usize = 256;
/// More members of a set than this are a mistake, and cutting a list of denied peers would be
/// one too.
const MOST_MEMBERS: usize = 10_000;
const MOST_ENDED: isize = 10_000;

impl RedisStore {
    pub(super) async fn read_catalog(&self) -> Result<Catalog, StoreError> {
        let listed: Vec<Listed> = self.listed().await?.into_iter().collect();
        let mut catalog = Catalog::default();
        for batch in listed.chunks(BATCH) {
            let mut pipeline = Pipeline::new();
            for listed in batch {
                let is_set = match listed {
                    Listed::Secrets(_) | Listed::AllowedPeers(_) | Listed::DeniedPeers(_) => true,
                    Listed::MaxBps(_)
                    | Listed::TotalQuota(_)
                    | Listed::UserQuota(_)
                    | Listed::Origin(_) => false,
                };
                let key = listed.key();
                if is_set {
                    pipeline.smembers(key)
                } else {
                    pipeline.get(key)
                };
            }
            let values: Vec<Value> = self.line.ask(&pipeline).await?;
            for (listed, value) in batch.iter().zip(values) {
                self.add(&mut catalog, listed, value)?;
            }
        }
        catalog.ended = self.ended().await?;
        Ok(catalog)
    }

    async fn listed(&self) -> Result<BTreeSet<Listed>, StoreError> {
        let lock = || self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out while it works: a reading that is given up begins a new one.
        let mut sweep = mem::take(&mut *lock());
        let advanced = sweep.advance(&self.line).await;
        let mut listed: BTreeSet<Listed> = sweep.keys().cloned().collect();
        *lock() = sweep;
        advanced?;
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        listed.extend(asked.iter().flat_map(|realm| Listed::of_realm(realm)));
        Ok(listed)
    }

    fn add(&self, catalog: &mut Catalog, of: &Listed, value: Value) -> Result<(), StoreError> {
        let number = |value| {
            let Some(text) = self.read::<Option<String>>(of, value)? else { return Ok(None) };
            let number = text.trim().parse().map_err(|_| {
                self.malformed(format!(
                    "{} is no number: set it with `turnadmin -g`, or delete it",
                    of.key()
                ))
            })?;
            Ok(Some(number))
        };
        match of {
            Listed::Secrets(realm) => {
                let secrets = self.members(of, value)?.into_iter().map(Zeroizing::new);
                // An empty secret would be known to everybody; one without a realm is nobody's.
                let secrets: Vec<_> = secrets.filter(|secret| !secret.is_empty()).collect();
                if !secrets.is_empty() && !realm.is_empty() {
                    catalog.realms.entry(realm.clone()).or_default().secrets = secrets;
                }
            }
            Listed::AllowedPeers(realm) => {
                let ranges = self.members(of, value)?;
                if !ranges.is_empty() {
                    catalog.realms.entry(realm.clone()).or_default().allowed_peers = ranges;
                }
            }
            Listed::DeniedPeers(realm) => {
                let ranges = self.members(of, value)?;
                if !ranges.is_empty() {
                    catalog.realms.entry(realm.clone()).or_default().denied_peers = ranges;
                }
            }
            Listed::MaxBps(realm) => {
                if let Some(number) = number(value)? {
                    catalog.realms.entry(realm.clone()).or_default().max_bps = Some(number);
                }
            }
            Listed::TotalQuota(realm) => {
                if let Some(number) = number(value)? {
                    catalog.realms.entry(realm.clone()).or_default().total_quota = Some(number);
                }
            }
            Listed::UserQuota(realm) => {
                if let Some(number) = number(value)? {
                    catalog.realms.entry(realm.clone()).or_default().user_quota = Some(number);
                }
            }
            Listed::Origin(origin) => {
                if let Some(realm) = self.read::<Option<String>>(of, value)? {
                    catalog.origins.insert(origin.clone(), realm);
                }
            }
        }
        Ok(())
    }

    /// In an order that does not change.
    fn members(&self, of: &Listed, value: Value) -> Result<Vec<String>, StoreError> {
        let mut members: Vec<String> = self.read(of, value)?;
        if members.len() > MOST_MEMBERS {
            let what = format!("{} has more than {MOST_MEMBERS} members", of.key());
            return Err(self.malformed(what));
        }
        members.sort_unstable();
        Ok(members)
    }

    /// The driver's error would repeat the value.
    fn read<T: FromRedisValue>(&self, of: &Listed, value: Value) -> Result<T, StoreError> {
        T::from_redis_value(value).map_err(|_| {
            self.malformed(format!("{} holds something else than coturn writes there", of.key()))
        })
    }

    /// The latest ones first.
    async fn ended(&self) -> Result<Vec<(String, String)>, StoreError> {
        let since = seconds_now().saturating_sub(ENDED_FOR);
        let mut pipeline = Pipeline::new();
        pipeline.zrevrange_withscores(keys::DISABLED, 0, MOST_ENDED - 1);
        pipeline.cmd("ZREVRANGEBYSCORE").arg(keys::DELETED).arg("+inf").arg(since);
        pipeline.arg("WITHSCORES").arg("LIMIT").arg(0).arg(MOST_ENDED);
        type Scored = Vec<(String, f64)>;
        let (mut ended, deleted): (Scored, Scored) = self.line.ask(&pipeline).await?;
        ended.extend(deleted);
        ended.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ended.truncate(MOST_ENDED.unsigned_abs());
        Ok(ended.iter().filter_map(|(member, _)| keys::parse_member(member)).collect())
    }
}
