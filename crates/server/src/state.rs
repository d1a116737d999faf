//! The credentials of a server that was started without any: one random user
//! and one random shared secret, kept from one run to the next.
//!
//! They lie in `credentials.json` of the state directory, readable by the
//! server's user only. Invariants: a file that is there is never replaced, and
//! a new one appears as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turn_config::Secret;

/// Credentials that the server made for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialCredentials {
    /// Name of the static user.
    pub user: String,
    /// Its password: 130 random bits.
    pub password: Secret,
    /// The shared secret for time-limited credentials: 260 random bits.
    pub secret: Secret,
    /// Where they are kept.
    pub kept: Kept,
    /// What is wrong with the file though it can be used, with the remedy.
    pub warning: Option<String>,
}

/// Whether the credentials will be the same at the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// They will: they lie in this file.
    In(PathBuf),
    /// They will not, because no directory could be used.
    ForThisRunOnly {
        /// Why, for each directory that was tried.
        reason: String,
    },
}

/// Why the kept credentials cannot be used. The file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is not what this server writes.
    #[error(
        "{} does not hold the credentials that turnserver made ({reason}); \
         remove it to have new ones made, or restore it", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else could have put credentials of their own there.
    #[error(
        "{} can be written by everybody on this host; remove it to have new credentials made",
        path.display()
    )]
    WritableByOthers {
        /// The file.
        path: PathBuf,
    },
}

