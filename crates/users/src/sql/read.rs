//! Reading: one user, and everything that is not asked for one by one.

use turn_credentials::{KeyAlgorithm, LongTermKey};
use zeroize::Zeroizing;

use super::SqlStore;
use super::connection::Row;
use super::credentials::State;
use super::failure::Failure;
use super::pool::Lease;
use super::schema::{Table, Tables};
use crate::lifespan::{ENDED_FOR, seconds_now};
use crate::store::{Catalog, StoredLimits, StoredRealm, StoredUser};

/// More rows of a table than this are a mistake, and cutting a list of denied peers would be one
/// too. The statements ask for one more.
const MOST_ROWS: usize = 10_000;

impl SqlStore {
    pub(super) async fn read_user(
        &self,
        realm: &str,
        user: &str,
    ) -> Result<Option<StoredUser>, Failure> {
        // PostgreSQL has no such texts and takes the whole statement for broken.
        if realm.contains('\0') || user.contains('\0') {
            return Ok(None);
        }
        match self.look_up(realm, user).await {
            Err(failure) if failure.is_foreign_text() => Ok(None),
            // The tables may be others than they were.
            Err(Failure::Driver(sqlx::Error::Database(_))) => {
                self.forget_tables();
                self.look_up(realm, user).await
            }
            done => done,
        }
    }

    async fn look_up(&self, realm: &str, user: &str) -> Result<Option<StoredUser>, Failure> {
        let mut lease = self.reader.lease().await?;
        let tables = self.known_tables(&mut lease).await?.expect_any()?;
        if tables.has(Table::Credentials)
            && let Some(found) = managed(&mut lease, realm, user).await?
        {
            return Ok(found);
        }
        if !tables.has(Table::Users) {
            return Ok(None);
        }
        static_user(&mut lease, tables, realm, user).await
    }

    pub(super) async fn read_catalog(&self) -> Result<Catalog, Failure> {
        let mut lease = self.reader.lease().await?;
        let tables = self.read_tables(&mut lease).await?.expect_any()?;
        let mut catalog = Catalog::default();
        if tables.has(Table::Secrets) {
            read_secrets(&mut lease, &mut catalog).await?;
        }
        if tables.has(Table::AllowedPeers) {
            let statement = "SELECT realm, ip_range FROM allowed_peer_ip ORDER BY 1, 2 LIMIT 10001";
            let rows = bounded(lease.rows(statement, &[]).await?, "allowed_peer_ip")?;
            for (realm, range) in pairs(&rows)? {
                catalog.realms.entry(realm).or_default().allowed_peers.push(range);
            }
        }
        if tables.has(Table::DeniedPeers) {
            let statement = "SELECT realm, ip_range FROM denied_peer_ip ORDER BY 1, 2 LIMIT 10001";
            let rows = bounded(lease.rows(statement, &[]).await?, "denied_peer_ip")?;
            for (realm, range) in pairs(&rows)? {
                catalog.realms.entry(realm).or_default().denied_peers.push(range);
            }
        }
        if tables.has(Table::Options) {
            read_options(&mut lease, &mut catalog).await?;
        }
        if tables.has(Table::Origins) {
            let statement =
                "SELECT origin, realm FROM turn_origin_to_realm ORDER BY 1, 2 LIMIT 10001";
            let rows = bounded(lease.rows(statement, &[]).await?, "turn_origin_to_realm")?;
            catalog.origins = pairs(&rows)?.into_iter().collect();
        }
        if tables.has(Table::Credentials) {
            let since = seconds_now().saturating_sub(ENDED_FOR);
            let statement = "SELECT realm, name FROM turnserver_credential \
                 WHERE state = 1 OR (state = 2 AND ended_at > ?) \
                 ORDER BY ended_at DESC LIMIT 10000";
            catalog.ended = pairs(&lease.rows(statement, &[since.into()]).await?)?;
        }
        Ok(catalog)
    }
}

