//! Databases of users: not available yet, so one that is needed stops the start.

use std::path::Path;

use super::draft::Draft;
use crate::note::NoteKind;
use crate::store::Store;

pub(super) fn import(draft: &mut Draft<'_>) {
    let written: Vec<_> = draft.all("userdb").chain(draft.all("db")).collect();
    for setting in &written {
        let path = setting.value.reveal();
        let host = draft.surroundings.host;
        let looks = draft.places_of(path).into_iter().map(|place| Store::at(&place, host));
        // The first that is there.
        let store = looks.into_iter().find(|store| *store != Store::Absent);
        match store.unwrap_or(Store::Absent) {
            Store::Absent => draft.note(setting, NoteKind::Ignored, "there is no such file"),
            Store::Empty => draft.note(
                setting,
                NoteKind::Ignored,
                "it holds no users, secrets or rules, and nothing would be read from it",
            ),
            Store::Filled => draft.refuse(
                setting,
                "it holds users, secrets or rules, and stores are not available yet; move them to \
                 `user` and `static-auth-secret` lines, and remove this one",
            ),
            Store::Unreadable => draft.refuse(
                setting,
                "it cannot be read, so whether it lets somebody in is not known; stores are not \
                 available yet: remove the option, or let this user read the file",
            ),
        }
    }
    if written.is_empty() {
        look_at_default(draft);
    }
}

/// coturn opens its default store without being told to.
fn look_at_default(draft: &mut Draft<'_>) {
    let host = draft.surroundings.host;
    let filled = DEFAULTS.iter().find(|path| Store::at(Path::new(path), host) == Store::Filled);
    if let Some(path) = filled {
        let message = format!(
            "coturn also reads {path}, which holds users, secrets or rules; stores are not available \
             yet: move them to `user` and `static-auth-secret` lines"
        );
        draft.note_absent("userdb", message);
    }
}

const DEFAULTS: [&str; 3] = ["/var/lib/turn/turndb", "/var/db/turndb", "/usr/local/var/db/turndb"];

#[cfg(test)]
mod tests {
    use super::super::bench::{refused, warnings};

    #[test]
    fn a_store_that_is_absent_or_empty_is_ignored() {
        assert!(
            warnings("userdb=/var/tmp/none.db").contains("t.conf:1: userdb: ignored: there is no")
        );
        assert!(warnings("db=/dev/null").contains("holds no users"));
        assert!(warnings("userdb=empty.db").contains("holds no users"));
    }

    #[test]
    fn a_store_that_lets_somebody_in_or_may_is_refused_with_its_line() {
        let message = refused("syslog\nuserdb=/etc/full.db");
        assert!(message.starts_with("error: t.conf:2: userdb: it holds users"), "{message}");
        assert!(refused("userdb=secret.pem").contains("cannot be read"));
    }

    #[test]
    fn other_stores_are_refused_and_their_passwords_not_repeated() {
        for name in ["psql-userdb", "sql-userdb", "mysql-userdb", "mongo-userdb", "redis-userdb"] {
            let message = refused(&format!("{name}=\"host=db password=hunter2\""));
            assert!(message.contains("stores are not available yet"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(warnings("redis-statsdb=\"ip=127.0.0.1 password=hunter2\"").contains("ignored"));
    }
}
