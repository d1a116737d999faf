//! Managed credentials, in hashes of our own.
//!
//! What depends on what is there runs as a script in the server, so that two writers do not make
//! one name twice.

use std::collections::HashMap;

use redis::Pipeline;
use turn_credentials::LongTermKey;
use zeroize::Zeroizing;

use super::keys;
use super::store::RedisStore;
use crate::hex::hex;
use crate::lifespan::{KEPT, NAME_RESTS, seconds_now};
use crate::{ManagedCredential, NewCredential, StoreError, StoredLimits};

/// Members of the list that are read at once.
const PAGE: usize = 256;

const CREATE: &str = "
local state = redis.call('HGET', KEYS[1], 'state')
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if state and state ~= '2' then return 0 end
if state and tonumber(redis.call('HGET', KEYS[1], 'ended_at')) > tonumber(ARGV[3]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if ARGV[5] == '1' then redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[4])
return 1";

const SWITCH: &str = "
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == '2' or redis.call('HGET', KEYS[1], 'realm') ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'ended_at', ARGV[2])
if ARGV[3] == '1' then
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1";

const DELETE: &str = "
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == '2' or redis.call('HGET', KEYS[1], 'realm') ~= ARGV[4] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'realm', ARGV[4], 'user', ARGV[5], 'state', '2', 'ended_at', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
return 1";

type Fields = HashMap<String, String>;

/// What a credential is at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    Deleted,
}

impl State {
    /// As the hash has it; what it does not know is nobody's credential.
    pub(super) fn of(fields: &Fields) -> Self {
        match fields.get("state").map(String::as_str) {
            Some("0") => Self::Enabled,
            Some("2") => Self::Deleted,
            Some(_) | None => Self::Disabled,
        }
    }
}

impl RedisStore {
    pub(super) async fn insert_credential(&self, new: &NewCredential) -> Result<(), StoreError> {
        let NewCredential { shown, keys: made, password } = new;
        let (realm, user) = (shown.realm.as_str(), shown.user.as_str());
        self.writable(&[realm, user])?;
        let now = seconds_now();
        let key_hex = |key: &LongTermKey| hex(key.as_bytes());
        let optional = |number: Option<u64>| number.map(|number| number.to_string());
        let limits = shown.limits;
        let fields = [
            ("realm", Some(Zeroizing::new(realm.to_owned()))),
            ("user", Some(Zeroizing::new(user.to_owned()))),
            ("state", Some(Zeroizing::new(u8::from(shown.is_disabled).to_string()))),
            ("md5", Some(key_hex(&made.md5))),
            ("sha256", made.sha256.as_ref().map(key_hex)),
            ("password", Some(password.clone())),
            ("label", shown.label.clone().map(Zeroizing::new)),
            ("created_at", Some(Zeroizing::new(shown.created_at.to_string()))),
            ("expires_at", optional(shown.expires_at).map(Zeroizing::new)),
            ("allocations", optional(limits.allocations.map(u64::from)).map(Zeroizing::new)),
            ("bandwidth", optional(limits.bandwidth).map(Zeroizing::new)),
            (
                "bandwidth_per_allocation",
                optional(limits.bandwidth_per_allocation).map(Zeroizing::new),
            ),
        ];
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EVAL").arg(CREATE).arg(5);
        pipeline.arg(keys::credential(realm, user)).arg(keys::user(realm, user));
        pipeline.arg(keys::CREDENTIALS).arg(keys::DISABLED).arg(keys::DELETED);
        pipeline.arg(keys::member(realm, user)).arg(now).arg(now.saturating_sub(NAME_RESTS));
        pipeline.arg(now.saturating_sub(KEPT)).arg(u8::from(shown.is_disabled));
        for (field, value) in &fields {
            if let Some(value) = value {
                pipeline.arg(*field).arg(value.as_str());
            }
        }
        let (is_new,): (bool,) = self.line.ask_once(&pipeline).await?;
        if is_new {
            Ok(())
        } else {
            Err(self.taken("a user or a credential has this name; choose another one"))
        }
    }

