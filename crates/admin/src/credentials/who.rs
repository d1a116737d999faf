//! Who asks for a credential: the key and the page, from a request's headers.

use axum::http::header::{AUTHORIZATION, HeaderName, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{By, Page, Presented};

/// A header for keys of pages, whose requests need no Authorization then.
pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The key of a request: that of `Authorization` (Bearer, or Basic with its id),
/// then that of `X-Api-Key`, then the one of the query or the body.
pub(crate) fn presented(headers: &HeaderMap, asked: Option<String>) -> Option<Presented> {
    if headers.contains_key(AUTHORIZATION) {
        let (scheme, value) = only(headers, &AUTHORIZATION)?.split_once(' ')?;
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" => {
                Some(Presented { id: None, key: value.trim().to_owned(), by: By::Authorization })
            }
            "basic" => basic(value.trim()),
            _ => None,
        };
    }
    if headers.contains_key(X_API_KEY) {
        let key = only(headers, &X_API_KEY)?.to_owned();
        return Some(Presented { id: None, key, by: By::ApiKey });
    }
    asked.map(|key| Presented { id: None, key, by: By::ApiKey })
}

/// The page that a request comes from.
pub(crate) fn page(headers: &HeaderMap) -> Page<'_> {
    if !headers.contains_key(ORIGIN) {
        return Page::None;
    }
    only(headers, &ORIGIN).map_or(Page::Unclear, Page::Of)
}

/// RFC 7617 section 2.
fn basic(value: &str) -> Option<Presented> {
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (id, key) = text.split_once(':')?;
    Some(Presented { id: Some(id.to_owned()), key: key.to_owned(), by: By::Authorization })
}

/// The value of a header that stands there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_in_four_ways() {
        let key = |lines: &[(&'static str, &'static str)], asked: Option<&str>| {
            let found = presented(&headers(lines), asked.map(ToOwned::to_owned))?;
            Some((found.id, found.key, found.by))
        };
        let of =
            |id: Option<&str>, key: &str, by| Some((id.map(str::to_owned), key.to_owned(), by));
        let bearer = ("authorization", "bEARER  the key ");
        assert_eq!(key(&[bearer], Some("x")), of(None, "the key", By::Authorization));
        let basic = ("authorization", "Basic YXBwOnRoZTprZXk=");
        assert_eq!(key(&[basic], None), of(Some("app"), "the:key", By::Authorization));
        assert_eq!(key(&[("x-api-key", "a")], Some("x")), of(None, "a", By::ApiKey));
        assert_eq!(key(&[], Some("x")), of(None, "x", By::ApiKey));
        assert_eq!(key(&[], None), None);
        for wrong in ["Basic !", "Basic YXBw", "Digest x", "Bearer"] {
            assert_eq!(key(&[("authorization", wrong)], Some("x")), None, "{wrong}");
        }
        assert_eq!(key(&[bearer, basic], None), None, "two are none");
    }

    #[test]
    fn an_origin_that_stands_there_twice_is_unclear() {
        assert_eq!(page(&headers(&[])), Page::None);
        assert_eq!(page(&headers(&[("origin", "https://a")])), Page::Of("https://a"));
        let two = headers(&[("origin", "https://a"), ("origin", "https://b")]);
        assert_eq!(page(&two), Page::Unclear);
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }
}
