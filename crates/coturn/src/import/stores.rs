//! Databases of users: the one that coturn would use becomes `auth.stores`.

use std::path::{Path, PathBuf};

use turn_config::{Secret, StoreSource};

use super::connection::{Database, sqlite_url};
use super::draft::Draft;
use crate::note::NoteKind;
use crate::parsed::Setting;
use crate::store::Store;

pub(super) fn import(draft: &mut Draft<'_>) {
    let written: Vec<&Setting> = draft.all_of(&STORES).collect();
    let Some((last, others)) = written.split_last() else {
        look_at_default(draft);
        return;
    };
    for setting in others {
        // Of two of the same name the table says it.
        if setting.option.name != last.option.name {
            draft.note(setting, NoteKind::Ignored, "the last store counts, as in coturn");
        }
    }
    let source = match last.option.name {
        "userdb" | "db" => sqlite(draft, last),
        "mysql-userdb" => mysql(draft, last),
        "redis-userdb" => connection(draft, last, Database::Redis),
        "psql-userdb" | "sql-userdb" => connection(draft, last, Database::Postgres),
        _ => None,
    };
    let Some(url) = source else { return };
    add(draft, url);
    say_who_else_counts(draft, last);
}

/// `redis-statsdb`, which is no store.
pub(super) fn import_statsdb(draft: &mut Draft<'_>) {
    let Some(setting) = draft.last("redis-statsdb") else { return };
    draft.config.metrics.redis_statsdb =
        connection(draft, setting, Database::Redis).map(Secret::new);
}

fn add(draft: &mut Draft<'_>, url: String) {
    draft.config.auth.stores.push(StoreSource::new(url));
}

fn sqlite(draft: &mut Draft<'_>, setting: &Setting) -> Option<String> {
    let host = draft.surroundings.host;
    let places = draft.places_of(setting.value.reveal());
    // The first that is there.
    let found = places.into_iter().map(|place| (Store::at(&place, host), place));
    let found = found.filter(|(store, _)| *store != Store::Absent).take(1).next();
    match found {
        None => {
            let message =
                "there is no such file; a reload finds it when `turnadmin -a` has made it";
            draft.note(setting, NoteKind::Ignored, message);
        }
        Some((Store::Absent | Store::Nothing, _)) => {
            draft.note(setting, NoteKind::Ignored, "it has no tables, and so nobody in it");
        }
        Some((Store::Foreign, _)) => draft.refuse(
            setting,
            "it is no SQLite database, so whether it lets somebody in is not known; remove the \
             option, or name the database",
        ),
        Some((Store::Unreadable, _)) => draft.refuse(
            setting,
            "it cannot be read, so whether it lets somebody in is not known; let this user read \
             the file, or remove the option",
        ),
        Some((Store::Empty | Store::Filled, place)) => return Some(sqlite_url(&place)),
    }
    None
}

fn mysql(draft: &mut Draft<'_>, setting: &Setting) -> Option<String> {
    if let Some(key) = draft.last("secret-key-file") {
        draft.refuse(
            key,
            "the password of `mysql-userdb` is encrypted with it; write the password as it is, in a \
             file of mode 640, and remove this option",
        );
        return None;
    }
    connection(draft, setting, Database::Mysql)
}

fn connection(draft: &mut Draft<'_>, setting: &Setting, database: Database) -> Option<String> {
    match database.connection(setting.value.reveal()) {
        Err(message) => {
            draft.refuse(setting, message);
            None
        }
        Ok(connection) => {
            if let Err(message) = StoreSource::check(&connection.url) {
                draft.refuse(setting, message);
                return None;
            }
            if !connection.left_out.is_empty() {
                let message = format!(
                    "left out of it, with no meaning here: {}",
                    connection.left_out.join(", ")
                );
                draft.note(setting, NoteKind::Changed, message);
            }
            Some(connection.url)
        }
    }
}

/// coturn asks a store for users or for secrets, and this server for both.
fn say_who_else_counts(draft: &mut Draft<'_>, setting: &Setting) {
    let by_secret = draft.is_on("use-auth-secret") || draft.last("static-auth-secret").is_some();
    if draft.is_on("stun-only") || draft.is_on("no-auth") {
        return;
    }
    let message = if by_secret {
        "users in it get in too, beside those with shared secrets; coturn asks it for secrets only"
    } else {
        "shared secrets in it count too, beside its users; coturn asks it for users only"
    };
    draft.note(setting, NoteKind::Changed, message);
}

