//! Makes two spellings of one text the same bytes before they are hashed.
//!
//! Implements the OpaqueString profile of RFC 8265 section 4.2, which RFC 8489 section 9.2.2
//! applies to user name, realm and password: other spaces become U+0020, letters are composed
//! (NFC), case is kept, and control characters are refused.

use std::borrow::Cow;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use thiserror::Error;

/// Why a text cannot be a user name, realm or password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum PrepareError {
    /// The text has no character.
    #[error("text is empty")]
    Empty,
    /// The text has a control character, or one that OpaqueString does not allow.
    #[error("text has a character that is not allowed")]
    Disallowed,
}

/// Applies OpaqueString to a text.
///
/// Printable ASCII, which is nearly every text, is returned as it is.
///
/// # Errors
///
/// [`PrepareError`] for an empty text or a character that is not allowed.
pub fn prepare(text: &str) -> Result<Cow<'_, str>, PrepareError> {
    if text.is_empty() {
        return Err(PrepareError::Empty);
    }
    // [A14] NUL and its like are refused here; nothing ends a text early.
    if text.is_ascii() {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        return if printable { Ok(Cow::Borrowed(text)) } else { Err(PrepareError::Disallowed) };
    }
    let prepared = OpaqueString::enforce(text).map_err(|_| PrepareError::Disallowed)?;
    // RFC 8264 section 7: what the rules make of a text may not pass them (U+0387 becomes U+00B7).
    let is_stable = OpaqueString::enforce(&*prepared).is_ok_and(|again| again == prepared);
    if is_stable { Ok(prepared) } else { Err(PrepareError::Disallowed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a14_printable_ascii_is_kept_as_it_is() {
        let text = " !AZaz09~:";
        assert!(matches!(prepare(text), Ok(Cow::Borrowed(kept)) if kept == text));
    }

    #[test]
    fn a14_control_bytes_are_refused() {
        for byte in (0..0x20).chain([0x7F]) {
            for text in [format!("ann{}eve", char::from(byte)), char::from(byte).to_string()] {
                assert_eq!(prepare(&text), Err(PrepareError::Disallowed), "byte {byte}");
            }
        }
        assert_eq!(prepare("\u{85}"), Err(PrepareError::Disallowed));
        assert_eq!(prepare("\u{387}"), Err(PrepareError::Disallowed));
        assert_eq!(prepare("\u{E9}\0"), Err(PrepareError::Disallowed));
    }

    #[test]
    fn a14_other_spaces_become_a_space() {
        assert_eq!(prepare("a\u{A0}b\u{3000}c").as_deref(), Ok("a b c"));
    }

    #[test]
    fn a14_letters_are_composed_and_keep_their_case() {
        assert_eq!(prepare("E\u{301}").as_deref(), Ok("\u{C9}"));
        assert_eq!(prepare("\u{30DE}\u{30C8}").as_deref(), Ok("\u{30DE}\u{30C8}"));
        assert_eq!(prepare("ANN").as_deref(), Ok("ANN"));
    }

    #[test]
    fn a14_invisible_characters_are_refused() {
        assert_eq!(prepare("The\u{AD}M"), Err(PrepareError::Disallowed));
    }

    #[test]
    fn empty_text_is_refused() {
        assert_eq!(prepare(""), Err(PrepareError::Empty));
    }
}
