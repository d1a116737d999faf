//! From texts to a checked configuration: the file, and what the environment lays over it.

use std::path::Path;

use toml::de::DeTable;

use crate::complaint::Complaint;
use crate::config::Config;
use crate::environment::{Environment, Layer};
use crate::error::{ConfigError, ConfigErrors};
use crate::file::{LoadError, Switches};
use crate::include::Includes;
use crate::overlay;
use crate::reader::{Findings, Section};
use crate::source::Source;
use crate::warning::Warning;

/// What a document was read into.
pub(crate) struct Document {
    pub(crate) config: Config,
    /// What is odd about the files and variables that it came from.
    pub(crate) warnings: Vec<Warning>,
    /// Whether the text itself holds secrets.
    pub(crate) has_secrets: bool,
}

/// Reads a configuration from `text`; `file_name` names it in errors, and relative paths in it
/// start from the directory of that file.
///
/// # Errors
///
/// All mistakes of the text, or the first one that keeps it from being TOML. A file that a
/// `secret_file` of it names cannot be read.
pub fn from_str(text: &str, file_name: &Path) -> Result<Config, ConfigErrors> {
    let directory = file_name.parent().unwrap_or(Path::new(""));
    let includes = Includes { directory: directory.to_owned(), warnings: Vec::new() };
    let surroundings = Surroundings { switches: Switches::default(), layers: &[], state: None };
    let document = read_layered(text, file_name, includes, surroundings)?;
    Ok(document.config)
}

/// Reads `text` with `environment` over it; relative paths start from `directory`.
pub(crate) fn read(
    text: &str,
    file_name: &Path,
    directory: &Path,
    switches: Switches,
    environment: &Environment,
) -> Result<Document, LoadError> {
    let mut includes = Includes { directory: directory.to_owned(), warnings: Vec::new() };
    let layers = environment.layers(&mut includes).map_err(|unlisted| LoadError::Read {
        path: unlisted.directory,
        source: unlisted.source,
    })?;
    let state = environment.state_directory.as_deref();
    let surroundings = Surroundings { switches, layers: &layers, state };
    Ok(read_layered(text, file_name, includes, surroundings)?)
}

/// What a document is read under.
#[derive(Clone, Copy)]
struct Surroundings<'s> {
    switches: Switches,
    layers: &'s [Layer],
    /// Where databases of our own are, if the environment says it.
    state: Option<&'s Path>,
}

fn read_layered(
    text: &str,
    file_name: &Path,
    includes: Includes,
    surroundings: Surroundings<'_>,
) -> Result<Document, ConfigErrors> {
    let Surroundings { switches, layers, state } = surroundings;
    let mut source = Source::new(file_name, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    // The one that stands first: a quote that is missing makes many further down.
    let place = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    if let Some(error) = errors.iter().min_by_key(|error| place(error)) {
        return Err(not_toml(&mut source, error));
    }
    let mut document = document.into_inner();
    let has_secrets = overlay::has_secrets(&document);
    let directory = includes.directory.clone();
    let mut findings = Findings::of(includes);
    let mut set_before = Vec::new();
    for layer in layers {
        let base = source.add(&layer.name, &layer.text);
        overlay::lay(&mut document, layer, base, &mut set_before, &mut findings);
    }
    let mut config = Section::document(&document, &mut findings, |top| Config::read(top, switches));
    if let Some(errors) = findings.take_errors(&mut source) {
        return Err(errors);
    }
    config.start_from(&directory, state);
    Ok(Document { config, warnings: findings.includes.warnings, has_secrets })
}

fn not_toml(source: &mut Source<'_>, error: &toml::de::Error) -> ConfigErrors {
    let span = error.span().unwrap_or(0..0);
    let hidden = source.hide_unless_harmless(span.start);
    let help = if hidden {
        "the line is not shown, because it may hold a secret; \
         check its quotes, brackets and commas, and those of the line above"
    } else if error.message().contains("duplicate key") {
        "keep one of the two"
    } else {
        "a line is `key = value`, `[section]` or `# comment`; texts stand in quotes"
    };
    let complaint = Complaint::new(error.message(), help);
    ConfigErrors::new(vec![ConfigError::new(source, &span, String::new(), complaint)])
}