/// The state directories to try, in order: `$STATE_DIRECTORY` (systemd; the
/// first one if it names several), then `$XDG_STATE_HOME/turnserver` or else
/// `~/.local/state/turnserver`.
///
/// `variable` looks up an environment variable. Relative paths are ignored, as
/// the XDG base directory specification asks.
pub fn directories(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let systemd = variable("STATE_DIRECTORY")
        .and_then(|list| std::env::split_paths(&list).next())
        .and_then(absolute);
    let xdg = variable("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || variable("HOME").map(PathBuf::from).and_then(absolute);
    let user = xdg
        .or_else(|| home().map(|home| home.join(".local/state")))
        .map(|state| state.join("turnserver"));
    systemd.into_iter().chain(user).collect()
}

/// Reads the credentials out of the first of `directories` that has them, or
/// else makes new ones and keeps them in the first that can be written.
///
/// `random` fills a buffer with random bytes from the operating system.
///
/// # Errors
///
/// Where a file is there and must not be trusted.
pub fn load_or_create(
    directories: &[PathBuf],
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<TrialCredentials, StateError> {
    let mut failures = Vec::new();
    let mut candidates = Vec::new();
    for directory in directories {
        let path = directory.join(FILE_NAME);
        match File::open(&path) {
            Ok(file) => return load(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => candidates.push(path),
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
    }
    let stored = Stored::generate(random);
    for path in candidates {
        match store(&stored, &path, random) {
            Ok(()) => return Ok(stored.into_credentials(Kept::In(path))),
            // Another server on this host was quicker; both must give out the same.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match File::open(&path) {
                Ok(file) => return load(file, path),
                Err(error) => failures.push(format!("{}: {error}", path.display())),
            },
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
    }
    if failures.is_empty() {
        failures.push("none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set".to_owned());
    }
    Ok(stored.into_credentials(Kept::ForThisRunOnly { reason: failures.join("; ") }))
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    user: String,
    password: String,
    secret: String,
}

impl Stored {
    fn generate(random: &mut dyn FnMut(&mut [u8])) -> Self {
        Self {
            user: format!("user-{}", word::<6>(random)),
            password: word::<26>(random),
            secret: word::<52>(random),
        }
    }

    /// Passwords are compared as OpaqueString: no empty ones, no control characters.
    fn is_usable(&self) -> bool {
        [&self.user, &self.password, &self.secret]
            .iter()
            .all(|text| !text.is_empty() && text.len() <= 508 && !text.contains(char::is_control))
    }

    fn into_credentials(self, kept: Kept) -> TrialCredentials {
        TrialCredentials {
            user: self.user,
            password: Secret::new(self.password),
            secret: Secret::new(self.secret),
            kept,
            warning: None,
        }
    }
}

fn load(mut file: File, path: PathBuf) -> Result<TrialCredentials, StateError> {
    let corrupt = |reason: String| StateError::Corrupt { path: path.clone(), reason };
    let metadata = file.metadata().map_err(|error| corrupt(error.to_string()))?;
    let mode = metadata.permissions().mode();
    if mode & 0o002 != 0 {
        // [H35]
        return Err(StateError::WritableByOthers { path });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| corrupt(error.to_string()))?;
    // Only the place of a mistake is repeated: serde_json's message may quote a value.
    let stored: Stored = serde_json::from_str(&text).map_err(|error| {
        corrupt(format!("no such JSON, line {} column {}", error.line(), error.column()))
    })?;
    if !stored.is_usable() {
        return Err(corrupt("a value is empty, too long or has control characters".to_owned()));
    }
    let warning = (mode & 0o004 != 0).then(|| {
        let path = path.display();
        format!("{path} holds secrets and everybody on this host can read it; chmod 600 {path}")
    });
    Ok(TrialCredentials { warning, ..stored.into_credentials(Kept::In(path)) })
}

/// Writes a whole file under another name, and links it to `path` only then.
fn store(stored: &Stored, path: &Path, random: &mut dyn FnMut(&mut [u8])) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = directory.join(format!(".{FILE_NAME}.{}", word::<12>(random)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = serde_json::to_vec_pretty(stored)
        .map_err(io::Error::from)
        .and_then(|text| file.write_all(&text))
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link does not replace what is there.
        .and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

/// A random word of `LENGTH` characters, five bits each.
fn word<const LENGTH: usize>(random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut bytes = [0; LENGTH];
    random(&mut bytes);
    bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect()
}

const FILE_NAME: &str = "credentials.json";

/// 32 letters and digits, none of which is taken for another (no 0, 1, l, o).
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs::Permissions;

    use super::*;

    #[test]
    fn credentials_are_the_same_at_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let directories = [home.path().join("a/b/turnserver")];
        let first = load_or_create(&directories, &mut counter(1)).unwrap();
        let second = load_or_create(&directories, &mut counter(77)).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.kept, Kept::In(home.path().join("a/b/turnserver/credentials.json")));
        assert_eq!(first.warning, None);
        assert_eq!(first.password.reveal().len(), 26);
        assert_ne!(first.password, first.secret);
    }

    #[test]
    fn file_and_directory_belong_to_their_user_alone_and_nothing_else_is_left() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("turnserver");
        load_or_create(std::slice::from_ref(&directory), &mut counter(1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("credentials.json")), 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn an_unusable_directory_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let directories = [home.path().join("file/below"), home.path().join("good")];
        let made = load_or_create(&directories, &mut counter(1)).unwrap();
        assert_eq!(made.kept, Kept::In(home.path().join("good/credentials.json")));
    }

    #[test]
    fn where_nothing_can_be_written_they_are_for_this_run_and_the_reason_names_the_path() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let directory = home.path().join("file/below");
        let made = load_or_create(std::slice::from_ref(&directory), &mut counter(1)).unwrap();
        let Kept::ForThisRunOnly { reason } = made.kept else { panic!("{:?}", made.kept) };
        assert!(reason.contains(&directory.display().to_string()), "{reason}");
        let made = load_or_create(&[], &mut counter(1)).unwrap();
        let Kept::ForThisRunOnly { reason } = made.kept else { panic!("{:?}", made.kept) };
        assert!(reason.contains("HOME"), "{reason}");
    }

    #[test]
    fn a_corrupt_file_is_named_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("credentials.json");
        for text in [
            "",
            "{\"user\": \"hunter2\"",
            "{\"user\": \"u\", \"password\": \"\", \"secret\": \"s\"}",
            "{\"user\": \"u\", \"password\": 7, \"secret\": \"hunter2\"}",
            "{\"user\": \"u\", \"password\": \"p\", \"secret\": \"s\", \"hunter2\": 1}",
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create(&[home.path().to_owned()], &mut counter(1)).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
            assert!(message.contains("remove it") && !message.contains("hunter2"), "{message}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn h35_kept_credentials_that_others_can_read_are_warned_of_and_writable_ones_refused() {
        let home = tempfile::tempdir().unwrap();
        let directories = [home.path().to_owned()];
        load_or_create(&directories, &mut counter(1)).unwrap();
        let path = home.path().join("credentials.json");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let warning = load_or_create(&directories, &mut counter(1)).unwrap().warning.unwrap();
        assert!(warning.ends_with(&format!("chmod 600 {}", path.display())), "{warning}");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let error = load_or_create(&directories, &mut counter(1)).unwrap_err();
        assert!(matches!(error, StateError::WritableByOthers { .. }));
    }

    #[test]
    fn a_server_that_was_quicker_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("credentials.json");
        let stored = Stored::generate(&mut counter(1));
        store(&stored, &path, &mut counter(2)).unwrap();
        let error = store(&Stored::generate(&mut counter(9)), &path, &mut counter(3)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let kept = load_or_create(&[home.path().to_owned()], &mut counter(5)).unwrap();
        assert_eq!(kept.user, stored.user);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn systemd_comes_before_xdg_and_xdg_before_home() {
        let found = |set: &[(&str, &str)]| {
            directories(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            })
        };
        let home = ("HOME", "/home/a");
        assert_eq!(found(&[home]), [PathBuf::from("/home/a/.local/state/turnserver")]);
        let all = found(&[home, ("XDG_STATE_HOME", "/x"), ("STATE_DIRECTORY", "/var/lib/t:/b")]);
        assert_eq!(all, [PathBuf::from("/var/lib/t"), PathBuf::from("/x/turnserver")]);
        assert_eq!(found(&[("HOME", "relative"), ("STATE_DIRECTORY", "")]), Vec::<PathBuf>::new());
    }

    /// Random bytes that are not: they count up from `next`.
    fn counter(mut next: u8) -> impl FnMut(&mut [u8]) {
        move |buffer| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(7);
            }
        }
    }
}
