//! Reads the configuration file, and judges who else can. [H35]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::{Config, read};
use crate::error::ConfigErrors;
use crate::warning::Warning;

/// A configuration that was read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd about the file itself; [`Config::warnings`] judges what it says.
    pub warnings: Vec<Warning>,
}

/// What the command line switches on, as if the file had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches {
    /// `--self-signed`: [`Tls::self_signed`](crate::Tls::self_signed).
    pub self_signed: bool,
    /// `--allow-loopback-peers`: [`Lab::loopback_peers`](crate::Lab::loopback_peers).
    pub loopback_peers: bool,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("error: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anybody on this host could change it.
    #[error(
        "error: {} can be written by everybody on this host\n  = help: chmod o-w {}",
        path.display(), shell_word(path)
    )]
    WritableByOthers {
        /// The file.
        path: PathBuf,
    },
    /// It is read and holds mistakes.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// Reads and checks the file at `path`. Relative paths in it start from its directory.
///
/// # Errors
///
/// Where the file cannot be read, can be written by everybody, or holds mistakes.
pub fn load(path: &Path, switches: Switches) -> Result<Loaded, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    // The mode of the opened file, not of the name, which could be exchanged meanwhile.
    let mode = mode_of(&file).map_err(failed)?;
    if mode & 0o002 != 0 {
        return Err(LoadError::WritableByOthers { path: path.to_owned() });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    let mut config = read(&text, path, switches)?;
    // Absolute, so that they are what they were when the certificates are read again.
    let path_from_root = std::path::absolute(path).map_err(failed)?;
    config.tls.start_from(path_from_root.parent().unwrap_or(Path::new("")));
    let mut warnings = Vec::new();
    if mode & 0o004 != 0 && config.has_secrets() {
        warnings.push(Warning {
            message: format!(
                "{} holds secrets and everybody on this host can read it",
                path.display()
            ),
            help: format!("chmod o-r {}", shell_word(path)),
        });
    }
    Ok(Loaded { config, warnings })
}

#[cfg(unix)]
fn mode_of(file: &File) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode())
}

/// Elsewhere files have no such modes; nothing is judged.
#[cfg(not(unix))]
fn mode_of(_: &File) -> io::Result<u32> {
    Ok(0)
}

/// `path` as a shell takes it, quoted only where it must be.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const WITH_SECRET: &str = "[auth]\nsecrets = ['north wind']\n";

    fn load_with_mode(text: &str, mode: u32) -> (Result<Loaded, LoadError>, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (load(&path, Switches::default()), path.display().to_string())
    }

    #[test]
    fn h35_a_secret_file_that_others_can_read_is_warned_of_with_the_chmod_line() {
        let (loaded, path) = load_with_mode(WITH_SECRET, 0o644);
        let warnings = loaded.unwrap().warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings.iter().all(|warning| warning.help == format!("chmod o-r {path}")));
    }

    #[test]
    fn h35_a_file_that_others_can_write_is_refused_with_the_chmod_line() {
        let (loaded, path) = load_with_mode("", 0o646);
        assert!(loaded.unwrap_err().to_string().ends_with(&format!("chmod o-w {path}")));
    }

    #[test]
    fn a_private_file_and_a_file_without_secrets_are_not_warned_of() {
        assert_eq!(load_with_mode(WITH_SECRET, 0o640).0.unwrap().warnings, []);
        assert_eq!(load_with_mode("", 0o644).0.unwrap().warnings, []);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/turnserver.toml"), Switches::default());
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("error: cannot read /nonexistent/turnserver.toml: "), "{error}");
    }

    #[test]
    fn relative_paths_start_from_the_directory_of_the_file() {
        let text = "[tls]\ncertificates = [{ certificate = 'a.pem', key = '/etc/tls/a.key' }]\n";
        let (loaded, path) = load_with_mode(text, 0o644);
        let directory = Path::new(&path).parent().unwrap();
        let tls = loaded.unwrap().config.tls;
        assert_eq!(tls.certificates.first().unwrap().certificate, directory.join("a.pem"));
        assert_eq!(tls.certificates.first().unwrap().key, Path::new("/etc/tls/a.key"));
    }

    #[test]
    fn a_switch_counts_as_if_the_file_had_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        fs::write(&path, "[[listen]]\naddress = '0.0.0.0:443'\ntransports = ['tls']\n").unwrap();
        let error = load(&path, Switches::default()).unwrap_err().to_string();
        assert!(error.contains("needs a certificate"), "{error}");
        let switches = Switches { self_signed: true, loopback_peers: true };
        let config = load(&path, switches).unwrap().config;
        assert!(config.tls.self_signed && config.lab.loopback_peers);
    }

    #[test]
    fn the_chmod_line_survives_a_path_with_spaces_and_quotes() {
        assert_eq!(shell_word(Path::new("/etc/a b's")), r"'/etc/a b'\''s'");
        assert_eq!(shell_word(Path::new("/etc/turnserver.toml")), "/etc/turnserver.toml");
    }
}
