//! Who keeps managed credentials and usage: in memory, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::net::UnixStream;
use turn_admin::client::Client;
use turn_admin::{
    Account, AccountError, AccountFilter, AccountIce, AccountName, Accounts, AdminSocket,
    BoxFuture, ClosedAccount, CreatedAccount, LogPage, LogQuery, NewAccount, UsageBook, UsageError,
    UsageQuery, UsageRow, serve_admin_socket,
};

use crate::fake::Fake;
use crate::fake_issuer::{FakeIssuer, text};
use crate::raw::{Answer, exchange};

/// The fake.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    accounts: Mutex<BTreeMap<(String, String), Account>>,
    pub(crate) asked: Mutex<Vec<UsageQuery>>,
    /// Lines of the allocation log.
    pub(crate) log: Mutex<Vec<String>>,
    /// The log cannot be read from this line on.
    pub(crate) breaks_at: Mutex<Option<usize>>,
    /// Every page of the log says that the next one begins here.
    pub(crate) sticks_at: Mutex<Option<String>>,
    /// Nothing can be read at all.
    pub(crate) is_down: Mutex<bool>,
}

impl Keeper {
    fn up(&self) -> Result<(), AccountError> {
        match *self.is_down.lock().unwrap() {
            true => Err(AccountError::Unavailable("sqlite:///users.db: locked".to_owned())),
            false => Ok(()),
        }
    }

    fn change(
        &self,
        name: AccountName,
        change: impl FnOnce(&mut Account),
    ) -> Result<Account, AccountError> {
        self.up()?;
        let mut accounts = self.accounts.lock().unwrap();
        let account = accounts.get_mut(&key(name)).ok_or(AccountError::Unknown)?;
        change(account);
        Ok(account.clone())
    }
}

fn key(name: AccountName) -> (String, String) {
    (name.realm.unwrap_or_else(|| "example.org".to_owned()), name.username)
}

impl Accounts for Keeper {
    fn create(&self, new: NewAccount) -> BoxFuture<'_, Result<CreatedAccount, AccountError>> {
        Box::pin(async move {
            self.up()?;
            assert_eq!(new.ttl, None, "the door turns it into expires_at");
            let realm = new.realm.unwrap_or_else(|| "example.org".to_owned());
            if realm == "nowhere" {
                return Err(AccountError::NoRealm);
            }
            let account = Account {
                username: new.username.unwrap_or_else(|| "made-up".to_owned()),
                realm,
                label: new.label,
                created_at: 7,
                expires_at: new.expires_at,
                disabled: false,
                limits: new.limits,
            };
            let key = (account.realm.clone(), account.username.clone());
            let mut accounts = self.accounts.lock().unwrap();
            if accounts.contains_key(&key) {
                return Err(AccountError::Exists);
            }
            accounts.insert(key, account.clone());
            Ok(CreatedAccount { account, password: "hush".to_owned() })
        })
    }

    fn list(&self, filter: AccountFilter) -> BoxFuture<'_, Result<Vec<Account>, AccountError>> {
        Box::pin(async move {
            self.up()?;
            let realm = filter.realm.unwrap_or_else(|| "example.org".to_owned());
            let accounts = self.accounts.lock().unwrap();
            let of = accounts.values().filter(|account| account.realm == realm);
            let of = of.filter(|account| filter.label.is_none() || account.label == filter.label);
            let of = of.filter(|account| Some(&account.username) > filter.after.as_ref());
            Ok(of.take(filter.limit).cloned().collect())
        })
    }

    fn get(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>> {
        Box::pin(async move { self.change(name, |_| {}) })
    }

    fn disable(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>> {
        Box::pin(async move {
            let account = self.change(name, |account| account.disabled = true)?;
            Ok(ClosedAccount { account, ended_allocations: 2 })
        })
    }

    fn enable(&self, name: AccountName) -> BoxFuture<'_, Result<Account, AccountError>> {
        Box::pin(async move { self.change(name, |account| account.disabled = false) })
    }

    fn delete(&self, name: AccountName) -> BoxFuture<'_, Result<ClosedAccount, AccountError>> {
        Box::pin(async move {
            self.up()?;
            let account = self.accounts.lock().unwrap().remove(&key(name));
            let account = account.ok_or(AccountError::Unknown)?;
            Ok(ClosedAccount { account, ended_allocations: 0 })
        })
    }

    fn ice_servers(&self, name: AccountName) -> BoxFuture<'_, Result<AccountIce, AccountError>> {
        Box::pin(async move {
            let account = self.change(name, |_| {})?;
            Ok(AccountIce {
                username: account.username,
                credential: "hush".to_owned(),
                expires_at: account.expires_at,
                stun: vec!["stun:turn.example:3478".to_owned()],
                turn: vec!["turn:turn.example:3478".to_owned()],
            })
        })
    }
}

impl UsageBook for Keeper {
    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, UsageError>> {
        Box::pin(async move {
            if *self.is_down.lock().unwrap() {
                return Err(UsageError::Unavailable("usage.db is locked".to_owned()));
            }
            self.asked.lock().unwrap().push(query.clone());
            let row = |number| UsageRow {
                user: Some(format!("user{number}")),
                up_bytes: number,
                ..UsageRow::default()
            };
            // 2,500 users in all.
            let limit = usize::try_from(query.limit).unwrap();
            Ok((query.offset..2500).take(limit).map(row).collect())
        })
    }

    fn allocation_log(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, UsageError>> {
        Box::pin(async move {
            let start: usize = query.after.as_ref().map_or(0, |after| after.parse().unwrap());
            let limit = usize::try_from(query.limit).unwrap();
            let end = start + limit;
            if self.breaks_at.lock().unwrap().is_some_and(|at| at < end) {
                return Err(UsageError::Unavailable("usage.db is locked".to_owned()));
            }
            let log = self.log.lock().unwrap();
            let lines = log.iter().skip(start).take(limit).cloned().collect();
            let next = (end < log.len()).then(|| end.to_string());
            let next = self.sticks_at.lock().unwrap().clone().or(next);
            Ok(LogPage { lines, next })
        })
    }
}

/// A server with a keeper and an issuer behind an admin socket.
pub(crate) struct Kept {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) issuer: Arc<FakeIssuer>,
    pub(crate) client: Client,
    path: std::path::PathBuf,
    _place: tempfile::TempDir,
}

impl Kept {
    pub(crate) async fn open() -> Self {
        let (keeper, issuer) = (Arc::new(Keeper::default()), Arc::new(FakeIssuer::default()));
        let fake = Fake::with(Some(Arc::clone(&keeper)), Some(Arc::clone(&issuer)));
        let (path, client, place) = open(fake).await;
        Self { keeper, issuer, client, path, _place: place }
    }

    /// One request over the socket.
    pub(crate) async fn ask(&self, route: &str, body: &str) -> Answer {
        exchange(UnixStream::connect(&self.path).await.unwrap(), &text(route, &[], body)).await
    }
}

/// An admin socket before this server.
pub(crate) async fn open(fake: Arc<Fake>) -> (std::path::PathBuf, Client, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin.sock");
    let socket = AdminSocket::bind(&path).unwrap();
    tokio::spawn(serve_admin_socket(socket, fake, std::future::pending()));
    let client = Client::connect(&path).await.unwrap();
    (path, client, place)
}
