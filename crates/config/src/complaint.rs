//! What is wrong with one value, before it is known where the value stands.

use toml::de::DeValue;

/// One mistake: what is wrong, and what would be right.
///
/// The reader adds the key and the place. A complaint about a value that may
/// be a secret never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) help: String,
    /// Another place of the document that the message ends with.
    pub(crate) than_at: Option<usize>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), than_at: None }
    }

    /// Ends the message, ` ... than`, with the place at `offset`.
    pub(crate) fn than_at(self, offset: usize) -> Self {
        Self { than_at: Some(offset), ..self }
    }

    /// A value of the wrong TOML type; only the type of `found` is repeated.
    pub(crate) fn wrong_type(expected: &str, found: &DeValue<'_>, help: impl Into<String>) -> Self {
        Self::new(format!("expected {expected}, found {}", kind(found)), help)
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