    pub(super) async fn list_credentials(
        &self,
        realm: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<ManagedCredential>, StoreError> {
        let mut list: Vec<ManagedCredential> = Vec::new();
        // Behind every realm of that user: the separator is the least of all letters.
        let mut from = after.map_or_else(|| "-".to_owned(), |user| format!("[{user}\u{1}"));
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZRANGEBYLEX").arg(keys::CREDENTIALS).arg(&from).arg("+");
            pipeline.arg("LIMIT").arg(0).arg(PAGE);
            let (members,): (Vec<String>,) = self.line.ask(&pipeline).await?;
            let Some(last) = members.last() else { return Ok(list) };
            from = format!("({last}");
            let names: Vec<_> = members
                .iter()
                .filter_map(|member| keys::parse_member(member))
                .filter(|(of, _)| realm.is_none_or(|realm| realm == of))
                .collect();
            for shown in self.shown(&names).await? {
                // A last name that several realms have is listed for all of them.
                let is_same_name = list.last().is_some_and(|last| last.user == shown.user);
                if list.len() >= most && !is_same_name {
                    return Ok(list);
                }
                list.push(shown);
            }
        }
    }

    pub(super) async fn one_credential(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<Option<ManagedCredential>, StoreError> {
        Ok(self.shown(&[(realm.to_owned(), user.to_owned())]).await?.pop())
    }

    pub(super) async fn one_password(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<String>>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.hgetall(keys::credential(realm, user));
        let (mut fields,): (Fields,) = self.line.ask(&pipeline).await?;
        let is_there = is_of(&fields, realm, user) && State::of(&fields) != State::Deleted;
        Ok(fields.remove("password").map(Zeroizing::new).filter(|_| is_there))
    }

    pub(super) async fn switch_credential(
        &self,
        realm: &str,
        user: &str,
        is_disabled: bool,
    ) -> Result<bool, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EVAL").arg(SWITCH).arg(2);
        pipeline.arg(keys::credential(realm, user)).arg(keys::DISABLED);
        pipeline.arg(keys::member(realm, user)).arg(seconds_now());
        pipeline.arg(u8::from(is_disabled)).arg(realm);
        let (is_there,): (bool,) = self.line.ask_once(&pipeline).await?;
        Ok(is_there)
    }

    /// Its name stays, so that other servers learn of it; what it was good for does not.
    pub(super) async fn remove_credential(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<bool, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EVAL").arg(DELETE).arg(4);
        pipeline.arg(keys::credential(realm, user)).arg(keys::CREDENTIALS);
        pipeline.arg(keys::DISABLED).arg(keys::DELETED);
        pipeline.arg(keys::member(realm, user)).arg(seconds_now()).arg(KEPT);
        pipeline.arg(realm).arg(user);
        let (is_there,): (bool,) = self.line.ask_once(&pipeline).await?;
        Ok(is_there)
    }

    /// Those of these that are there.
    async fn shown(
        &self,
        names: &[(String, String)],
    ) -> Result<Vec<ManagedCredential>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::new();
        for (realm, user) in names {
            pipeline.hgetall(keys::credential(realm, user));
        }
        let found: Vec<Fields> = self.line.ask(&pipeline).await?;
        let is_there = |(name, fields): &(&(String, String), Fields)| {
            is_of(fields, &name.0, &name.1) && State::of(fields) != State::Deleted
        };
        let all = names.iter().zip(found).filter(is_there);
        Ok(all.map(|((realm, user), fields)| shown(realm, user, &fields)).collect())
    }
}

/// Whether the hash is that of this credential, and not of one whose names make the same key.
pub(super) fn is_of(fields: &Fields, realm: &str, user: &str) -> bool {
    let is = |field, text| fields.get(field).is_some_and(|value: &String| value == text);
    is("realm", realm) && is("user", user)
}

pub(super) fn limits(fields: &Fields) -> StoredLimits {
    let allocations = number(fields, "allocations");
    StoredLimits {
        allocations: allocations.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        bandwidth: number(fields, "bandwidth"),
        bandwidth_per_allocation: number(fields, "bandwidth_per_allocation"),
    }
}

/// What is no number was not written by us, and grants nothing.
pub(super) fn number(fields: &Fields, field: &str) -> Option<u64> {
    fields.get(field).map(|text| text.parse().unwrap_or(0))
}

fn shown(realm: &str, user: &str, fields: &Fields) -> ManagedCredential {
    ManagedCredential {
        realm: realm.to_owned(),
        user: user.to_owned(),
        label: fields.get("label").cloned(),
        created_at: number(fields, "created_at").unwrap_or(0),
        expires_at: number(fields, "expires_at"),
        is_disabled: State::of(fields) == State::Disabled,
        limits: limits(fields),
    }
}
