//! Queries and forms: `application/x-www-form-urlencoded`, as the URL Standard
//! reads it.

/// Names and values, in their order. None where they are no UTF-8.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, decode(value)?))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// One name or value. A `%` that begins no byte stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (b'%', tail),
            },
            (byte, _) => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Escapes what a path segment or the value of a query may not hold as it is
/// (RFC 3986 section 2.3).
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let read =
            pairs("user=a%2Bb+c&&ttl=60&flag&x=1=2&%C3%A9=%f0%9f%98%80&p=100%&q=%zz%4").unwrap();
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [
                ("user", "a+b c"),
                ("ttl", "60"),
                ("flag", ""),
                ("x", "1=2"),
                ("é", "😀"),
                ("p", "100%"),
                ("q", "%zz%4"),
            ]
        );
        assert_eq!(pairs("user=%ff"), None);
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn what_is_escaped_comes_back() {
        for text in ["@alice:example.org", "1:a/b?c#d", "é %2F+&=", ""] {
            let escaped = escape(text);
            assert!(
                escaped
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
            );
            assert_eq!(
                pairs(&format!("x={escaped}")).unwrap(),
                [("x".to_owned(), text.to_owned())]
            );
        }
    }
}
