//! Walks a parsed TOML document, and collects every mistake instead of the first.
//!
//! A section asks for each of its keys by name; what was asked for is what is
//! known. What remains in the file is an unknown key, and is reported with the
//! nearest known one, so the list of keys cannot drift from what is read.
//!
//! Invariant: a value is hidden from error excerpts before it is looked at
//! wherever it may be a secret: below `auth.users` and `auth.secrets`, below an
//! unknown key (a misspelt `secrets`), where a table was expected, and where
//! somebody pasted a PEM file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::complaint::Complaint;
use crate::entries::quoted_key;
use crate::error::{ConfigError, ConfigErrors};
use crate::include::Includes;
use crate::later;
use crate::source::Source;
use crate::suggest::nearest;

/// A value of the document, with its place.
pub(crate) type Value<'d> = Spanned<DeValue<'d>>;

/// What was found wrong so far, and what is known.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<(Range<usize>, String, Complaint)>,
    unknown: Vec<Unknown>,
    hidden: Vec<Range<usize>>,
    /// Every (section, key) that was asked for; the top level's section is empty.
    known: BTreeSet<(String, &'static str)>,
    /// The files that values were read from.
    pub(crate) includes: Includes,
}

#[derive(Debug)]
struct Unknown {
    span: Range<usize>,
    section: String,
    key: String,
}

impl Findings {
    /// Nothing found yet; files are read by `includes`.
    pub(crate) fn of(includes: Includes) -> Self {
        Self { includes, ..Self::default() }
    }

    /// Notes a mistake at a place.
    pub(crate) fn error(&mut self, span: Range<usize>, key: String, complaint: Complaint) {
        self.errors.push((span, key, complaint));
    }

    /// Keeps a range out of the excerpts.
    pub(crate) fn hide_range(&mut self, range: Range<usize>) {
        self.hidden.push(range);
    }

    /// All (section, key) that the reader asked for.
    #[cfg(test)]
    pub(crate) fn known(&self) -> &BTreeSet<(String, &'static str)> {
        &self.known
    }

    /// The mistakes, in the order of the file; nothing if there are none.
    pub(crate) fn take_errors(&mut self, source: &mut Source<'_>) -> Option<ConfigErrors> {
        for unknown in std::mem::take(&mut self.unknown) {
            let complaint = self.judge_unknown(&unknown);
            let path = join(&unknown.section, &unknown.key);
            self.errors.push((unknown.span, path, complaint));
        }
        if self.errors.is_empty() {
            return None;
        }
        source.hidden = std::mem::take(&mut self.hidden);
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by_key(|(span, _, _)| span.start);
        let errors = errors.into_iter();
        Some(ConfigErrors::new(
            errors.map(|(span, key, what)| ConfigError::new(source, &span, key, what)).collect(),
        ))
    }

    fn judge_unknown(&self, Unknown { section, key, .. }: &Unknown) -> Complaint {
        if let Some(complaint) = later::complaint(section, key) {
            return complaint;
        }
        let here = || self.known.iter().filter(|(of, _)| of == section).map(|(_, name)| *name);
        // A table within this one is meant before others, and a key of a realm is one of the whole
        // server first.
        let is_within = |home: &str| {
            home.strip_prefix(section.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let elsewhere = |name: &str| {
            let homes = self.known.iter().filter(|(_, known)| *known == name);
            homes.min_by_key(|(home, _)| (!is_within(home), home.starts_with("realms.")))
        };
        let help = if let Some((home, _)) = elsewhere(key) {
            match home.as_str() {
                "" => format!("`{key}` belongs to the top of the file, above the first [section]"),
                home => format!("`{key}` belongs under [{home}]"),
            }
        } else if let Some(meant) = nearest(key, here()) {
            format!("did you mean `{meant}`?")
        } else if let Some((home, _)) = nearest(key, self.known.iter().map(|(_, name)| *name))
            .and_then(elsewhere)
            .filter(|(home, _)| !home.is_empty())
        {
            let meant = nearest(key, self.known.iter().map(|(_, name)| *name)).unwrap_or_default();
            format!("did you mean `{meant}` of [{home}]?")
        } else {
            let place = if section.is_empty() { "here" } else { "in this section" };
            format!("known {place}: {}", here().collect::<Vec<_>>().join(", "))
        };
        Complaint::new("unknown key", help)
    }
}

/// One table of the document and what is being read out of it.
pub(crate) struct Section<'r, 'd> {
    path: String,
    span: Range<usize>,
    table: &'r DeTable<'d>,
    asked: Vec<&'static str>,
    findings: &'r mut Findings,
}

impl<'r, 'd> Section<'r, 'd> {
    /// Reads the whole document with `read`.
    pub(crate) fn document<T>(
        table: &'r DeTable<'d>,
        findings: &'r mut Findings,
        read: impl FnOnce(&mut Section<'_, '_>) -> T,
    ) -> T {
        Section { path: String::new(), span: 0..0, table, asked: Vec::new(), findings }.run(read)
    }

    /// Reads the value of `key` with `parse`; nothing if absent or wrong.
    pub(crate) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = self.ask(key)?;
        match parse(value.get_ref()) {
            Ok(read) => Some(read),
            Err(complaint) => {
                self.complain(key, value.span(), complaint);
                None
            }
        }
    }

    /// Reads a list, each item with its place; nothing if absent or if any item is wrong.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        mut parse: impl FnMut(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<Vec<(T, Range<usize>)>> {
        let value = self.ask(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let complaint = Complaint::wrong_type(
                "a list",
                value.get_ref(),
                format!("put it in brackets: {key} = [...]"),
            );
            self.complain(key, value.span(), complaint);
            return None;
        };
        let mut read = Vec::with_capacity(items.len());
        for item in items.iter() {
            match parse(item.get_ref()) {
                Ok(parsed) => read.push((parsed, item.span())),
                Err(complaint) => self.complain(key, item.span(), complaint),
            }
        }
        (read.len() == items.len()).then_some(read)
    }

