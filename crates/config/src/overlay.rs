//! Lays what the environment says over the tree of a document.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::complaint::Complaint;
use crate::environment::{Form, Layer, Way, holds_secrets};
use crate::reader::{Findings, Value};
use crate::source::{HARMLESS, is_telltale};
use crate::store_source::gives_away_a_secret;
use crate::warning::Warning;

/// Sets the value of `layer`, whose places begin at `base`.
pub(crate) fn lay<'d>(
    document: &mut DeTable<'d>,
    layer: &'d Layer,
    base: usize,
    set_before: &mut Vec<(Vec<String>, &'d Path)>,
    findings: &mut Findings,
) {
    let key = resolve(document, &layer.key);
    let path = key.join(".");
    let key_span = base..base + layer.text.find('=').unwrap_or(layer.text.len());
    let whole = base..base + layer.text.len();
    let top = key.first().map_or("", String::as_str);
    let is_harmless = layer.way == Way::Variable && HARMLESS.contains(&top) && !is_telltale(&path);
    let value = match read(layer, base, findings, &path) {
        Ok(value) => value,
        Err((at, complaint)) => {
            if !is_harmless {
                findings.hide_range(base + at..whole.end);
            }
            findings.error(base + at..whole.end, path, complaint);
            return;
        }
    };
    if !is_harmless {
        findings.hide(&value);
    }
    let twice = set_before.iter().find(|(other, _)| *other == key);
    // A credential goes before a variable.
    if let Some((_, other)) = twice.filter(|_| layer.way != Way::Credential) {
        let complaint =
            Complaint::new(format!("{} sets the same key", other.display()), "keep one of the two");
        findings.error(key_span.clone(), path.clone(), complaint);
    }
    if layer.way == Way::Variable && is_secret(&key, value.get_ref()) {
        findings.includes.warnings.push(Warning {
            message: format!(
                "{} holds secrets, and whoever may look at this process or starts it can read \
                 its environment",
                layer.name.display()
            ),
            help: "put them into a file of mode 600 and name that: \
                   TURN__AUTH__SECRETS_FILE=/run/secrets/turn, likewise for users and tokens"
                .to_owned(),
        });
    }
    if let Err(complaint) = set(document, &key, key_span.clone(), value) {
        findings.error(key_span, path, complaint);
    }
    set_before.push((key, &layer.name));
}

/// Whether secrets stand in `document`.
pub(crate) fn has_secrets(document: &DeTable<'_>) -> bool {
    document.iter().any(|(name, value)| is_secret(&[name.get_ref().to_string()], value.get_ref()))
}

/// Whether secrets stand in `value`, the value of `key`.
fn is_secret(key: &[String], value: &DeValue<'_>) -> bool {
    if holds_secrets(key) {
        let last = key.last().map(String::as_str);
        if matches!(last, Some("stores" | "redis_statsdb")) {
            // A URL without a password gives nothing away.
            return match value.as_array() {
                Some(items) => items.iter().any(|item| gives_away_a_secret(item.get_ref())),
                None => gives_away_a_secret(value),
            };
        }
        if matches!(last, Some("server_keys" | "browser_keys" | "thresholds")) {
            return value.as_array().is_none_or(|items| !items.is_empty());
        }
        // A list of nothing but names of files gives nothing away.
        let is_a_name = |item: &Value<'_>| {
            item.get_ref().as_table().is_some_and(|table| !table.contains_key("secret"))
        };
        return match value {
            DeValue::Array(items) => !items.iter().all(is_a_name),
            DeValue::Table(table) => !table.is_empty(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => true,
        };
    }
    value.as_table().is_some_and(|table| {
        table.iter().any(|(name, value)| {
            let key: Vec<String> =
                key.iter().cloned().chain([name.get_ref().to_string()]).collect();
            is_secret(&key, value.get_ref())
        })
    })
}

/// The path of a key as the document spells it: in lower case, but for the names of users, and
/// for those of realms that the document has.
fn resolve(document: &DeTable<'_>, spelt: &[String]) -> Vec<String> {
    let mut key: Vec<String> = Vec::with_capacity(spelt.len());
    for segment in spelt {
        let parent: Vec<&str> = key.iter().map(String::as_str).collect();
        let name = match parent.as_slice() {
            ["realms"] => realm_name(document, segment),
            ["auth", "users"] | ["realms", _, "auth", "users"] => segment.clone(),
            _ => segment.to_ascii_lowercase(),
        };
        key.push(name);
    }
    key
}

