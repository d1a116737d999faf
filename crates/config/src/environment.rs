//! What the environment says: variables `TURN__SECTION__KEY`, and credentials of systemd.
//!
//! | where | what |
//! |---|---|
//! | `TURN__LIMITS__ALLOCATIONS=100` | the value of `limits.allocations`: TOML or JSON, else a text |
//! | `TURN__AUTH__SECRETS_FILE=/run/secrets/turn` | the value of a key that holds secrets, from a file |
//! | `$CREDENTIALS_DIRECTORY/auth.secrets` | the same, from a credential of that name |
//!
//! Each replaces the whole value of its key; a credential goes before a variable, and a variable
//! before the file.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use zeroize::Zeroizing;

use crate::complaint::Complaint;
use crate::entries::quoted_key;
use crate::include::Includes;
use crate::json;

/// The part of a process's environment that speaks of the configuration.
///
/// `Debug` leaves the values out, which may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Names and values of variables; those that do not begin with `TURN__` are of no matter.
    pub variables: Vec<(String, String)>,
    /// The directory of systemd's credentials, if there is one.
    pub credentials_directory: Option<PathBuf>,
    /// The directory of databases of our own (`STATE_DIRECTORY`), if somebody says where.
    pub state_directory: Option<PathBuf>,
}

impl Environment {
    /// Takes what is ours out of the variables of a process (`std::env::vars_os`).
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut taken = Self::default();
        for (name, value) in variables {
            if name == "CREDENTIALS_DIRECTORY" {
                taken.credentials_directory = Some(PathBuf::from(value));
                continue;
            }
            if name == "STATE_DIRECTORY" {
                // The first of those that the unit names.
                let value = value.to_string_lossy();
                let first = value.split(':').next().filter(|first| !first.is_empty());
                taken.state_directory = first.map(PathBuf::from);
                continue;
            }
            let name = name.to_string_lossy();
            if key_of(&name).is_some() {
                let value = value.to_string_lossy().into_owned();
                taken.variables.push((name.into_owned(), value));
            }
        }
        taken
    }

    /// What there is to lay over the file, in this order.
    ///
    /// # Errors
    /// The directory of credentials cannot be read.
    pub(crate) fn layers(&self, includes: &mut Includes) -> Result<Vec<Layer>, Unlisted> {
        let mut named: Vec<_> = self
            .variables
            .iter()
            .filter_map(|(name, value)| Some((segments(key_of(name)?), name, value)))
            .collect();
        // A section before its keys, so that both can be said.
        named.sort_by(|(a, name_a, _), (b, name_b, _)| (a.len(), name_a).cmp(&(b.len(), name_b)));
        let variables = named
            .into_iter()
            .map(|(key, name, value)| Layer::of_variable(key, name, value, includes));
        let mut layers: Vec<Layer> = variables.collect();
        if let Some(directory) = &self.credentials_directory {
            for (path, key) in credentials(directory)? {
                let name = path.clone();
                layers.push(Layer::of_file(name, key, &path, Way::Credential, includes));
            }
        }
        Ok(layers)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Environment")
            .field("variables", &names)
            .field("credentials_directory", &self.credentials_directory)
            .field("state_directory", &self.state_directory)
            .finish()
    }
}

/// The directory of credentials cannot be read.
#[derive(Debug)]
pub(crate) struct Unlisted {
    pub(crate) directory: PathBuf,
    pub(crate) source: io::Error,
}

/// One value to lay over the document.
pub(crate) struct Layer {
    /// The variable or file, as errors name it.
    pub(crate) name: PathBuf,
    /// The path of the key, as it was spelt.
    pub(crate) key: Vec<String>,
    /// What errors show: `NAME=VALUE`, or the content of a file.
    pub(crate) text: Zeroizing<String>,
    /// How the value is read out of the text.
    pub(crate) form: Form,
    /// How it came.
    pub(crate) way: Way,
}

/// How a [`Layer`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In a variable, which children and `/proc` see too.
    Variable,
    /// In a file that a variable names.
    FileOfVariable,
    /// In a credential of systemd.
    Credential,
}

/// How a [`Layer`]'s value is read out of its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is TOML: one key and its value.
    Toml,
    /// The text from here on.
    Text(usize),
    /// A list of the lines.
    Lines,
    /// A table of the lines, `NAME:PASSWORD`.
    Users,
    /// There is none; the value begins here.
    Wrong(usize, Complaint),
}

impl Layer {
    fn of_variable(mut key: Vec<String>, name: &str, value: &str, includes: &mut Includes) -> Self {
        let wrong = |key, at, complaint| Self {
            name: PathBuf::from(name),
            key,
            text: Zeroizing::new(format!("{name}={value}")),
            form: Form::Wrong(at, complaint),
            way: Way::Variable,
        };
        let behind = name.len() + 1;
        if key.iter().any(String::is_empty) {
            let help = "write TURN__SECTION__KEY, such as TURN__LIMITS__ALLOCATIONS";
            return wrong(key, behind, Complaint::new("names no key", help));
        }
        if let Some(stem) = key_with_file(&key) {
            key = stem;
            // Mistakes in the file name both.
            let both = PathBuf::from(format!("{name}={value}"));
            let path = Path::new(value);
            let layer = Self::of_file(both, key, path, Way::FileOfVariable, includes);
            return if let Form::Wrong(_, complaint) = layer.form {
                wrong(layer.key, behind, complaint)
            } else {
                layer
            };
        }
        if value.contains(char::REPLACEMENT_CHARACTER) {
            let complaint = Complaint::new("not UTF-8", "write the value in UTF-8");
            return wrong(key, behind, complaint);
        }
        let left = quoted_key(name);
        let as_text = |text: &str| Zeroizing::new(format!("{left}={text}"));
        let layer = |text, form| Self {
            name: PathBuf::from(name),
            key: key.clone(),
            text,
            form,
            way: Way::Variable,
        };
        let text = as_text(value);
        let error = match DeTable::parse(&text).map(|table| table.get_ref().len()) {
            Ok(1) => return layer(text, Form::Toml),
            Ok(_) => None,
            Err(error) => Some(error.message().to_owned()),
        };
        let trimmed = value.trim_start();
        if trimmed.starts_with(['{', '[']) {
            let converted = as_text(&json::to_toml(value));
            if DeTable::parse(&converted).is_ok_and(|table| table.get_ref().len() == 1) {
                return layer(converted, Form::Toml);
            }
        }
        if trimmed.starts_with(['{', '[', '"', '\'']) {
            let what = error.unwrap_or_else(|| "more than one value".to_owned());
            let help = "check its quotes, brackets and commas; in a shell, put all of it in single \
                        quotes";
            let what = Complaint::new(format!("neither TOML nor JSON: {what}"), help);
            return wrong(key, behind, what);
        }
        let at = left.len() + 1;
        layer(text, Form::Text(at))
    }

