//! An entry of `iceServers` as any server writes it, and what a client does with it.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value;
use turn_client::{AllocateOptions, Client, Credentials, Error, TlsOptions};

/// `RTCIceServer`: one URL or several, and for TURN a user name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IceServer {
    /// Its URLs.
    #[serde(deserialize_with = "one_or_more")]
    pub urls: Vec<String>,
    /// The user name.
    pub username: Option<String>,
    /// The password.
    pub credential: Option<String>,
}

impl IceServer {
    /// Reads an array of them.
    ///
    /// # Panics
    /// When that is none.
    #[track_caller]
    pub fn read_all(array: &Value) -> Vec<Self> {
        let read = serde_json::from_value(array.clone());
        read.unwrap_or_else(|error| panic!("no iceServers: {error}: {array}"))
    }

    /// Uses every URL of these as a browser does: a Binding for `stun:`, an allocation for `turn:` and
    /// `turns:`. Returns how many of the URLs are relays.
    ///
    /// # Panics
    /// When one does not work.
    #[track_caller]
    pub fn expect_all(servers: &[Self], tls: &TlsOptions) -> usize {
        let urls =
            servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
        let used = urls.map(|(server, url)| {
            let used = server.try_url(url, tls);
            used.unwrap_or_else(|error| panic!("{url} of {server:?}: {error}"));
            usize::from(url.starts_with("turn"))
        });
        used.sum()
    }

    /// Uses one URL. A name in it is taken for 127.0.0.1.
    ///
    /// # Errors
    /// What the server or the way to it says.
    ///
    /// # Panics
    /// When it is no URL of a server in a test.
    pub fn try_url(&self, url: &str, tls: &TlsOptions) -> Result<SocketAddr, Error> {
        let (scheme, rest) = url.split_once(':').expect("an URL has a scheme");
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = place.rsplit_once(':').expect("our servers name every port");
        let ip = host.parse().unwrap_or(crate::lab::IPV4);
        let server = SocketAddr::new(ip, port.parse().expect("a port"));
        let local = SocketAddr::new(ip, 0);
        let credentials = match (&self.username, &self.credential) {
            (Some(name), Some(password)) => Credentials::password(name, password),
            _ => Credentials::anonymous(),
        };
        let mut client = match (scheme, query) {
            ("stun" | "turn", "" | "transport=udp") => Client::connect(local, server, credentials)?,
            ("turn", "transport=tcp") => Client::connect_tcp(local, server, credentials)?,
            ("turns", "transport=tcp") => Client::connect_tls(local, server, tls, credentials)?,
            _ => panic!("{url} is no URL that we know"),
        };
        match scheme {
            "stun" => client.binding(),
            _ => client.allocate(&AllocateOptions::default()).map(|allocation| allocation.relayed),
        }
    }
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Urls {
        One(String),
        More(Vec<String>),
    }
    Ok(match Urls::deserialize(from)? {
        Urls::One(url) => vec![url],
        Urls::More(urls) => urls,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_are_a_string_or_a_list() {
        let read = IceServer::read_all(&json!([
            { "urls": "stun:a:1" },
            { "urls": ["turn:a:1", "turns:a:2"], "username": "u", "credential": "p", "url": "x" },
        ]));
        let urls: Vec<usize> = read.iter().map(|server| server.urls.len()).collect();
        assert_eq!(urls, [1, 2]);
        assert_eq!(read.last().and_then(|server| server.username.as_deref()), Some("u"));
    }
}
