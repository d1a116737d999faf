//! What an operator is told about one option.

use std::fmt;
use std::sync::Arc;

/// Where an option stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a line of a file, counted from 1.
    Line {
        /// The file's name, as given to the parser.
        file: Arc<str>,
        /// The line.
        line: usize,
    },
    /// On the command line.
    CommandLine,
    /// Nowhere: it is what the option's absence means.
    Absent,
}

impl Place {
    /// The line, if it stands in a file.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => Some(*line),
            Self::CommandLine | Self::Absent => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Absent => f.write_str("not written"),
        }
    }
}

/// What became of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// It means here what it means to coturn.
    Applied,
    /// It has an effect, and not just coturn's.
    Changed,
    /// It has no effect.
    Ignored,
    /// coturn has no option of this name either.
    Unknown,
}

impl NoteKind {
    /// Whether an operator should be warned.
    pub fn is_warning(self) -> bool {
        match self {
            Self::Applied => false,
            Self::Changed | Self::Ignored | Self::Unknown => true,
        }
    }

    /// The kind in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Changed => "changed",
            Self::Ignored => "ignored",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of one option, and why. `Display` is one line without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The option's long name.
    pub option: String,
    /// Where it stands.
    pub place: Place,
    /// What became of it.
    pub kind: NoteKind,
    /// Why, or which key it became.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, place, kind, message } = self;
        write!(f, "{place}: {}: {}: {message}", option.escape_debug(), kind.word())
    }
}
