//! Managed credentials and usage, for the command line.

use std::io;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::{Answer, Client, ClientError};
use crate::admin_routes::IceRequest;
use crate::managed::{
    Account, AccountName, AccountPage, ClosedAccount, CreatedAccount, NewAccount, UsageRows,
};
use crate::query::escape;

impl Client {
    /// `POST /api/v1/ice-servers`: a time-limited credential as text, in the format
    /// that was asked for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ice_servers(&self, request: &IceRequest) -> Result<String, ClientError> {
        let body = self.tell("/api/v1/ice-servers", request).await?;
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            return Ok(format!("{value:#}\n"));
        }
        String::from_utf8(body.into()).map_err(|error| self.garbled(&error))
    }

    /// `POST /api/v1/credentials`: makes a managed credential.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_account(&self, new: &NewAccount) -> Result<CreatedAccount, ClientError> {
        let body = self.tell("/api/v1/credentials", new).await?;
        self.parse(&body)
    }

    /// `GET /api/v1/credentials`: a page of managed credentials.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn accounts(
        &self,
        realm: Option<&str>,
        label: Option<&str>,
        after: Option<&str>,
    ) -> Result<AccountPage, ClientError> {
        let query = query(&[("realm", realm), ("label", label), ("after", after)]);
        self.read(Method::GET, &format!("/api/v1/credentials{query}")).await
    }

    /// `GET /api/v1/credentials/{username}`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account(&self, name: &AccountName) -> Result<Account, ClientError> {
        self.read(Method::GET, &path(name, "")).await
    }

    /// `POST /api/v1/credentials/{username}/disable`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn disable_account(&self, name: &AccountName) -> Result<ClosedAccount, ClientError> {
        self.read(Method::POST, &path(name, "/disable")).await
    }

    /// `POST /api/v1/credentials/{username}/enable`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn enable_account(&self, name: &AccountName) -> Result<Account, ClientError> {
        self.read(Method::POST, &path(name, "/enable")).await
    }

    /// `DELETE /api/v1/credentials/{username}`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_account(&self, name: &AccountName) -> Result<ClosedAccount, ClientError> {
        self.read(Method::DELETE, &path(name, "")).await
    }

    /// `GET /api/v1/credentials/{username}/ice-servers`: its `iceServers`, password
    /// included.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account_ice_servers(&self, name: &AccountName) -> Result<Value, ClientError> {
        self.read(Method::GET, &path(name, "/ice-servers")).await
    }

    /// `GET /api/v1/usage`: a page of sums, from one day to another, by the words of
    /// `by`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn usage(
        &self,
        from: &str,
        to: &str,
        by: &str,
        offset: Option<u64>,
    ) -> Result<UsageRows, ClientError> {
        let offset = offset.map(|offset| offset.to_string());
        let by = Some(by).filter(|by| !by.is_empty());
        let query = query(&[
            ("from", Some(from)),
            ("to", Some(to)),
            ("by", by),
            ("offset", offset.as_deref()),
        ]);
        self.read(Method::GET, &format!("/api/v1/usage{query}")).await
    }

    /// `GET /api/v1/usage/allocations`: the allocation log, a JSON object a line;
    /// each piece goes to `each` as it comes, and pieces end where they like.
    ///
    /// # Errors
    /// [`ClientError`]; what has come before is a part of the log, then.
    pub async fn allocation_log(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let query = query(&[("from", from), ("to", to)]);
        let route = format!("/api/v1/usage/allocations{query}");
        // An answer that is no log says why not.
        let mut refusal = Vec::new();
        let piece = |status: StatusCode, piece: &[u8]| {
            if status.is_success() {
                return each(piece);
            }
            refusal.extend_from_slice(piece);
            Ok(())
        };
        let status = self.hear(Method::GET, &route, Bytes::new(), piece).await?;
        self.accepted(Answer { status, body: refusal.into() }).map(drop)
    }
}

fn path(name: &AccountName, step: &str) -> String {
    let query = query(&[("realm", name.realm.as_deref())]);
    format!("/api/v1/credentials/{}{step}{query}", escape(&name.username))
}

fn query(words: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in words.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(&format!("{name}={}", escape(value)));
    }
    query
}