fn realm_name(document: &DeTable<'_>, spelt: &str) -> String {
    let realms = document.get("realms").and_then(|realms| realms.get_ref().as_table());
    let known = realms.into_iter().flatten().map(|(name, _)| name.get_ref().as_ref());
    known
        .filter(|name: &&str| name.eq_ignore_ascii_case(spelt))
        .map(str::to_owned)
        .next()
        .unwrap_or_else(|| spelt.to_ascii_lowercase())
}

/// The value of `layer`, or what is wrong with it, and from where on.
fn read<'d>(
    layer: &'d Layer,
    base: usize,
    findings: &mut Findings,
    path: &str,
) -> Result<Value<'d>, (usize, Complaint)> {
    let text = layer.text.as_str();
    let string = |from: usize, to: usize| {
        let piece = text.get(from..to).unwrap_or_default();
        Spanned::new(base + from..base + to, DeValue::String(Cow::Borrowed(piece)))
    };
    match &layer.form {
        Form::Wrong(at, complaint) => Err((*at, complaint.clone())),
        Form::Text(at) => Ok(string(*at, text.len())),
        Form::Toml => DeTable::parse(text)
            .ok()
            .and_then(|table| into_entries(table.into_inner()).next())
            .map(|(_, value)| moved(value, base))
            .ok_or_else(|| (0, Complaint::new("not TOML", "check its quotes and brackets"))),
        Form::Lines => {
            let mut items = DeArray::new();
            for (from, line) in lines(text) {
                items.push(string(from, from + line.len()));
            }
            Ok(Spanned::new(base..base + text.len(), DeValue::Array(items)))
        }
        Form::Users => {
            let mut users = DeTable::new();
            for (from, line) in lines(text) {
                let span = base + from..base + from + line.len();
                let Some((name, _)) = line.split_once(':') else {
                    findings.hide_range(span.clone());
                    let complaint =
                        Complaint::new("not a user", "write NAME:PASSWORD on each line");
                    findings.error(span, path.to_owned(), complaint);
                    continue;
                };
                let value = string(from + name.len() + 1, from + line.len());
                let key = Spanned::new(span.start..span.start + name.len(), Cow::Borrowed(name));
                if users.insert(key, value).is_some() {
                    findings.hide_range(span.clone());
                    let complaint = Complaint::new("a user for the second time", "keep one line");
                    findings.error(span, path.to_owned(), complaint);
                }
            }
            Ok(Spanned::new(base..base + text.len(), DeValue::Table(users)))
        }
    }
}

/// The lines of `text` that have something in them, with their places.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let from = at;
        at += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        (!line.is_empty()).then_some((from, line))
    })
}

/// Sets the value of `key`, and makes the tables above it.
fn set<'d>(
    table: &mut DeTable<'d>,
    key: &[String],
    span: Range<usize>,
    value: Value<'d>,
) -> Result<(), Complaint> {
    let Some((name, rest)) = key.split_first() else {
        return Ok(());
    };
    let spanned_name = || Spanned::new(span.clone(), Cow::Owned(name.clone()));
    if rest.is_empty() {
        // Removed first, since the map would keep the old key with its old place.
        table.remove(name.as_str());
        table.insert(spanned_name(), value);
        return Ok(());
    }
    if !table.contains_key(name.as_str()) && name != "listen" {
        table.insert(spanned_name(), Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    }
    match table.get_mut(name.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => set(inner, rest, span, value),
        Some(_) | None => Err(Complaint::new(
            format!("`{name}` is a list or a value, which is set as a whole"),
            format!("write all of it: TURN__{}='[{{ ... }}]'", name.to_ascii_uppercase()),
        )),
    }
}

/// The same value with all its places moved by `base`.
fn moved(value: Value<'_>, base: usize) -> Value<'_> {
    let span = value.span();
    let inner = match value.into_inner() {
        DeValue::Array(items) => {
            let mut all = DeArray::new();
            items.into_iter().for_each(|item| all.push(moved(item, base)));
            DeValue::Array(all)
        }
        DeValue::Table(table) => DeValue::Table(
            into_entries(table)
                .map(|(key, value)| {
                    let span = key.span();
                    let key = Spanned::new(span.start + base..span.end + base, key.into_inner());
                    (key, moved(value, base))
                })
                .collect(),
        ),
        scalar @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => scalar,
    };
    Spanned::new(span.start + base..span.end + base, inner)
}

fn into_entries<'d>(
    table: DeTable<'d>,
) -> impl Iterator<Item = (Spanned<Cow<'d, str>>, Value<'d>)> {
    table.into_iter()
}
