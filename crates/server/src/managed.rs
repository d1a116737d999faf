//! Managed credentials, as the admin doors ask for them.
//!
//! Stores are asked on the resolver's thread, so that a slow one delays nothing but its own answer.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tracing::info;
use turn_admin::{
    Account, AccountError, AccountFilter, AccountIce, AccountLimits, AccountName, Accounts,
    BoxFuture, ClosedAccount, CreatedAccount, NewAccount,
};
use turn_config::Config;
use turn_credentials::{LongTermKey, TimeLimitedName, prepare};
use turn_users::{Keys, ManagedCredential, NewCredential, StoreError, StoredLimits, Writer};
use zeroize::Zeroizing;

use crate::banner::{stun_urls, turn_urls};
use crate::clock::unix_seconds;
use crate::issuing::{Mint, TAG};
use crate::running::Running;
use crate::usage::FIRST_EXPIRY;

/// The managed credentials of a running server.
#[derive(Debug)]
pub(crate) struct Managed(pub(crate) Weak<Running>);

/// What a store does within the future that it gives.
type Work<T> = Box<
    dyn for<'a> FnOnce(&'a dyn Writer) -> turn_users::BoxFuture<'a, Result<T, StoreError>> + Send,
>;

/// How long a store may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Credentials that are read at once where only some are wanted.
const PAGE: usize = 1_000;

/// What made-up names and passwords consist of: nothing that is mistaken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Managed {
    fn running(&self) -> Result<Arc<Running>, AccountError> {
        self.0.upgrade().ok_or_else(|| AccountError::Unavailable("the server ends".to_owned()))
    }

    async fn ask<T: Send + 'static>(running: &Running, work: Work<T>) -> Result<T, AccountError> {
        let stores = running.server.stores();
        let none =
            || AccountError::Unavailable("auth.stores names none that can be written".to_owned());
        let store = stores.writable().ok_or_else(none)?;
        let resolver = stores.resolver().ok_or_else(none)?;
        let name = store.name().to_owned();
        let task = resolver.runtime().spawn(async move {
            match store.writer() {
                Some(writer) => timeout(PATIENCE, work(writer)).await.ok(),
                None => None,
            }
        });
        match task.await {
            Ok(Some(done)) => done.map_err(account_error),
            Ok(None) => Err(AccountError::Unavailable(format!("{name}: no answer within 5 s"))),
            Err(_) => Err(AccountError::Unavailable(name)),
        }
    }

    async fn close(
        &self,
        name: AccountName,
        is_deleted: bool,
    ) -> Result<ClosedAccount, AccountError> {
        let running = self.running()?;
        let (realm, user) = meant(&running, name)?;
        let mut account = find(&running, &realm, &user).await?;
        let was_there = Self::ask(&running, {
            let (realm, user) = (realm.clone(), user.clone());
            Box::new(move |writer| {
                Box::pin(async move {
                    if is_deleted {
                        writer.delete_credential(&realm, &user).await
                    } else {
                        writer.set_disabled(&realm, &user, true).await
                    }
                })
            })
        })
        .await?;
        if !was_there {
            return Err(AccountError::Unknown);
        }
        account.disabled = true;
        let ended = running.end_credential(&realm, &user).await;
        info!(
            realm,
            user = running.observer.redaction().user(&user),
            ended,
            "a managed credential is {}",
            if is_deleted { "deleted" } else { "disabled" }
        );
        Ok(ClosedAccount { account, ended_allocations: ended as u64 })
    }
}