/// A managed credential of that name; the outer nothing: the name is none's. A disabled one is
/// nobody, whatever else the store has of that name.
async fn managed(
    lease: &mut Lease<'_>,
    realm: &str,
    user: &str,
) -> Result<Option<Option<StoredUser>>, Failure> {
    let statement = "SELECT realm, name, hmackey, sha256_key, label, state, expires_at, \
         allocations, bandwidth, bandwidth_per_allocation \
         FROM turnserver_credential WHERE realm = ? AND name = ?";
    let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
    let Some(row) = exact(&rows, realm, user)? else {
        return Ok(None);
    };
    match State::of(row.whole(5)?) {
        State::Deleted => return Ok(None),
        State::Disabled => return Ok(Some(None)),
        State::Enabled => {}
    }
    let (md5, odd) = keys(row.text(2)?.as_deref())?;
    let sha256 = row.text(3)?.map(|hex| key(KeyAlgorithm::Sha256, &hex)).transpose()?;
    Ok(Some(Some(StoredUser {
        md5,
        sha256: sha256.or(odd),
        expires_at: unsigned(row.whole(6)?),
        limits: limits(row, 7)?,
        label: row.text(4)?,
        is_managed: true,
    })))
}

async fn static_user(
    lease: &mut Lease<'_>,
    tables: Tables,
    realm: &str,
    user: &str,
) -> Result<Option<StoredUser>, Failure> {
    let statement = "SELECT realm, name, hmackey FROM turnusers_lt WHERE realm = ? AND name = ?";
    let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
    let Some(row) = exact(&rows, realm, user)? else {
        return Ok(None);
    };
    let (md5, mut sha256) = keys(row.text(2)?.as_deref())?;
    if let Some(md5) = md5.as_ref().filter(|_| tables.has(Table::Sha256Keys)) {
        let statement = "SELECT realm, name, hmackey, sha256_key \
             FROM turnserver_sha256_key WHERE realm = ? AND name = ?";
        let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
        if let Some(row) = exact(&rows, realm, user)?
            && let (Some(of), Some(hex)) = (row.text(2)?, row.text(3)?)
            // Made of a former password otherwise, which must not be good for ever.
            && key(KeyAlgorithm::Md5, &of)?.ct_eq(md5)
        {
            sha256 = Some(key(KeyAlgorithm::Sha256, &hex)?);
        }
    }
    Ok(Some(StoredUser {
        md5,
        sha256,
        expires_at: None,
        limits: StoredLimits::default(),
        label: None,
        is_managed: false,
    }))
}

async fn read_secrets(lease: &mut Lease<'_>, catalog: &mut Catalog) -> Result<(), Failure> {
    let statement = "SELECT realm, value FROM turn_secret ORDER BY 1, 2 LIMIT 10001";
    for row in &bounded(lease.rows(statement, &[]).await?, "turn_secret")? {
        let (Some(realm), Some(secret)) = (row.text(0)?, row.text(1)?.map(Zeroizing::new)) else {
            continue;
        };
        // An empty secret would be known to everybody; one without a realm is used by nobody.
        if !realm.is_empty() && !secret.is_empty() {
            catalog.realms.entry(realm).or_default().secrets.push(secret);
        }
    }
    Ok(())
}

