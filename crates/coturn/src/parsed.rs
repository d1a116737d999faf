//! The options of a file or a command line, in their order.

use std::path::PathBuf;

use turn_config::Secret;

use crate::note::{Note, Place};
use crate::options::OptionSpec;

/// One option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option.
    pub option: &'static OptionSpec,
    /// Its value without quotes and remark; empty where there is none. It may be a password, so
    /// none of them is ever printed.
    pub value: Secret,
    /// The value with the remark that was cut off behind it, which coturn takes as a part of it.
    pub uncut: Option<Secret>,
    /// Where it stands.
    pub place: Place,
}

/// What a file or a command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Every known option, in its order.
    pub settings: Vec<Setting>,
    /// Lines that are none: unknown names, and those that coturn has removed.
    pub notes: Vec<Note>,
    /// `-c`: the configuration file that the command line names.
    pub config_file: Option<PathBuf>,
    /// `-n`: no configuration file is read.
    pub without_file: bool,
    /// `-h`: help is wanted instead.
    pub help: bool,
    /// `--version`: the version is wanted instead.
    pub version: bool,
}

impl Parsed {
    /// These options, then those of `arguments`: of two that contradict each other the later wins,
    /// so the command line wins over the file, as with coturn.
    #[must_use]
    pub fn followed_by(mut self, arguments: Self) -> Self {
        self.settings.extend(arguments.settings);
        self.notes.extend(arguments.notes);
        self.config_file = arguments.config_file.or(self.config_file);
        self.without_file |= arguments.without_file;
        self.help |= arguments.help;
        self.version |= arguments.version;
        self
    }
}
