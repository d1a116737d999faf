//! Managed credentials, in a table of our own.

use zeroize::Zeroizing;

use super::SqlStore;
use super::connection::Row;
use super::failure::Failure;
use super::read::{exact, limits, unsigned};
use super::schema::Table;
use crate::hex::hex;
use crate::lifespan::{KEPT, NAME_RESTS, seconds_now};
use crate::store::{ManagedCredential, NewCredential};

const TAKEN: &str = "a user or a credential has this name; choose another one";

/// What a credential is at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    Deleted,
}

impl State {
    /// As the table has it; what it does not know is nobody's credential.
    pub(super) const fn of(number: Option<i64>) -> Self {
        match number {
            Some(0) => Self::Enabled,
            Some(2) => Self::Deleted,
            Some(_) | None => Self::Disabled,
        }
    }
}

impl SqlStore {
    pub(super) async fn insert_credential(&self, new: &NewCredential) -> Result<(), Failure> {
        let mut lease = self.writing().await?;
        let tables = self.known_tables(&mut lease).await?;
        tables.expect(Table::Credentials)?;
        let NewCredential { shown, keys, password } = new;
        let name = [shown.realm.as_str().into(), shown.user.as_str().into()];
        if tables.has(Table::Users) {
            let statement = "SELECT realm, name FROM turnusers_lt WHERE realm = ? AND name = ?";
            let rows = lease.rows(statement, &name).await?;
            if exact(&rows, &shown.realm, &shown.user)?.is_some() {
                return Err(Failure::Taken(TAKEN));
            }
        }
        let now = seconds_now();
        let rested = now.saturating_sub(NAME_RESTS);
        let [realm, user] = name;
        let statement = "DELETE FROM turnserver_credential \
             WHERE realm = ? AND name = ? AND state = 2 AND ended_at <= ?";
        lease.execute(statement, &[realm, user, rested.into()]).await?;
        let statement = "DELETE FROM turnserver_credential WHERE state = 2 AND ended_at < ?";
        lease.execute(statement, &[now.saturating_sub(KEPT).into()]).await?;
        let md5 = hex(keys.md5.as_bytes());
        let sha256 = keys.sha256.as_ref().map(|key| hex(key.as_bytes()));
        let values = [
            realm,
            user,
            md5.as_str().into(),
            sha256.as_ref().map(|hex| hex.as_str()).into(),
            password.as_str().into(),
            shown.label.as_deref().into(),
            shown.created_at.into(),
            shown.expires_at.into(),
            u64::from(shown.is_disabled).into(),
            shown.is_disabled.then_some(now).into(),
            shown.limits.allocations.map(u64::from).into(),
            shown.limits.bandwidth.into(),
            shown.limits.bandwidth_per_allocation.into(),
        ];
        let statement = "INSERT INTO turnserver_credential (realm, name, hmackey, sha256_key, \
             password, label, created_at, expires_at, state, ended_at, allocations, bandwidth, \
             bandwidth_per_allocation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        match lease.execute(statement, &values).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_duplicate() => Err(Failure::Taken(TAKEN)),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn list_credentials(
        &self,
        realm: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<ManagedCredential>, Failure> {
        let mut lease = self.reader.lease().await?;
        if !self.known_tables(&mut lease).await?.expect_any()?.has(Table::Credentials) {
            return Ok(Vec::new());
        }
        let limit = u64::try_from(most).unwrap_or(u64::MAX).into();
        let after = after.unwrap_or_default().into();
        let rows = match realm {
            Some(realm) => {
                let statement = concat!(
                    "SELECT realm, name, label, created_at, expires_at, state, allocations, ",
                    "bandwidth, bandwidth_per_allocation FROM turnserver_credential ",
                    "WHERE state < 2 AND name > ? AND realm = ? ORDER BY name, realm LIMIT ?"
                );
                lease.rows(statement, &[after, realm.into(), limit]).await?
            }
            None => {
                let statement = concat!(
                    "SELECT realm, name, label, created_at, expires_at, state, allocations, ",
                    "bandwidth, bandwidth_per_allocation FROM turnserver_credential ",
                    "WHERE state < 2 AND name > ? ORDER BY name, realm LIMIT ?"
                );
                lease.rows(statement, &[after, limit]).await?
            }
        };
        let mut list = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = list.last().filter(|_| realm.is_none() && list.len() == most) {
            let statement = concat!(
                "SELECT realm, name, label, created_at, expires_at, state, allocations, ",
                "bandwidth, bandwidth_per_allocation FROM turnserver_credential ",
                "WHERE state < 2 AND name = ? AND realm > ? ORDER BY realm"
            );
            let values = [last.user.as_str().into(), last.realm.as_str().into()];
            for row in &lease.rows(statement, &values).await? {
                list.push(shown(row)?);
            }
        }
        Ok(list)
    }

    pub(super) async fn one_credential(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<Option<ManagedCredential>, Failure> {
        let mut lease = self.reader.lease().await?;
        if !self.known_tables(&mut lease).await?.expect_any()?.has(Table::Credentials) {
            return Ok(None);
        }
        let statement = concat!(
            "SELECT realm, name, label, created_at, expires_at, state, allocations, ",
            "bandwidth, bandwidth_per_allocation FROM turnserver_credential ",
            "WHERE state < 2 AND realm = ? AND name = ?"
        );
        let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
        exact(&rows, realm, user)?.map(shown).transpose()
    }

    pub(super) async fn one_password(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<String>>, Failure> {
        let mut lease = self.reader.lease().await?;
        if !self.known_tables(&mut lease).await?.expect_any()?.has(Table::Credentials) {
            return Ok(None);
        }
        let statement = "SELECT realm, name, password FROM turnserver_credential \
             WHERE state < 2 AND realm = ? AND name = ?";
        let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
        let Some(row) = exact(&rows, realm, user)? else {
            return Ok(None);
        };
        Ok(row.text(2)?.map(Zeroizing::new))
    }

    pub(super) async fn switch_credential(
        &self,
        realm: &str,
        user: &str,
        is_disabled: bool,
    ) -> Result<bool, Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Credentials)?;
        let values = [
            u64::from(is_disabled).into(),
            is_disabled.then(seconds_now).into(),
            realm.into(),
            user.into(),
        ];
        let statement = "UPDATE turnserver_credential SET state = ?, ended_at = ? \
             WHERE realm = ? AND name = ? AND state < 2";
        Ok(lease.execute(statement, &values).await? > 0)
    }

    /// Its name stays, so that other servers learn of it; what it was good for does not.
    pub(super) async fn remove_credential(&self, realm: &str, user: &str) -> Result<bool, Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Credentials)?;
        let statement = "UPDATE turnserver_credential SET state = 2, ended_at = ?, \
             hmackey = '', sha256_key = NULL, password = '', label = NULL \
             WHERE realm = ? AND name = ? AND state < 2";
        let values = [seconds_now().into(), realm.into(), user.into()];
        Ok(lease.execute(statement, &values).await? > 0)
    }
}

/// The columns of a list.
fn shown(row: &Row) -> Result<ManagedCredential, Failure> {
    Ok(ManagedCredential {
        realm: row.text(0)?.unwrap_or_default(),
        user: row.text(1)?.unwrap_or_default(),
        label: row.text(2)?,
        created_at: unsigned(row.whole(3)?).unwrap_or(0),
        expires_at: unsigned(row.whole(4)?),
        is_disabled: State::of(row.whole(5)?) == State::Disabled,
        limits: limits(row, 6)?,
    })
}