async fn read_options(lease: &mut Lease<'_>, catalog: &mut Catalog) -> Result<(), Failure> {
    let statement = "SELECT realm, opt, value FROM turn_realm_option ORDER BY 1, 2 LIMIT 10001";
    for row in &bounded(lease.rows(statement, &[]).await?, "turn_realm_option")? {
        let (realm, option) = (row.text(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default());
        let Some(value) = row.text(2)? else {
            continue;
        };
        let of: fn(&mut StoredRealm) -> &mut Option<u64> = match option.as_str() {
            "max-bps" => |realm| &mut realm.max_bps,
            "total-quota" => |realm| &mut realm.total_quota,
            "user-quota" => |realm| &mut realm.user_quota,
            _ => continue,
        };
        let number = value.trim().parse().map_err(|_| {
            Failure::Malformed(format!(
                "turn_realm_option has {option} = {value:?} for realm {realm:?}, which is no \
                 number; set it with `turnserver` or `turnadmin -g`"
            ))
        })?;
        *of(catalog.realms.entry(realm).or_default()) = Some(number);
    }
    Ok(())
}

/// The row whose names are these byte by byte: most MySQL collations take `Ann` for `ann`, and
/// ignore blanks at the end.
pub(super) fn exact<'a>(
    rows: &'a [Row],
    realm: &str,
    user: &str,
) -> Result<Option<&'a Row>, Failure> {
    for row in rows {
        if row.text(0)?.as_deref() == Some(realm) && row.text(1)?.as_deref() == Some(user) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The first two columns.
pub(super) fn pairs(rows: &[Row]) -> Result<Vec<(String, String)>, Failure> {
    let texts = rows
        .iter()
        .map(|row| Ok((row.text(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default())));
    texts.collect()
}

/// The limits in three columns from this one on.
pub(super) fn limits(row: &Row, first: usize) -> Result<StoredLimits, Failure> {
    let allocations = unsigned(row.whole(first)?);
    Ok(StoredLimits {
        allocations: allocations.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        bandwidth: unsigned(row.whole(first + 1)?),
        bandwidth_per_allocation: unsigned(row.whole(first + 2)?),
    })
}

/// Nothing is below zero in these tables; whoever wrote it there meant none.
pub(super) fn unsigned(number: Option<i64>) -> Option<u64> {
    number.map(|number| u64::try_from(number).unwrap_or(0))
}

/// coturn's column: 32 digits of MD5, or 64 of SHA-256, which its version 4.4 could be told to
/// write. A `char(128)` is filled up with blanks.
fn keys(hex: Option<&str>) -> Result<(Option<LongTermKey>, Option<LongTermKey>), Failure> {
    let hex = hex.unwrap_or_default().trim_end();
    if hex.len() == KeyAlgorithm::Sha256.key_len() * 2 {
        return Ok((None, Some(key(KeyAlgorithm::Sha256, hex)?)));
    }
    Ok((Some(key(KeyAlgorithm::Md5, hex)?), None))
}

fn key(algorithm: KeyAlgorithm, hex: &str) -> Result<LongTermKey, Failure> {
    LongTermKey::from_hex(algorithm, hex.trim_end()).map_err(|error| {
        Failure::Malformed(format!(
            "the {error} of a user; passwords and values that `turnadmin -E` has encrypted are no \
             keys: set the user anew with `turnserver users add`"
        ))
    })
}

fn bounded(rows: Vec<Row>, table: &str) -> Result<Vec<Row>, Failure> {
    if rows.len() > MOST_ROWS {
        return Err(Failure::Malformed(format!("{table} has more than {MOST_ROWS} rows")));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_keys_of_either_length_are_read() {
        let padded = format!("{:128}", "8493fbc53ba582fb4c044c456bdc40eb");
        let (md5, sha256) = keys(Some(&padded)).unwrap();
        assert!(md5.unwrap().ct_eq(&LongTermKey::md5("user", "realm", "pass")));
        assert!(sha256.is_none());
        let (md5, sha256) = keys(Some(&"ab".repeat(32))).unwrap();
        assert!(md5.is_none() && sha256.is_some());
    }

    #[test]
    fn what_is_no_key_is_named_without_its_value() {
        for value in [None, Some(""), Some("secret"), Some("c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIz")] {
            let text = keys(value).unwrap_err().of("store").to_string();
            assert!(text.contains("turnserver users add"), "{text}");
            assert!(!text.contains("secret") && !text.contains("c2Vj"), "{text}");
        }
    }
}