/// coturn opens its default store without being told to.
fn look_at_default(draft: &mut Draft<'_>) {
    let host = draft.surroundings.host;
    let is_filled = |path: &&&str| Store::at(Path::new(path), host) == Store::Filled;
    if let Some(path) = DEFAULTS.iter().find(is_filled) {
        add(draft, sqlite_url(&PathBuf::from(path)));
        let message = format!(
            "coturn opens {path} without being told to, and it holds users, secrets or rules; so it \
             is a store here too"
        );
        draft.note_absent("userdb", message);
    }
}

/// Options that name a store; of several the last counts, whatever its kind.
const STORES: [&str; 7] =
    ["userdb", "db", "psql-userdb", "sql-userdb", "mysql-userdb", "redis-userdb", "mongo-userdb"];

const DEFAULTS: [&str; 3] = ["/var/lib/turn/turndb", "/var/db/turndb", "/usr/local/var/db/turndb"];

#[cfg(test)]
mod tests {
    use super::super::bench::{config, refused, warnings};

    fn store(text: &str) -> String {
        let stores = config(text).auth.stores;
        stores.iter().map(|store| store.url.reveal()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_file_that_is_absent_or_has_no_tables_is_ignored() {
        for (text, why) in
            [("userdb=/var/tmp/none.db", "there is no such file"), ("db=/dev/null", "no tables")]
        {
            assert_eq!(store(text), "");
            assert!(warnings(text).contains(why), "{text}");
        }
    }

    #[test]
    fn a_database_is_a_store_whether_somebody_is_in_it_or_not() {
        assert_eq!(store("userdb=empty.db"), "sqlite:///etc/empty.db");
        assert_eq!(store("db=/etc/my users.db"), "sqlite:///etc/my%20users.db");
        assert!(config("userdb=empty.db").can_relay());
        assert!(warnings("userdb=empty.db").contains("shared secrets in it count too"));
        assert!(warnings("userdb=empty.db\nuse-auth-secret").contains("users in it get in too"));
        assert_eq!(store("userdb=empty.db\nno-auth"), "");
        assert!(!config("userdb=empty.db\nstun-only").can_relay());
    }

    #[test]
    fn a_file_that_may_let_somebody_in_is_refused_with_its_line() {
        let message = refused("syslog\nuserdb=/etc/full.db");
        assert!(message.starts_with("error: t.conf:2: userdb: it is no SQLite"), "{message}");
        assert!(refused("userdb=secret.pem").contains("cannot be read"));
    }

    #[test]
    fn connection_strings_become_urls() {
        let strings = [
            ("psql-userdb=\"host=db dbname=t user=u password=p\"", "postgres://u:p@db/t"),
            ("sql-userdb=\"host=db dbname=t user=u\"", "postgres://u@db/t"),
            ("mysql-userdb=\"host=db dbname=t user=u password=p\"", "mysql://u:p@db/t"),
            ("redis-userdb=\"ip=10.0.0.9 dbname=3 password=p\"", "redis://:p@10.0.0.9/3"),
        ];
        for (text, url) in strings {
            assert_eq!(store(text), url, "{text}");
        }
        let both = "psql-userdb=\"host=db dbname=t\"\nredis-userdb=\"ip=::1\"";
        assert_eq!(store(both), "redis://[::1]/0");
        assert!(warnings(both).contains("t.conf:1: psql-userdb: ignored: the last store counts"));
        let stats = config("redis-statsdb=\"ip=127.0.0.1 dbname=2 password=p\"").metrics;
        let url = stats.redis_statsdb.map(|url| url.reveal().to_owned());
        assert_eq!(url.as_deref(), Some("redis://:p@127.0.0.1/2"));
    }

    #[test]
    fn strings_that_lead_nowhere_are_refused_and_their_passwords_not_repeated() {
        for text in [
            "psql-userdb=\"hunter2\"",
            "mysql-userdb=\"host=db password=hunter2\"",
            "redis-userdb=\"dbname=x password=hunter2\"",
            "redis-statsdb=\"hunter2\"",
            "mongo-userdb=\"mongodb://u:hunter2@h/d\"",
            "mysql-userdb=\"dbname=d password=hunter2\"\nsecret-key-file=/etc/key",
        ] {
            let message = refused(text);
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(refused("mongo-userdb=\"mongodb://h\"").contains("auth.stores"));
    }
}
