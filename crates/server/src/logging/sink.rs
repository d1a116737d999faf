//! Where log records end: standard error, syslog or a file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _, stderr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Level;
use turn_config::{Log, LogTarget};

use super::syslog::{self, Syslog};

/// The log cannot be written where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened.
    #[error("log.target: cannot open {}: {source}\n  = help: {}", path.display(), help(path, source))]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No syslog daemon answers.
    #[error(
        "log.target: no syslog daemon at {}: {source}\n  = help: start one (`systemctl start rsyslog`), bind its socket into \
         the sandbox, or write target = \"stderr\"",
        path.display()
    )]
    Syslog {
        /// Its socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The place itself; shared by whoever writes.
#[derive(Debug, Clone)]
pub struct Sink(Arc<Mutex<Place>>);

#[derive(Debug)]
enum Place {
    Stderr,
    Syslog(Syslog),
    File { path: PathBuf, file: File },
}

impl Sink {
    /// Opens what `log` names.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(log: &Log) -> Result<Self, SinkError> {
        let place = match &log.target {
            LogTarget::Stderr => Place::Stderr,
            LogTarget::Syslog => {
                let path = Path::new(syslog::SOCKET);
                let syslog = Syslog::connect(path, &log.syslog_facility)
                    .map_err(|source| SinkError::Syslog { path: path.to_owned(), source })?;
                Place::Syslog(syslog)
            }
            LogTarget::File(path) => {
                let file = open_file(path)
                    .map_err(|source| SinkError::File { path: path.clone(), source })?;
                Place::File { path: path.clone(), file }
            }
        };
        Ok(Self(Arc::new(Mutex::new(place))))
    }

    /// Opens a file anew, so that whoever rotates logs may have moved it; says whether there is one.
    ///
    /// # Errors
    /// It cannot be opened; the old one is written on.
    pub fn reopen(&self) -> Result<bool, SinkError> {
        let path = match &*self.lock() {
            Place::File { path, .. } => path.clone(),
            Place::Stderr | Place::Syslog(_) => return Ok(false),
        };
        // Unlocked: what is logged meanwhile goes to the old one.
        let opened = open_file(&path);
        let new = opened.map_err(|source| SinkError::File { path, source })?;
        if let Place::File { file, .. } = &mut *self.lock() {
            *file = new;
        }
        Ok(true)
    }

    /// Sends to syslog under another facility from now on.
    pub fn set_facility(&self, facility: &str) {
        if let Place::Syslog(syslog) = &mut *self.lock() {
            syslog.set_facility(facility);
        }
    }

    /// Writes one record, with its line end.
    pub(super) fn write(&self, level: Level, record: &[u8]) {
        // Where a log cannot be written there is nobody to tell.
        let _ = match &mut *self.lock() {
            Place::Stderr => stderr().lock().write_all(record),
            Place::Syslog(syslog) => {
                syslog.write(level, record);
                Ok(())
            }
            Place::File { file, .. } => file.write_all(record),
        };
    }

    /// Whether several lines may be written as one record: syslog takes each with its level.
    pub(super) fn takes_lines_together(&self) -> bool {
        match &*self.lock() {
            Place::Stderr | Place::File { .. } => true,
            Place::Syslog(_) => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends to `path`; a new file can be read by the group of the log's readers and nobody else,
/// whatever the umask.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o640))?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn help(path: &Path, error: &io::Error) -> String {
    let directory = path.parent().unwrap_or(path).display();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "make its directory, owned by the server's user (`mkdir {directory}`; in the systemd unit LogsDirectory=turnserver)"
        ),
        ErrorKind::PermissionDenied => format!(
            "let the server's user write in {directory} (in the systemd unit LogsDirectory=turnserver, \
             and a file in /var/log/turnserver)"
        ),
        ErrorKind::ReadOnlyFilesystem => {
            "the sandbox of the systemd unit makes the file system read-only; LogsDirectory=turnserver opens /var/log/turnserver"
                .to_owned()
        }
        _ => "name a file in a directory that the server's user can write".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_appended_to_and_read_by_its_group_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.log");
        for line in ["a\n", "b\n"] {
            open(&path).unwrap().write(Level::INFO, line.as_bytes());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_was_moved_away_is_written_anew_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("t.log"), directory.path().join("t.log.1"));
        let sink = open(&path).unwrap();
        sink.write(Level::INFO, b"old\n");
        fs::rename(&path, &moved).unwrap();
        sink.write(Level::INFO, b"still old\n");
        assert!(sink.reopen().unwrap());
        sink.write(Level::INFO, b"new\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "old\nstill old\n");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_is_written_on() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("logs");
        fs::create_dir(&below).unwrap();
        let sink = open(&below.join("t.log")).unwrap();
        fs::rename(&below, directory.path().join("moved")).unwrap();
        let error = sink.reopen().unwrap_err().to_string();
        assert!(error.contains("LogsDirectory=") && error.contains("t.log"), "{error}");
        sink.write(Level::INFO, b"on\n");
        assert_eq!(fs::read_to_string(directory.path().join("moved/t.log")).unwrap(), "on\n");
    }

    #[test]
    fn a_missing_directory_is_named_with_its_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let error = open(&directory.path().join("none/t.log")).unwrap_err().to_string();
        assert!(error.contains("mkdir ") && error.contains("log.target"), "{error}");
    }

    fn open(path: &Path) -> Result<Sink, SinkError> {
        let target = LogTarget::File(path.to_owned());
        Sink::open(&Log { target, ..Log::default() })
    }
}
