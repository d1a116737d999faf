//! A configuration as a list of keys and written values, of which its printed forms and the
//! difference of two are made.

use std::fmt::{Display, Write as _};

use zeroize::Zeroizing;

use crate::limit::Limit;

/// Every key of a configuration, in the order of `turnserver.toml.example`.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    sections: Vec<Entry>,
}

/// One section and its keys.
pub(crate) struct Entry {
    /// The header between its brackets: `limits`, `realms."b.example".auth`; nothing for the top.
    pub(crate) header: String,
    /// Whether it is one of a list: `[[listen]]`.
    pub(crate) is_item: bool,
    /// Its keys.
    pub(crate) keys: Vec<(&'static str, Written)>,
}

/// What stands behind a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// A TOML value, which may hold secrets.
    Value(Zeroizing<String>),
    /// Nothing, and what that means.
    Absent(&'static str),
}

/// Whether secrets stand in the entries or words in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// As they are.
    Revealed,
    /// Words of the same kind.
    Redacted,
}

impl Entries {
    /// Starts the section `[header]`; the empty header is the top of the file.
    pub(crate) fn section(&mut self, header: impl Into<String>) {
        self.start(header.into(), false);
    }

    /// Starts one `[[header]]` of a list.
    pub(crate) fn item(&mut self, header: &str) {
        self.start(header.to_owned(), true);
    }

    /// Adds a key to the section that was started last.
    pub(crate) fn key(&mut self, key: &'static str, value: impl Display) {
        let mut text = Zeroizing::new(String::new());
        // Writing to a String cannot fail.
        let _ = write!(text, "{value}");
        self.push(key, Written::Value(text));
    }

    /// Adds a key that has no value.
    pub(crate) fn absent(&mut self, key: &'static str, meaning: &'static str) {
        self.push(key, Written::Absent(meaning));
    }

    /// The sections, in their order.
    pub(crate) fn sections(&self) -> &[Entry] {
        &self.sections
    }

    /// The text of a file that has all of this.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = String::new();
        for Entry { header, is_item, keys } in &self.sections {
            let _ = match (header.as_str(), is_item) {
                ("", _) => Ok(()),
                (header, true) => writeln!(out, "\n[[{header}]]"),
                (header, false) => writeln!(out, "\n[{header}]"),
            };
            for (key, written) in keys {
                let _ = match written {
                    Written::Value(value) => writeln!(out, "{key} = {}", value.as_str()),
                    Written::Absent(meaning) => writeln!(out, "# {key}: {meaning}"),
                };
            }
        }
        out
    }

    fn start(&mut self, header: String, is_item: bool) {
        self.sections.push(Entry { header, is_item, keys: Vec::new() });
    }

    fn push(&mut self, key: &'static str, written: Written) {
        if self.sections.is_empty() {
            self.section("");
        }
        if let Some(section) = self.sections.last_mut() {
            section.keys.push((key, written));
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the values, which may be secrets.
        let keys: Vec<_> = self.keys.iter().map(|(key, _)| key).collect();
        f.debug_struct("Entry").field("header", &self.header).field("keys", &keys).finish()
    }
}

/// A TOML string.
pub(crate) fn quote(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// A TOML list of strings.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    bracketed(items.into_iter().map(quote))
}

/// A TOML list of values that are written already.
pub(crate) fn bracketed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// What `written` makes of a limit, or `"off"`.
pub(crate) fn limit<T>(limit: Limit<T>, written: impl FnOnce(T) -> String) -> String {
    limit.value().map_or_else(|| quote("off"), written)
}

/// A key as TOML has it: in quotes only where it must be.
pub(crate) fn quoted_key(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { basic_string(key) }
}

/// A TOML string in double quotes on one line.
fn basic_string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_must_be() {
        assert_eq!(quoted_key("limits"), "limits");
        assert_eq!(quoted_key("b.example"), "\"b.example\"");
        assert_eq!(quoted_key("a \"b\"\\\n"), "\"a \\\"b\\\"\\\\\\u000A\"");
        assert_eq!(quoted_key(""), "\"\"");
    }

    #[test]
    fn debug_output_of_entries_has_no_value() {
        let mut entries = Entries::default();
        entries.section("auth");
        entries.key("secrets", "[\"hunter2\"]");
        assert!(!format!("{entries:?}").contains("hunter2"));
        assert!(entries.to_toml().contains("hunter2"));
    }
}