impl Accounts for Managed {
    fn create(&self, new: NewAccount) -> BoxFuture<'_, Result<CreatedAccount, AccountError>> {
        Box::pin(async move {
            let running = self.running()?;
            let realm = realm(&running, new.realm)?;
            let user = match new.username {
                Some(user) => prepared(&user)?,
                None => random_text(16)?.to_string(),
            };
            if is_static(&running.config(), &realm, &user) {
                return Err(AccountError::Exists);
            }
            if is_time_limited(&running, &realm, &user) {
                return Err(AccountError::Invalid {
                    what: "the user name reads as a time-limited one, which is checked with the realm's secrets"
                        .to_owned(),
                    help: "leave out the number of ten digits or more at its beginning or end".to_owned(),
                });
            }
            let password = random_text(26)?;
            let keys = Keys {
                md5: LongTermKey::md5(&user, &realm, &password),
                sha256: Some(LongTermKey::sha256(&user, &realm, &password)),
            };
            let shown = ManagedCredential {
                realm: realm.clone(),
                user,
                label: new.label,
                created_at: unix_seconds(SystemTime::now()),
                expires_at: new.expires_at,
                is_disabled: false,
                limits: StoredLimits {
                    allocations: new.limits.allocations,
                    bandwidth: new.limits.bandwidth,
                    bandwidth_per_allocation: new.limits.bandwidth_per_allocation,
                },
            };
            let account = account(shown.clone());
            let new = NewCredential { shown, keys, password: password.clone() };
            let make: Work<()> = Box::new(move |writer| {
                Box::pin(async move {
                    writer.prepare().await?;
                    writer.create_credential(&new).await
                })
            });
            Self::ask(&running, make).await?;
            if let Some(resolver) = running.server.stores().resolver() {
                // Somebody may have tried the name before it was there.
                resolver.forget(&realm, &account.username);
            }
            Ok(CreatedAccount { account, password: password.to_string() })
        })
    }

    fn list(&self, filter: AccountFilter) -> BoxFuture<'_, Result<Vec<Account>, AccountError>> {
        Box::pin(async move {
            let running = self.running()?;
            let realm = realm(&running, filter.realm)?;
            let mut after = filter.after;
            let mut accounts = Vec::new();
            // A label is looked for page by page.
            while accounts.len() < filter.limit {
                let (realm, from) = (realm.clone(), after.clone());
                let most = if filter.label.is_some() { PAGE } else { filter.limit };
                let page: Work<Vec<ManagedCredential>> = Box::new(move |writer| {
                    Box::pin(async move {
                        writer.credentials(Some(&realm), from.as_deref(), most).await
                    })
                });
                let page = Self::ask(&running, page).await?;
                let is_last = page.len() < most;
                after = page.last().map(|last| last.user.clone());
                let is_wanted = |found: &ManagedCredential| {
                    filter.label.is_none() || found.label == filter.label
                };
                accounts.extend(page.into_iter().filter(is_wanted).map(account));
                if is_last {
                    break;
                }
            }
            accounts.truncate(filter.limit);
            Ok(accounts)
        })
    }

    fn get(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>> {
        Box::pin(async move {
            let running = self.running()?;
            let (realm, user) = meant(&running, name)?;
            find(&running, &realm, &user).await
        })
    }

    fn disable(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>> {
        Box::pin(self.close(name, false))
    }

    fn enable(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>> {
        Box::pin(async move {
            let running = self.running()?;
            let (realm, user) = meant(&running, name)?;
            let was_there = Self::ask(&running, {
                let (realm, user) = (realm.clone(), user.clone());
                Box::new(move |writer| {
                    Box::pin(async move { writer.set_disabled(&realm, &user, false).await })
                })
            })
            .await?;
            if !was_there {
                return Err(AccountError::Unknown);
            }
            if let Some(resolver) = running.server.stores().resolver() {
                resolver.forget(&realm, &user);
            }
            find(&running, &realm, &user).await
        })
    }

    fn delete(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>> {
        Box::pin(self.close(name, true))
    }

    fn ice_servers(&self, name: AccountName) -> BoxFuture<'_, Result<AccountIce, AccountError>> {
        Box::pin(async move {
            let running = self.running()?;
            let (realm, user) = meant(&running, name)?;
            let found = find(&running, &realm, &user).await?;
            let user = found.username.clone();
            let password: Work<Option<Zeroizing<String>>> = Box::new(move |writer| {
                Box::pin(async move { writer.password(&realm, &user).await })
            });
            let password = Self::ask(&running, password).await?.ok_or(AccountError::Unknown)?;
            let (config, reach) = (running.config(), running.server.reach());
            let mint = Mint { config: &config, learned: None, trial: None, reach: &reach };
            let reach = mint.reach();
            Ok(AccountIce {
                username: found.username,
                credential: password.to_string(),
                expires_at: found.expires_at,
                stun: stun_urls(&reach),
                turn: turn_urls(&reach),
            })
        })
    }
}

async fn find(running: &Running, realm: &str, user: &str) -> Result<Account, AccountError> {
    let (realm, user) = (realm.to_owned(), user.to_owned());
    let find: Work<Option<ManagedCredential>> =
        Box::new(move |writer| Box::pin(async move { writer.credential(&realm, &user).await }));
    Managed::ask(running, find).await?.map(account).ok_or(AccountError::Unknown)
}

fn realm(running: &Running, named: Option<String>) -> Result<String, AccountError> {
    let config = running.config();
    match named {
        None => Ok(config.realm.clone()),
        Some(name) if name == config.realm => Ok(name),
        Some(name) if config.realms.iter().any(|realm| realm.name == name) => Ok(name),
        Some(_) => Err(AccountError::NoRealm),
    }
}

/// Realm and user behind a name, which is compared as clients prepare it.
fn meant(running: &Running, name: AccountName) -> Result<(String, String), AccountError> {
    let realm = realm(running, name.realm)?;
    let user = prepared(&name.username).map_err(|_| AccountError::Unknown)?;
    Ok((realm, user))
}

/// Whether the configuration has a user of this name: it is asked before any store.
fn is_static(config: &Config, realm: &str, user: &str) -> bool {
    let named = config.realms.iter().find(|it| it.name == realm);
    let users = named.map_or(&config.auth.users, |it| &it.auth.users);
    users.iter().any(|it| prepare(&it.name).is_ok_and(|name| name == user))
}

/// Whether the realm judges this name by its secrets and never asks a store for it.
fn is_time_limited(running: &Running, realm: &str, user: &str) -> bool {
    let (config, learned) = (running.config(), running.server.learned());
    let named = config.realms.iter().find(|it| it.name == realm);
    let (secrets, separator) = match named {
        Some(realm) => (&realm.auth.secrets, realm.auth.separator),
        None => (&config.auth.secrets, config.auth.separator),
    };
    let of_stores = learned.catalog.realms.get(realm);
    let has_secret =
        !secrets.is_empty() || of_stores.is_some_and(|stored| !stored.secrets.is_empty());
    has_secret
        && TimeLimitedName::parse(user, separator).is_some_and(|name| name.expiry.0 >= FIRST_EXPIRY)
}

fn account(found: ManagedCredential) -> Account {
    Account {
        username: found.user,
        realm: found.realm,
        label: found.label,
        created_at: found.created_at,
        expires_at: found.expires_at,
        disabled: found.is_disabled,
        limits: AccountLimits {
            allocations: found.limits.allocations,
            bandwidth: found.limits.bandwidth,
            bandwidth_per_allocation: found.limits.bandwidth_per_allocation,
        },
    }
}

fn account_error(error: StoreError) -> AccountError {
    match error {
        StoreError::Taken { .. } => AccountError::Exists,
        StoreError::ReadOnly { store, what } => AccountError::Invalid {
            what: format!("{store}: {what}"),
            help: "give the server's user the right to write, or name another store in auth.stores"
                .to_owned(),
        },
        other @ (StoreError::Unavailable { .. }
        | StoreError::Malformed { .. }
        | StoreError::Url { .. }) => AccountError::Unavailable(other.to_string()),
    }
}

fn prepared(user: &str) -> Result<String, AccountError> {
    let invalid = |what: &str| AccountError::Invalid {
        what: what.to_owned(),
        help: "use 1 to 200 letters, digits and punctuation other than '#'".to_owned(),
    };
    if user.is_empty() || user.len() > 200 || user.contains(TAG) {
        return Err(invalid("the user name is empty, too long or holds a '#'"));
    }
    prepare(user)
        .map(|prepared| prepared.as_ref().to_owned())
        .map_err(|_| invalid("the user name holds characters that RFC 8265 forbids"))
}

/// So many letters, five random bits each.
fn random_text(letters: usize) -> Result<Zeroizing<String>, AccountError> {
    let mut bytes = Zeroizing::new(vec![0; letters]);
    getrandom::fill(&mut bytes).map_err(|error| AccountError::Unavailable(error.to_string()))?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).copied().map(char::from);
    Ok(Zeroizing::new(bytes.iter().filter_map(letter).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_texts_differ_and_have_their_length() {
        let text = || random_text(26).unwrap_or_default();
        assert_eq!(text().len(), 26);
        assert_ne!(text(), text());
    }

    #[test]
    fn names_with_a_tag_mark_are_refused() {
        assert!(prepared("ann").is_ok_and(|name| name == "ann"));
        for name in ["", "a#b", "a\u{0}b", &"x".repeat(201)] {
            assert!(matches!(prepared(name), Err(AccountError::Invalid { .. })), "{name:?}");
        }
    }
}
