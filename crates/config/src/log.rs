//! `[log]`: what is told, how and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::values;

/// What is logged, where, and how much of users and clients it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a record looks. Default: text.
    pub format: LogFormat,
    /// The least grave record that is written. Default: info.
    pub level: LogLevel,
    /// Where it is written. Default: stderr.
    pub target: LogTarget,
    /// The facility of syslog records, one of those that `syslog.conf` names. Default: `daemon`.
    pub syslog_facility: String,
    /// How user names are told. Default: full.
    pub users: Privacy,
    /// How the addresses of clients and peers are told. Default: full.
    pub addresses: Privacy,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// One line a record, for people.
    #[default]
    Text,
    /// One JSON object a record.
    Json,
}

/// `log.level`, the gravest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// The server stops.
    Error,
    /// An operator should look.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// What led to them.
    Debug,
    /// Everything.
    Trace,
}

/// `log.target`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// Standard error.
    #[default]
    Stderr,
    /// The system's log, at `/dev/log`.
    Syslog,
    /// A file that is written at its end. The reader has taken a relative path as relative to the
    /// configuration file's directory.
    File(PathBuf),
}

/// `log.users` and `log.addresses`: how much of a person the log tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Privacy {
    /// As it is.
    #[default]
    Full,
    /// As a hash that is the same for the same value until the next start.
    Hashed,
    /// Not at all.
    Off,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: LogLevel::default(),
            target: LogTarget::default(),
            syslog_facility: "daemon".to_owned(),
            users: Privacy::default(),
            addresses: Privacy::default(),
        }
    }
}

impl Log {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        Self {
            format: section
                .value("format", |value| values::choice(value, &LogFormat::NAMES))
                .unwrap_or(default.format),
            level: section
                .value("level", |value| values::choice(value, &LogLevel::NAMES))
                .unwrap_or(default.level),
            target: section.value("target", target).unwrap_or(default.target),
            syslog_facility: section
                .value("syslog_facility", facility)
                .unwrap_or(default.syslog_facility),
            users: section.value("users", privacy).unwrap_or(default.users),
            addresses: section.value("addresses", privacy).unwrap_or(default.addresses),
        }
    }

    /// Makes a relative path of the target start from `directory`.
    pub(crate) fn start_from(&mut self, directory: &Path) {
        if let LogTarget::File(path) = &mut self.target {
            *path = directory.join(&*path);
        }
    }
}

impl LogFormat {
    const NAMES: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl LogLevel {
    const NAMES: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// The level as the file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, level)| *level).ok_or(UnknownLevel)
    }
}

/// A word that is no log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log level: write error, warn, info, debug or trace")]
pub struct UnknownLevel;

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl LogTarget {
    /// The target as the file spells it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stderr => "stderr".to_owned(),
            Self::Syslog => "syslog".to_owned(),
            // A word without a slash would be read as one of the two above, misspelt.
            Self::File(path) if path.components().count() < 2 => {
                format!("./{}", path.display())
            }
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl Privacy {
    const NAMES: [(&str, Self); 3] =
        [("full", Self::Full), ("hashed", Self::Hashed), ("off", Self::Off)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Hashed => "hashed",
            Self::Off => "off",
        }
    }
}

fn target(value: &DeValue<'_>) -> Result<LogTarget, Complaint> {
    let text = values::text(value, "stderr")?;
    // The slash tells a file from a slip of the two words.
    if text.contains('/') {
        return values::path(value, "/var/log/turnserver.log", "a log file").map(LogTarget::File);
    }
    let words = [("stderr", LogWord::Stderr), ("syslog", LogWord::Syslog)];
    match values::choice(value, &words) {
        Ok(LogWord::Stderr) => Ok(LogTarget::Stderr),
        Ok(LogWord::Syslog) => Ok(LogTarget::Syslog),
        Err(complaint) => Err(Complaint {
            help: format!("{}, or a path with a slash, such as \"./turn.log\"", complaint.help),
            ..complaint
        }),
    }
}

/// The targets that are words.
#[derive(Clone, Copy)]
enum LogWord {
    Stderr,
    Syslog,
}

fn facility(value: &DeValue<'_>) -> Result<String, Complaint> {
    values::choice(value, &FACILITIES.map(|name| (name, name))).map(str::to_owned)
}

fn privacy(value: &DeValue<'_>) -> Result<Privacy, Complaint> {
    values::choice(value, &Privacy::NAMES)
}

/// Facilities that a daemon may choose (RFC 5424, section 6.2.1, by the names of `syslog.conf`).
const FACILITIES: [&str; 19] = [
    "daemon", "user", "mail", "auth", "authpriv", "cron", "ftp", "lpr", "news", "syslog", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
