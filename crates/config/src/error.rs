//! Mistakes of a configuration file, printed as the Rust compiler prints its own.
//!
//! ```text
//! error: relay.ports: the first port is above the last
//!   --> turnserver.toml:9:9
//!    |
//!  9 | ports = "60000-50000"
//!    |         ^^^^^^^^^^^^^
//!    |
//!    = help: write "50000-60000"
//! ```

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::complaint::Complaint;
use crate::source::{Excerpt, Source};

/// One mistake of a configuration file.
///
/// `Display` prints it with its source line, in which secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name as given to the reader, or that of the environment variable.
    pub file: PathBuf,
    /// Line of the mistake, from 1.
    pub line: usize,
    /// Column of the mistake, in characters from 1.
    pub column: usize,
    /// Path of the key, such as `relay.ports`; empty where the file is no TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
    excerpt: Excerpt,
}

impl ConfigError {
    pub(crate) fn new(
        source: &Source<'_>,
        span: &Range<usize>,
        key: String,
        complaint: Complaint,
    ) -> Self {
        let excerpt = source.excerpt(span);
        let message = match complaint.than_at {
            None => complaint.message,
            Some(at) => format!("{} {}", complaint.message, source.place(at, span.start)),
        };
        Self {
            file: source.name(span.start).to_owned(),
            line: excerpt.line,
            column: excerpt.column,
            key,
            message,
            help: complaint.help,
            excerpt,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "error: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key.escape_debug())?;
        }
        writeln!(f, "{}", self.message)?;
        writeln!(f, " {gutter}--> {}:{}:{}", self.file.display(), self.line, self.column)?;
        writeln!(f, " {gutter} |")?;
        writeln!(f, " {number} | {}", self.excerpt.text)?;
        let caret = "^".repeat(self.excerpt.width);
        write!(f, " {gutter} | {}{caret}", " ".repeat(self.excerpt.indent))?;
        if !self.help.is_empty() {
            write!(f, "\n {gutter} |\n {gutter} = help: {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// All mistakes of one configuration: of its file, in the order of its lines, then of the
/// environment.
///
/// Holds at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn new(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }

    /// The mistakes, in their order.
    pub fn as_slice(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                write!(f, "\n\n")?;
            }
            write!(f, "{error}")?;
        }
        if self.0.len() > 1 {
            write!(f, "\n\n{} mistakes", self.0.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
