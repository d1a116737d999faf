//! A host with or without a port, as `Host` and `Origin` headers and
//! `admin.hosts` spell it (RFC 9110 section 7.2, RFC 6454 section 6.2).

use std::net::Ipv6Addr;

/// One host; names in lower case, IPv6 addresses in their one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Reads `name`, `name:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self { name: format!("[{address}]"), port: None });
        }
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) =
                    text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
                (name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(), port)
            }
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { name, port })
    }

    /// Reads the host of an `http` or `https` origin.
    pub(crate) fn of_origin(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let host = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"))?;
        Self::parse(host)
    }

    /// Whether this entry of the configuration means `given`: an entry without a
    /// port means every port.
    pub(crate) fn means(&self, given: &Self) -> bool {
        self.name == given.name && (self.port.is_none() || self.port == given.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_port_means_every_port() {
        let entry = host("Turn.Example.org");
        assert!(entry.means(&host("turn.example.org")));
        assert!(entry.means(&host("TURN.example.org.:9642")));
        assert!(!entry.means(&host("evil.example.org")));
        assert!(!entry.means(&host("turn.example.org.evil.example")));
    }

    #[test]
    fn an_entry_with_a_port_means_that_one() {
        let entry = host("127.0.0.1:9642");
        assert!(entry.means(&host("127.0.0.1:9642")));
        assert!(!entry.means(&host("127.0.0.1:80")));
        assert!(!entry.means(&host("127.0.0.1")));
    }

    #[test]
    fn ipv6_has_one_spelling() {
        let entry = host("::1");
        assert!(entry.means(&host("[0:0:0:0:0:0:0:1]:9642")));
        assert!(!entry.means(&host("[::2]")));
    }

    #[test]
    fn what_is_no_host_is_none() {
        for text in ["", ":80", "a:b", "a:80:80", "[::1", "[::1]x", "a b", "user@a", "a/b", "a:+80"]
        {
            assert_eq!(Host::parse(text), None, "{text:?}");
        }
        for text in ["null", "file://a", "a", "http://", "https://a/path"] {
            assert_eq!(Host::of_origin(text), None, "{text:?}");
        }
        assert_eq!(Host::of_origin("HTTPS://A:1"), Some(host("a:1")));
    }

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap_or_else(|| panic!("{text} is no host"))
    }
}