    /// The same as [`list`](Self::list), where a text may stand for a list of one.
    pub(crate) fn list_or_one<T>(
        &mut self,
        key: &'static str,
        mut parse: impl FnMut(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<Vec<(T, Range<usize>)>> {
        if self.table.get(key).is_none_or(|value| value.get_ref().as_str().is_none()) {
            return self.list(key, parse);
        }
        let span = self.span_of(key);
        self.value(key, &mut parse).map(|one| vec![(one, span)])
    }

    /// Reads the table `key` with `read`; an absent one reads as empty.
    pub(crate) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_, '_>) -> T,
    ) -> T {
        let empty = DeTable::new();
        let (table, span) = match self.ask(key) {
            None => (&empty, self.span.clone()),
            Some(value) => match value.get_ref().as_table() {
                Some(table) => (table, value.span()),
                None => {
                    self.findings.hide(value);
                    let help = format!("write it as a section of its own: [{key}]");
                    let complaint = Complaint::wrong_type("a table", value.get_ref(), help);
                    self.complain(key, value.span(), complaint);
                    (&empty, value.span())
                }
            },
        };
        self.inner(key, table, span).run(read)
    }

    /// Reads the list of tables `[[key]]`, each with `read`; nothing if absent or if it
    /// holds anything else. `help` says how such a list is written.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        help: &str,
        mut read: impl FnMut(&mut Section<'_, '_>) -> T,
    ) -> Option<Vec<T>> {
        // Read once from nothing, so that its keys are known in any case.
        let (empty, mut scratch) = (DeTable::new(), Findings::default());
        let path = join(&self.path, key);
        Section { path, span: 0..0, table: &empty, asked: Vec::new(), findings: &mut scratch }
            .run(&mut read);
        self.findings.known.append(&mut scratch.known);

        let value = self.ask(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.findings.hide(value);
            let complaint = Complaint::wrong_type("a list of tables", value.get_ref(), help);
            self.complain(key, value.span(), complaint);
            return None;
        };
        let mut all = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => all.push(self.inner(key, table, item.span()).run(&mut read)),
                None => {
                    self.findings.hide(item);
                    let complaint = Complaint::wrong_type("a table", item.get_ref(), help);
                    self.complain(key, item.span(), complaint);
                }
            }
        }
        (all.len() == items.len()).then_some(all)
    }

    /// The same for tables that hold secrets: of what stands below `key` only the values of the
    /// keys `shown` may be seen.
    pub(crate) fn hidden_tables<T>(
        &mut self,
        key: &'static str,
        shown: &[&str],
        help: &str,
        read: impl FnMut(&mut Section<'_, '_>) -> T,
    ) -> Option<Vec<T>> {
        if let Some(value) = self.table.get(key) {
            self.findings.hide_but(value, shown);
        }
        self.tables(key, help, read)
    }

    /// Reads every table below the table `key`, whatever its name, each with `read`, which is
    /// given the name and its place.
    pub(crate) fn named_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_, '_>, &str, Range<usize>) -> T,
    ) -> Vec<T> {
        // Read once from nothing, so that its keys are known in any case.
        let (empty, mut scratch) = (DeTable::new(), Findings::default());
        let path = join(&self.path, &format!("{key}.NAME"));
        Section { path, span: 0..0, table: &empty, asked: Vec::new(), findings: &mut scratch }
            .run(|section| read(section, "NAME", 0..0));
        self.findings.known.append(&mut scratch.known);

        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let Some(tables) = value.get_ref().as_table() else {
            self.findings.hide(value);
            let help = format!("write each as a section of its own: [{key}.\"NAME\"]");
            let complaint = Complaint::wrong_type("a table", value.get_ref(), help);
            self.complain(key, value.span(), complaint);
            return Vec::new();
        };
        let mut all = Vec::with_capacity(tables.len());
        for (name, value) in tables {
            let path = format!("{key}.{}", quoted_key(name.get_ref()));
            match value.get_ref().as_table() {
                Some(table) => {
                    let section = self.inner(&path, table, value.span());
                    all.push(section.run(|section| read(section, name.get_ref(), name.span())));
                }
                None => {
                    self.findings.hide(value);
                    let help = format!("write it as a section of its own: [{path}]");
                    let complaint = Complaint::wrong_type("a table", value.get_ref(), help);
                    self.complain(&path, value.span(), complaint);
                }
            }
        }
        all
    }

    /// One table of the list `key`, which whoever asks has looked at already.
    pub(crate) fn item<'s, 'i>(
        &'s mut self,
        key: &str,
        table: &'s DeTable<'i>,
        span: Range<usize>,
    ) -> Section<'s, 'i> {
        let path = join(&self.path, key);
        Section { path, span, table, asked: Vec::new(), findings: self.findings }
    }

    /// The value of `key` as it stands, hidden from every excerpt.
    pub(crate) fn hidden(&mut self, key: &'static str) -> Option<&'r Value<'d>> {
        self.hidden_but(key, &[])
    }

    /// The same, but for what stands below the keys `shown`.
    pub(crate) fn hidden_but(
        &mut self,
        key: &'static str,
        shown: &[&str],
    ) -> Option<&'r Value<'d>> {
        let value = self.ask(key)?;
        self.findings.hide_but(value, shown);
        Some(value)
    }

    /// The content of the file at `path`, which starts from the directory of the document.
    ///
    /// # Errors
    /// It cannot be read, or everybody could change it.
    pub(crate) fn include(&mut self, path: &Path) -> Result<Zeroizing<String>, Complaint> {
        self.findings.includes.read(path)
    }

    /// Notes a mistake in the value of `key`, at `span`.
    pub(crate) fn complain(&mut self, key: &str, span: Range<usize>, complaint: Complaint) {
        self.findings.error(span, join(&self.path, key), complaint);
    }

    /// Notes a mistake in the section itself, at `span`.
    pub(crate) fn complain_of_itself(&mut self, span: Range<usize>, complaint: Complaint) {
        self.findings.error(span, self.path.clone(), complaint);
    }

    /// The place of the section itself.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The place of the value of `key`, or else that of the section.
    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.span(), Spanned::span)
    }

    /// Whether the file has `key` here.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the value of `key` is a list without an item.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        let items = self.table.get(key).and_then(|value| value.get_ref().as_array());
        items.is_some_and(|items| items.is_empty())
    }

    fn ask(&mut self, key: &'static str) -> Option<&'r Value<'d>> {
        self.asked.push(key);
        self.findings.known.insert((self.path.clone(), key));
        let value = self.table.get(key)?;
        if value.get_ref().as_str().is_some_and(|text| text.contains("-----BEGIN")) {
            self.findings.hide(value);
        }
        Some(value)
    }

    fn inner<'s>(
        &'s mut self,
        key: &str,
        table: &'s DeTable<'d>,
        span: Range<usize>,
    ) -> Section<'s, 'd> {
        let path = join(&self.path, key);
        Section { path, span, table, asked: Vec::new(), findings: self.findings }
    }

    /// Reads the section with `read`; the keys that it did not ask for are unknown ones.
    pub(crate) fn run<T>(mut self, read: impl FnOnce(&mut Section<'_, '_>) -> T) -> T {
        let result = read(&mut self);
        for (key, value) in self.table {
            if !self.asked.iter().any(|asked| asked == key.get_ref()) {
                self.findings.hide(value);
                self.findings.unknown.push(Unknown {
                    span: key.span(),
                    section: self.path.clone(),
                    key: key.get_ref().to_string(),
                });
            }
        }
        result
    }
}

impl Findings {
    /// Keeps every text and number in `value` out of the excerpts.
    pub(crate) fn hide(&mut self, value: &Value<'_>) {
        self.hide_but(value, &[]);
    }

    /// The same, but for what stands below the keys `shown`.
    fn hide_but(&mut self, value: &Value<'_>, shown: &[&str]) {
        match value.get_ref() {
            DeValue::Table(table) => {
                let hidden =
                    table.iter().filter(|(key, _)| !shown.contains(&key.get_ref().as_ref()));
                hidden.for_each(|(_, inner)| self.hide_but(inner, shown));
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.hide_but(item, shown)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => self.hidden.push(value.span()),
        }
    }
}

/// The path of `key` in `section`.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
