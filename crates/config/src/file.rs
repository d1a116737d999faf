//! Reads the configuration file, and judges who else can. [H35]

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::document;
use crate::environment::Environment;
use crate::error::ConfigErrors;
use crate::include::{Opened, shell_word};
use crate::warning::Warning;

/// A configuration that was read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd about the files and variables; [`Config::warnings`] judges what it says.
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

/// Reads and checks the file at `path`, with `environment` and then `switches` over it. Relative
/// paths in both start from the file's directory.
///
/// # Errors
///
/// Where the file cannot be read, can be written by everybody, or what it or the environment says
/// is wrong.
pub fn load(
    path: &Path,
    switches: Switches,
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let opened = Opened::read(path).map_err(failed)?;
    if opened.is_writable_by_others() {
        return Err(LoadError::WritableByOthers { path: path.to_owned() });
    }
    // Absolute, so that they are what they were when the certificates are read again.
    let path_from_root = std::path::absolute(path).map_err(failed)?;
    let directory = path_from_root.parent().unwrap_or(Path::new(""));
    let document = document::read(&opened.text, path, directory, switches, environment)?;
    let mut warnings = document.warnings;
    warnings.extend(document.has_secrets.then(|| opened.warning(path)).flatten());
    Ok(Loaded { config: document.config, warnings })
}

/// Judges the mode of the file at `path` that `config` was imported from.
///
/// # Errors
///
/// Where the file cannot be read or can be written by everybody.
pub fn file_warnings(path: &Path, config: &Config) -> Result<Vec<Warning>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let opened = Opened::without_text(path).map_err(failed)?;
    if opened.is_writable_by_others() {
        return Err(LoadError::WritableByOthers { path: path.to_owned() });
    }
    Ok(config.has_secrets().then(|| opened.warning(path)).flatten().into_iter().collect())
}

/// Reads and checks `text`, such as an imported configuration, as [`load`] does a file of the
/// name `path`.
///
/// # Errors
///
/// Where what it or the environment says is wrong.
pub fn from_text(
    text: &str,
    path: &Path,
    switches: Switches,
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let path_from_root = std::path::absolute(path).map_err(failed)?;
    let directory = path_from_root.parent().unwrap_or(Path::new(""));
    let document = document::read(text, path, directory, switches, environment)?;
    Ok(Loaded { config: document.config, warnings: document.warnings })
}

/// The configuration of a start without a file: that of [`Config::without_file`] with
/// `environment` over it. Relative paths start from the working directory.
///
/// # Errors
///
/// Where what the environment says is wrong.
pub fn from_environment(
    switches: Switches,
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    let mut loaded = from_text("", Path::new("environment"), switches, environment)?;
    if loaded.config.listen == Config::default().listen {
        loaded.config.listen = Config::without_file(switches).listen;
    }
    Ok(loaded)
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
        (load(&path, Switches::default(), &Environment::default()), path.display().to_string())
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
        let error = load(
            Path::new("/nonexistent/turnserver.toml"),
            Switches::default(),
            &Environment::default(),
        );
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
        let error =
            load(&path, Switches::default(), &Environment::default()).unwrap_err().to_string();
        assert!(error.contains("needs a certificate"), "{error}");
        let switches = Switches { self_signed: true, loopback_peers: true };
        let config = load(&path, switches, &Environment::default()).unwrap().config;
        assert!(config.tls.self_signed && config.lab.loopback_peers);
    }
}
