//! Writing: tables, users, secrets and options, as `turnadmin` does it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use super::read::{exact, pairs};
use super::schema::{Table, Tables};
use super::{SqlStore, WRITE_LIMIT};
use crate::hex::hex;
use crate::store::{
    BoxFuture, Keys, ManagedCredential, NewCredential, RealmOption, StoreError, Writer,
};

/// The owner writes, the group reads: there are secrets in it.
const FILE_MODE: u32 = 0o640;

impl Writer for SqlStore {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.make_tables()))
    }

    fn put_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        keys: &'a Keys,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.write_user(realm, user, keys)))
    }

    fn delete_user<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.remove_user(realm, user)))
    }

    fn users<'a>(
        &'a self,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.list_users(realm)))
    }

    fn add_secret<'a>(
        &'a self,
        realm: &'a str,
        secret: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.write_secret(realm, secret)))
    }

    fn delete_secrets<'a>(
        &'a self,
        realm: &'a str,
        secret: Option<&'a str>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.remove_secrets(realm, secret)))
    }

    fn set_option<'a>(
        &'a self,
        realm: &'a str,
        option: RealmOption,
        value: Option<u64>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.write_option(realm, option, value)))
    }

    fn set_origin<'a>(
        &'a self,
        origin: &'a str,
        realm: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.write_origin(origin, realm)))
    }

    fn create_credential<'a>(
        &'a self,
        new: &'a NewCredential,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.insert_credential(new)))
    }

    fn credentials<'a>(
        &'a self,
        realm: Option<&'a str>,
        after: Option<&'a str>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<ManagedCredential>, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.list_credentials(realm, after, most)))
    }

    fn credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<ManagedCredential>, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.one_credential(realm, user)))
    }

    fn password<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Zeroizing<String>>, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.one_password(realm, user)))
    }

    fn set_disabled<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
        is_disabled: bool,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.switch_credential(realm, user, is_disabled)))
    }

    fn delete_credential<'a>(
        &'a self,
        realm: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.within(WRITE_LIMIT, self.remove_credential(realm, user)))
    }
}

impl SqlStore {
    async fn make_tables(&self) -> Result<(), Failure> {
        if let Some(path) = self.reader.target().file() {
            make_file(path).map_err(|error| Failure::File(path.to_path_buf(), error))?;
        }
        let mut lease = self.writing().await?;
        let tables = Tables::read(&mut lease).await?;
        tables.complete(&mut lease).await?;
        self.forget_tables();
        Ok(())
    }

    async fn write_user(&self, realm: &str, user: &str, keys: &Keys) -> Result<(), Failure> {
        if self.one_credential(realm, user).await?.is_some() {
            return Err(Failure::Taken(
                "a managed credential has this name; delete it first, or choose another one",
            ));
        }
        let mut lease = self.writing().await?;
        let tables = self.known_tables(&mut lease).await?;
        tables.expect(Table::Users)?;
        let statement = "SELECT realm, name FROM turnusers_lt WHERE realm = ? AND name = ?";
        let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
        if !rows.is_empty() && exact(&rows, realm, user)?.is_none() {
            return Err(Failure::Taken(
                "the collation of turnusers_lt takes another user's name for this one; choose \
                 another name, or make its columns COLLATE utf8mb4_bin",
            ));
        }
        let md5 = hex(keys.md5.as_bytes());
        // The MD5 key first: until the other is there too, it is not used.
        lease
            .upsert(
                "turnusers_lt",
                &["realm", "name", "hmackey"],
                2,
                &[realm.into(), user.into(), md5.as_str().into()],
            )
            .await?;
        if let Some(sha256) = keys.sha256.as_ref().filter(|_| tables.has(Table::Sha256Keys)) {
            let sha256 = hex(sha256.as_bytes());
            let values = [realm.into(), user.into(), md5.as_str().into(), sha256.as_str().into()];
            let columns = ["realm", "name", "hmackey", "sha256_key"];
            lease.upsert("turnserver_sha256_key", &columns, 2, &values).await?;
        }
        Ok(())
    }

