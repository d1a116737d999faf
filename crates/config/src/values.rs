//! Turns TOML values into the types of the configuration.

use std::time::Duration;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::duration;
use crate::limit::Limit;
use crate::suggest::nearest;

/// A string. `example` is a value that would be right, without its quotes.
pub(crate) fn text<'v>(value: &'v DeValue<'_>, example: &str) -> Result<&'v str, Complaint> {
    value.as_str().ok_or_else(|| {
        Complaint::wrong_type(
            "a string",
            value,
            format!("write it in quotes, such as \"{example}\""),
        )
    })
}

/// `true` or `false`.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, Complaint> {
    value.as_bool().ok_or_else(|| {
        let help = match value.as_str() {
            Some(word @ ("true" | "false")) => format!("write {word} without quotes"),
            _ => "write true or false, without quotes".to_owned(),
        };
        Complaint::wrong_type("true or false", value, help)
    })
}

/// A whole number of `min` to `max`.
pub(crate) fn number(value: &DeValue<'_>, min: u32, max: u32) -> Result<u32, Complaint> {
    let right = format!("write a whole number from {min} to {max}");
    let Some(integer) = value.as_integer() else {
        let unquoted = value.as_str().and_then(|text| text.parse::<u32>().ok());
        let help = match unquoted.filter(|number| (min..=max).contains(number)) {
            Some(number) => format!("write {number} without quotes"),
            None => right,
        };
        return Err(Complaint::wrong_type("a whole number", value, help));
    };
    u32::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| Complaint::new(format!("{integer} is out of range"), right))
}

/// `"off"`, or what `parse` reads; its complaints mention `"off"`.
pub(crate) fn limit<T>(
    value: &DeValue<'_>,
    parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
) -> Result<Limit<T>, Complaint> {
    if value.as_str() == Some("off") {
        return Ok(Limit::Off);
    }
    if value.as_bool() == Some(false) {
        return Err(Complaint::new("a limit is not switched off by `false`", "write \"off\""));
    }
    parse(value).map(Limit::At).map_err(|complaint| {
        let help = if complaint.help.contains("\"off\"") {
            complaint.help
        } else {
            format!("{}, or \"off\" for no limit", complaint.help)
        };
        Complaint { help, ..complaint }
    })
}

/// A duration of `min` to `max`.
pub(crate) fn duration(
    value: &DeValue<'_>,
    min: Duration,
    max: Duration,
) -> Result<Duration, Complaint> {
    if let Some(integer) = value.as_integer() {
        let help = format!("write it with its unit, in quotes: \"{integer}s\"");
        return Err(Complaint::wrong_type("a duration", value, help));
    }
    let read = duration::parse(text(value, "10m")?)?;
    if read < min || read > max {
        return Err(Complaint::new(
            format!("{} is out of range", duration::spell(read)),
            format!("write \"{}\" to \"{}\"", duration::spell(min), duration::spell(max)),
        ));
    }
    Ok(read)
}

/// One of several words.
pub(crate) fn choice<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, Complaint> {
    let words = || choices.iter().map(|(word, _)| *word);
    let word = text(value, words().next().unwrap_or_default())?;
    let found = choices.iter().find(|(name, _)| *name == word);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let all = words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let help = match nearest(word, words()) {
            Some(meant) => format!("did you mean \"{meant}\"? (one of {all})"),
            None => format!("write one of {all}"),
        };
        Complaint::new(format!("unknown value \"{}\"", word.escape_debug()), help)
    })
}
