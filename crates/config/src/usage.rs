//! `[usage]`: what is counted, how long it is kept, and who is told when it is much.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::duration::spell;
use crate::entries::{Entries, Secrets, quote};
use crate::reader::Section;
use crate::threshold::Threshold;
use crate::values;

/// Where usage is kept and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The database. Default: `usage.db` in the state directory.
    pub path: UsagePath,
    /// How long the figures of a day are kept, 1 to 3,650 days. Default: 400 days.
    pub keep: Duration,
    /// How long the line of an allocation is kept, 1 to 3,650 days. Default: 30 days.
    pub keep_log: Duration,
    /// Who is told when somebody has used how much, none twice. Default: nobody.
    pub thresholds: Vec<Threshold>,
}

/// `usage.path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UsagePath {
    /// Nothing is written: here, if it can be.
    Default(PathBuf),
    /// This is written, and meant. The reader has taken a relative path as relative to the
    /// configuration file's directory.
    At(PathBuf),
    /// Nothing is kept.
    Off,
}

impl UsagePath {
    /// The path, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::At(path) => Some(path),
            Self::Off => None,
        }
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            path: UsagePath::Default(Path::new(STATE_DIRECTORY).join(FILE)),
            keep: 400 * DAY,
            keep_log: 30 * DAY,
            thresholds: Vec::new(),
        }
    }
}

impl Usage {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        let days = |value: &DeValue<'_>| values::duration(value, DAY, 3650 * DAY);
        Self {
            path: section.value("path", path).unwrap_or(default.path),
            keep: section.value("keep", days).unwrap_or(default.keep),
            keep_log: section.value("keep_log", days).unwrap_or(default.keep_log),
            thresholds: Threshold::read_all(section),
        }
    }

    /// Makes a relative path start from `directory`, and the default one be in the state
    /// directory that the environment names.
    pub(crate) fn start_from(&mut self, directory: &Path, state: Option<&Path>) {
        match &mut self.path {
            UsagePath::At(path) => *path = directory.join(&*path),
            UsagePath::Default(path) => {
                if let Some(state) = state {
                    *path = state.join(FILE);
                }
            }
            UsagePath::Off => {}
        }
    }

    pub(crate) fn write(&self, out: &mut Entries, secrets: Secrets) {
        out.section("usage");
        match &self.path {
            UsagePath::Default(_) => out.absent("path", "usage.db in the state directory"),
            UsagePath::At(path) => out.key("path", quote(path.display())),
            UsagePath::Off => out.key("path", quote("off")),
        }
        out.key("keep", quote(spell(self.keep)));
        out.key("keep_log", quote(spell(self.keep_log)));
        out.key("thresholds", Threshold::write_all(&self.thresholds, secrets));
    }
}

fn path(value: &DeValue<'_>) -> Result<UsagePath, Complaint> {
    if value.as_str() == Some("off") {
        return Ok(UsagePath::Off);
    }
    if value.as_str().is_some_and(|text| !text.contains('/')) {
        return Err(Complaint::new(
            "not a path",
            format!(
                "write a path with a slash, such as \"{STATE_DIRECTORY}/{FILE}\", or \"off\" for \
                 none"
            ),
        ));
    }
    let path = values::path(value, "/var/lib/turnserver/usage.db", "the database")?;
    Ok(UsagePath::At(path))
}

/// Where the unit's `StateDirectory=` is when nobody says.
const STATE_DIRECTORY: &str = "/var/lib/turnserver";
const FILE: &str = "usage.db";
const DAY: Duration = Duration::from_secs(86_400);