    async fn remove_user(&self, realm: &str, user: &str) -> Result<bool, Failure> {
        let mut lease = self.writing().await?;
        let tables = self.known_tables(&mut lease).await?;
        tables.expect(Table::Users)?;
        if tables.has(Table::Sha256Keys) {
            let statement = "DELETE FROM turnserver_sha256_key WHERE realm = ? AND name = ?";
            lease.execute(statement, &[realm.into(), user.into()]).await?;
        }
        let statement = "SELECT realm, name FROM turnusers_lt WHERE realm = ? AND name = ?";
        let rows = lease.rows(statement, &[realm.into(), user.into()]).await?;
        if exact(&rows, realm, user)?.is_none() {
            return Ok(false);
        }
        let statement = "DELETE FROM turnusers_lt WHERE realm = ? AND name = ?";
        Ok(lease.execute(statement, &[realm.into(), user.into()]).await? > 0)
    }

    async fn list_users(&self, realm: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
        let mut lease = self.reader.lease().await?;
        self.known_tables(&mut lease).await?.expect(Table::Users)?;
        let rows = match realm {
            Some(realm) => {
                let statement = "SELECT realm, name FROM turnusers_lt WHERE realm = ?";
                lease.rows(statement, &[realm.into()]).await?
            }
            None => lease.rows("SELECT realm, name FROM turnusers_lt", &[]).await?,
        };
        let mut users = pairs(&rows)?;
        users.retain(|(of, _)| realm.is_none_or(|realm| of == realm));
        users.sort();
        Ok(users)
    }

    async fn write_secret(&self, realm: &str, secret: &str) -> Result<(), Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Secrets)?;
        let values = [realm.into(), secret.into()];
        lease.upsert("turn_secret", &["realm", "value"], 2, &values).await
    }

    async fn remove_secrets(&self, realm: &str, secret: Option<&str>) -> Result<u64, Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Secrets)?;
        match secret {
            Some(secret) => {
                let statement = "DELETE FROM turn_secret WHERE realm = ? AND value = ?";
                lease.execute(statement, &[realm.into(), secret.into()]).await
            }
            None => lease.execute("DELETE FROM turn_secret WHERE realm = ?", &[realm.into()]).await,
        }
    }

    async fn write_option(
        &self,
        realm: &str,
        option: RealmOption,
        value: Option<u64>,
    ) -> Result<(), Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Options)?;
        let opt = option.as_str();
        match value {
            Some(value) => {
                let value = value.to_string();
                let values = [realm.into(), opt.into(), value.as_str().into()];
                lease.upsert("turn_realm_option", &["realm", "opt", "value"], 2, &values).await
            }
            None => {
                let statement = "DELETE FROM turn_realm_option WHERE realm = ? AND opt = ?";
                lease.execute(statement, &[realm.into(), opt.into()]).await?;
                Ok(())
            }
        }
    }

    async fn write_origin(&self, origin: &str, realm: Option<&str>) -> Result<(), Failure> {
        let mut lease = self.writing().await?;
        self.known_tables(&mut lease).await?.expect(Table::Origins)?;
        match realm {
            Some(realm) => {
                let values = [origin.into(), realm.into()];
                lease.upsert("turn_origin_to_realm", &["origin", "realm"], 1, &values).await
            }
            None => {
                let statement = "DELETE FROM turn_origin_to_realm WHERE origin = ?";
                lease.execute(statement, &[origin.into()]).await?;
                Ok(())
            }
        }
    }
}

/// Makes an empty file that belongs to whom its directory belongs to: root's commands make files
/// that the server, which is somebody else, has to read.
fn make_file(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    let made = match made {
        Ok(made) => made,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    let directory = path.parent().map_or_else(|| Ok(None), |parent| fs::metadata(parent).map(Some));
    if let Some(directory) = directory?
        && directory.uid() != made.metadata()?.uid()
    {
        // Not by its name: whom the directory belongs to could have put a link to another file there.
        fchown(&made, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(())
}
