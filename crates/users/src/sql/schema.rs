//! The tables: coturn's, as its `schema.sql` has them, and two of ours.

use super::connection::Row;
use super::dialect::Dialect;
use super::failure::Failure;
use super::pool::Lease;

/// A table that is read or written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Users,
    Secrets,
    AllowedPeers,
    DeniedPeers,
    Origins,
    Options,
    /// coturn's, for a database that is complete in its eyes; nothing here reads it.
    OauthKeys,
    /// As above.
    Admins,
    /// SHA-256 keys, each beside the MD5 key that was made of the same password.
    Sha256Keys,
    /// Managed credentials.
    Credentials,
}

const ALL: [Table; 10] = [
    Table::Users,
    Table::Secrets,
    Table::AllowedPeers,
    Table::DeniedPeers,
    Table::Origins,
    Table::Options,
    Table::OauthKeys,
    Table::Admins,
    Table::Sha256Keys,
    Table::Credentials,
];

/// Which tables there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tables(u16);

impl Tables {
    /// Asks the database.
    ///
    /// # Errors
    ///
    /// Where it cannot be asked.
    pub(super) async fn read(lease: &mut Lease<'_>) -> Result<Self, Failure> {
        let rows = lease.rows(lease.dialect().tables(), &[]).await?;
        let mut tables = Self::default();
        for row in &rows {
            tables.add(row)?;
        }
        Ok(tables)
    }

    pub(super) const fn has(self, table: Table) -> bool {
        self.0 & table.bit() != 0
    }

    /// An error where none of coturn's tables is there: the URL leads to another database.
    pub(super) fn expect_any(self) -> Result<Self, Failure> {
        if self == Self::default() {
            return Err(Failure::Malformed(
                "none of coturn's tables is there, or may be read; correct the URL, grant SELECT, \
                 or make them with `turnserver users add`"
                    .to_owned(),
            ));
        }
        Ok(self)
    }

    /// An error where a table is not there that is to be written.
    pub(super) fn expect(self, table: Table) -> Result<(), Failure> {
        if self.has(table) {
            return Ok(());
        }
        Err(Failure::Malformed(format!(
            "the table {} is missing, or may not be read; make it with `turnserver users add` as \
             an account that may CREATE, or grant SELECT, INSERT, UPDATE and DELETE",
            table.name()
        )))
    }

    /// Makes the tables that are missing.
    pub(super) async fn complete(self, lease: &mut Lease<'_>) -> Result<(), Failure> {
        for table in ALL.into_iter().filter(|&table| !self.has(table)) {
            let text = table.definition(lease.dialect());
            lease.define(text).await?;
        }
        Ok(())
    }

    fn add(&mut self, row: &Row) -> Result<(), Failure> {
        let name = row.text(0)?.unwrap_or_default();
        if let Some(table) = ALL.into_iter().find(|table| table.name() == name) {
            self.0 |= table.bit();
        }
        Ok(())
    }
}

impl Table {
    const fn bit(self) -> u16 {
        1 << self as u16
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Users => "turnusers_lt",
            Self::Secrets => "turn_secret",
            Self::AllowedPeers => "allowed_peer_ip",
            Self::DeniedPeers => "denied_peer_ip",
            Self::Origins => "turn_origin_to_realm",
            Self::Options => "turn_realm_option",
            Self::OauthKeys => "oauth_key",
            Self::Admins => "admin_user",
            Self::Sha256Keys => "turnserver_sha256_key",
            Self::Credentials => "turnserver_credential",
        }
    }

    /// coturn's definitions are the same for every database.
    fn definition(self, dialect: Dialect) -> String {
        let columns = match self {
            Self::Users => {
                "realm varchar(127) default '', name varchar(512), hmackey char(128), \
                 PRIMARY KEY (realm, name)"
            }
            Self::Secrets => {
                "realm varchar(127) default '', value varchar(256), PRIMARY KEY (realm, value)"
            }
            Self::AllowedPeers | Self::DeniedPeers => {
                "realm varchar(127) default '', ip_range varchar(256), \
                 PRIMARY KEY (realm, ip_range)"
            }
            Self::Origins => "origin varchar(127), realm varchar(127), PRIMARY KEY (origin)",
            Self::Options => {
                "realm varchar(127) default '', opt varchar(32), value varchar(128), \
                 PRIMARY KEY (realm, opt)"
            }
            Self::OauthKeys => {
                "kid varchar(128), ikm_key varchar(256), timestamp bigint default 0, \
                 lifetime integer default 0, as_rs_alg varchar(64) default '', \
                 realm varchar(127), PRIMARY KEY (kid)"
            }
            Self::Admins => {
                "name varchar(32), realm varchar(127), password varchar(127), PRIMARY KEY (name)"
            }
            Self::Sha256Keys | Self::Credentials => return self.own_definition(dialect),
        };
        format!("CREATE TABLE IF NOT EXISTS {} ({columns})", self.name())
    }

    fn own_definition(self, dialect: Dialect) -> String {
        let (realm, name) = (dialect.exact_text(127), dialect.exact_text(512));
        let columns = if self == Self::Credentials {
            // state: 0 enabled, 1 disabled, 2 deleted; ended_at: when it was disabled or deleted.
            "hmackey varchar(32) NOT NULL, sha256_key varchar(64), password varchar(512) NOT NULL, \
             label varchar(256), created_at bigint NOT NULL, expires_at bigint, \
             state bigint NOT NULL, ended_at bigint, allocations bigint, bandwidth bigint, \
             bandwidth_per_allocation bigint"
        } else {
            "hmackey varchar(32) NOT NULL, sha256_key varchar(64) NOT NULL"
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {} (realm {realm} NOT NULL, name {name} NOT NULL, \
             {columns}, PRIMARY KEY (realm, name)){}",
            self.name(),
            dialect.table_options()
        )
    }
}
