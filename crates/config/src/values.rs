//! Turns TOML values into the types of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
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

/// The path of a file. `example` is one that would be right, `of` what stands in the file.
pub(crate) fn path(value: &DeValue<'_>, example: &str, of: &str) -> Result<PathBuf, Complaint> {
    let text = text(value, example)?;
    if text.is_empty() || text.ends_with('/') || text.contains(char::is_control) {
        let help = format!("write the path of {of}, such as \"{example}\"");
        return Err(Complaint::new("not a path", help));
    }
    Ok(PathBuf::from(text))
}

/// Address and port that a listener can be bound to. `example` has the usual port.
pub(crate) fn socket_address(
    value: &DeValue<'_>,
    example: SocketAddr,
) -> Result<SocketAddr, Complaint> {
    let text = text(value, &example.to_string())?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let help = if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            format!("write it with its port: \"{}\"", SocketAddr::new(address, example.port()))
        } else if text.contains(|c: char| c.is_ascii_alphabetic()) && text.matches(':').count() < 2
        {
            format!("names are not looked up: write the address itself, such as \"{example}\"")
        } else {
            format!("write \"{example}\"")
        };
        return Err(Complaint::new("not an address and port", help));
    };
    let canonical = address.ip().to_canonical();
    if canonical != address.ip() {
        let help = format!("write it as IPv4: \"{}\"", SocketAddr::new(canonical, address.port()));
        return Err(Complaint::new("an IPv4-mapped IPv6 address", help));
    }
    if address.ip().is_multicast() {
        return Err(Complaint::new(
            "a multicast address cannot be listened on",
            format!("write an address of this host, such as \"{example}\""),
        ));
    }
    if address.port() == 0 {
        let help = format!("write \"{}\"", SocketAddr::new(address.ip(), example.port()));
        return Err(Complaint::new("port 0 is none that a client can be told", help));
    }
    Ok(address)
}

/// Refuses what cannot be a host name (RFC 1123, section 2.1; an IPv4 address looks like one).
pub(crate) fn host_name(text: &str) -> Result<(), ()> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    (text.len() <= 253 && text.split('.').all(is_label)).then_some(()).ok_or(())
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
