//! The parts of a URL that name a server, and the URL without what is secret in it.
//!
//! Whoever connects has a full parser of its own; here it is only judged what an operator wrote.

use std::net::IpAddr;

/// A URL, taken apart: `scheme://user:password@host:port/path?query`.
#[derive(Clone, Copy)]
pub(crate) struct Url<'t> {
    pub(crate) scheme: &'t str,
    /// What stands before the `@`.
    user: Option<&'t str>,
    pub(crate) has_password: bool,
    /// As it is written, IPv6 in its brackets; may be empty.
    pub(crate) host: &'t str,
    port: Option<&'t str>,
    /// With its slash; may be empty.
    pub(crate) path: &'t str,
    pub(crate) query: Option<&'t str>,
}

impl<'t> Url<'t> {
    /// Takes `text` apart; nothing where it is no URL.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if scheme.is_empty() || !scheme.bytes().all(is_plain) || !is_printable {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, server) = match authority.rsplit_once('@') {
            Some((user_info, server)) => (Some(user_info), server),
            None => (None, authority),
        };
        let behind_host = if server.starts_with('[') {
            server.find(']')? + 1
        } else {
            server.find(':').unwrap_or(server.len())
        };
        let (host, port) = server.split_at(behind_host);
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port),
            None if port.is_empty() => None,
            None => return None,
        };
        if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
            return None;
        }
        let (user, password) = match user_info {
            Some(text) => {
                text.split_once(':').map_or((Some(text), None), |(user, pw)| (Some(user), Some(pw)))
            }
            None => (None, None),
        };
        let has_password = password.is_some_and(|password| !password.is_empty());
        Some(Self { scheme, user, has_password, host, port, path, query })
    }

    /// The same without its password and its query, in which others may stand.
    pub(crate) fn redacted(&self) -> String {
        let user = match (self.user, self.has_password) {
            (Some(user), true) => format!("{user}:(password)@"),
            (Some(user), false) => format!("{user}@"),
            (None, _) => String::new(),
        };
        format!("{}{}", self.server(&user), self.path)
    }

    /// Its server alone: paths of webhooks are as good as a password.
    pub(crate) fn redacted_to_server(&self) -> String {
        let path = if self.path.len() > 1 { "/(path)" } else { self.path };
        format!("{}{path}", self.server(""))
    }

    /// Whether it leads to this host.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn server(&self, user: &str) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{user}{}{port}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart() {
        let url = Url::parse("postgres://turn:s3cr@t@[::1]:5432/turn?sslmode=require");
        let parts = url.map(|url| (url.scheme, url.host, url.path, url.query, url.has_password));
        assert_eq!(parts, Some(("postgres", "[::1]", "/turn", Some("sslmode=require"), true)));
        let url = Url::parse("sqlite:///var/lib/turndb");
        assert_eq!(url.map(|url| (url.host, url.path)), Some(("", "/var/lib/turndb")));
    }

    #[test]
    fn what_is_redacted_has_no_password_and_no_query() {
        let redacted = |text| Url::parse(text).map(|url| url.redacted());
        assert_eq!(
            redacted("mysql://a:pw@db:3306/turn?password=pw").as_deref(),
            Some("mysql://a:(password)@db:3306/turn")
        );
        assert_eq!(
            redacted("redis://:pw@h/1").as_deref().and_then(Url::parse).map(|url| url.has_password),
            Some(true)
        );
        let hook =
            Url::parse("https://u:p@hooks.example/T0/secret?x").map(|u| u.redacted_to_server());
        assert_eq!(hook.as_deref(), Some("https://hooks.example/(path)"));
    }

    #[test]
    fn this_host_is_known_by_name_and_address() {
        let is_loopback = |text| Url::parse(text).is_some_and(|url| url.is_loopback());
        assert!(is_loopback("http://127.0.0.2:80/") && is_loopback("http://[::1]/"));
        assert!(is_loopback("http://localhost/") && !is_loopback("http://10.0.0.1/"));
    }

    #[test]
    fn anything_else_is_no_url() {
        for text in [
            "",
            "x",
            "http:/x",
            "http://a b",
            "http://h:0/",
            "http://h:x/",
            "http://[::1",
            "http://[::1]x",
        ] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
    }
}
