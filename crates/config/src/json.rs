//! JSON values as TOML spells them.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// `text` as a TOML value, if it is a JSON one; what is neither stays neither.
///
/// The two differ in what stands between key and value, and in two escapes of strings.
pub(crate) fn to_toml(text: &str) -> Zeroizing<String> {
    // Escapes grow by at most a third.
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 2));
    let mut rest = text.chars();
    let mut in_string = false;
    while let Some(character) = rest.next() {
        match character {
            '"' => {
                in_string = !in_string;
                out.push('"');
            }
            ':' if !in_string => out.push('='),
            '\\' if in_string => {
                let behind = rest.as_str();
                if let Some(after) = behind.strip_prefix('/') {
                    out.push('/');
                    rest = after.chars();
                } else if let Some((code, after)) = surrogate_pair(behind) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\U{code:08X}");
                    rest = after.chars();
                } else {
                    out.push('\\');
                    out.extend(rest.next());
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// The code point of `uD83D\uDE00` and what follows it.
fn surrogate_pair(text: &str) -> Option<(u32, &str)> {
    let unit = |text: &str| u32::from_str_radix(text, 16).ok();
    let (high, rest) = text.strip_prefix('u')?.split_at_checked(4)?;
    let (low, rest) = rest.strip_prefix("\\u")?.split_at_checked(4)?;
    let (high, low) = (unit(high)?, unit(low)?);
    let is_pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    is_pair.then(|| (0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_between_key_and_value_become_equals_signs_and_others_stay() {
        assert_eq!(
            *to_toml(r#"{"a:b": [1, true], "c": "d:e"}"#),
            r#"{"a:b"= [1, true], "c"= "d:e"}"#
        );
    }

    #[test]
    fn escapes_of_json_become_those_of_toml() {
        assert_eq!(
            *to_toml(r#"["a\/b", "\ud83d\ude00", "\u00fc\"\\"]"#),
            r#"["a/b", "\U0001F600", "\u00fc\"\\"]"#
        );
        assert_eq!(*to_toml(r#"["\ud83d"]"#), r#"["\ud83d"]"#);
    }

    #[test]
    fn what_is_cut_off_stays_so() {
        for text in ["", "\"", "\"\\", "\"\\u", "\"\\ud83d\\u", "{\"a\":"] {
            assert!(to_toml(text).len() <= text.len());
        }
    }
}
