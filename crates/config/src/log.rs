//! `[log]`: what is told, how and where.

use std::fmt;
use std::str::FromStr;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::values;

/// Where log records go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// How a record looks. Default: text.
    pub format: LogFormat,
    /// The least grave record that is written. Default: info.
    pub level: LogLevel,
    /// Where it is written. Default: stderr.
    pub target: LogTarget,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// Standard error.
    #[default]
    Stderr,
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
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
        }
    }
}

fn target(value: &DeValue<'_>) -> Result<LogTarget, Complaint> {
    match value.as_str() {
        Some(word) if word == "syslog" || word.contains('/') => Err(Complaint::new(
            "syslog and log files are not available yet",
            "write \"stderr\"; systemd keeps it in the journal",
        )),
        _ => values::choice(value, &[("stderr", LogTarget::Stderr)]),
    }
}