    /// The value of `key`, which holds secrets, from the file at `path`.
    fn of_file(
        name: PathBuf,
        key: Vec<String>,
        path: &Path,
        way: Way,
        includes: &mut Includes,
    ) -> Self {
        let (text, form) = match includes.read(path) {
            Err(complaint) => (Zeroizing::new(String::new()), Form::Wrong(0, complaint)),
            Ok(text) => {
                let last = key.last().map_or("", String::as_str);
                let is_table = |of: &str| last.eq_ignore_ascii_case(of);
                let trimmed = text.trim_start();
                let is_toml = trimmed.starts_with(if is_table("users") { '{' } else { '[' });
                let is_list = LISTS.iter().any(|list| is_table(list));
                if is_toml && (is_table("users") || is_list) {
                    Self::toml_of_file(&text)
                } else if is_table("users") {
                    (text, Form::Users)
                } else if is_list {
                    (text, Form::Lines)
                } else {
                    let end = text.trim_end_matches(['\n', '\r']).len();
                    (Zeroizing::new(text.get(..end).unwrap_or_default().to_owned()), Form::Text(0))
                }
            }
        };
        Self { name, key, text, form, way }
    }

    fn toml_of_file(text: &str) -> (Zeroizing<String>, Form) {
        // On the first line, so that errors count the lines of the file.
        for value in [text, json::to_toml(text).as_str()] {
            let document = Zeroizing::new(format!("value={value}"));
            if DeTable::parse(&document).is_ok_and(|table| table.get_ref().len() == 1) {
                return (document, Form::Toml);
            }
        }
        let help = "check its quotes, brackets and commas";
        let complaint = Complaint::new("neither TOML nor JSON", help);
        (Zeroizing::new(text.to_owned()), Form::Wrong(0, complaint))
    }
}

/// What stands behind the prefix of our variables.
fn key_of(name: &str) -> Option<&str> {
    let (prefix, key) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(key)
}

fn segments(key: &str) -> Vec<String> {
    key.split("__").map(str::to_owned).collect()
}

/// The key that `..._FILE` brings the value of, if it is one that holds secrets.
fn key_with_file(key: &[String]) -> Option<Vec<String>> {
    let (last, front) = key.split_last()?;
    let at = last.len().checked_sub(FILE.len())?;
    let (stem, suffix) = last.split_at_checked(at)?;
    let mut stem_key = front.to_vec();
    stem_key.push(stem.to_owned());
    (suffix.eq_ignore_ascii_case(FILE) && !stem.is_empty() && holds_secrets(&stem_key))
        .then_some(stem_key)
}

/// Whether the value of `key` is a secret, or a list or table of them.
pub(crate) fn holds_secrets(key: &[String]) -> bool {
    let key: Vec<String> = key.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let key = match key.as_slice() {
        ["realms", _, rest @ ..] => rest,
        all => all,
    };
    matches!(
        key,
        ["auth", "secrets" | "users" | "stores"]
            | ["auth", "users", _]
            | ["admin", "tokens"]
            | ["credentials", "server_keys" | "browser_keys"]
            | ["usage", "thresholds"]
            | ["metrics", "redis_statsdb"]
    )
}

/// The credentials that are ours, by name.
fn credentials(directory: &Path) -> Result<Vec<(PathBuf, Vec<String>)>, Unlisted> {
    let failed = |source| Unlisted { directory: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let key = match name {
            "auth.secrets"
            | "auth.users"
            | "auth.stores"
            | "admin.tokens"
            | "credentials.server_keys"
            | "credentials.browser_keys"
            | "usage.thresholds"
            | "metrics.redis_statsdb" => name.split('.').map(str::to_owned).collect(),
            _ => match realm_credential(name) {
                Some(key) => key,
                None => continue,
            },
        };
        found.push((entry.path(), key));
    }
    found.sort();
    Ok(found)
}

/// The key of `realms.NAME.auth.secrets` and `realms.NAME.auth.users`; the name may have dots.
fn realm_credential(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("realms.")?;
    let (realm, last) = ["secrets", "users"]
        .into_iter()
        .find_map(|last| Some((rest.strip_suffix(last)?.strip_suffix(".auth.")?, last)))?;
    Some(["realms", realm, "auth", last].map(str::to_owned).to_vec())
}

/// Keys whose value is a list that holds secrets.
const LISTS: [&str; 6] =
    ["secrets", "tokens", "stores", "server_keys", "browser_keys", "thresholds"];

const PREFIX: &str = "TURN__";
const FILE: &str = "_FILE";
