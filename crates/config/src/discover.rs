//! Ways to find the public address behind which relay sockets are.

use std::fmt;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::values;

/// How a public address is found, and found again when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Discover {
    /// By a STUN server, `HOST:PORT`; nothing: by whatever answers first of a cloud's metadata
    /// service and well-known STUN servers.
    Stun(Option<String>),
    /// By the addresses of this DNS name.
    Dns(String),
    /// By the metadata service of a cloud.
    Metadata,
}

impl Discover {
    /// Reads `"auto"`, `"auto:HOST"`, `"auto:HOST:PORT"`, `"dns:NAME"` or `"metadata"`; nothing
    /// where the text begins with none of them.
    pub(crate) fn read(value: &DeValue<'_>) -> Option<Result<Self, Complaint>> {
        let text = value.as_str()?;
        if let Some(server) = text.strip_prefix("auto:") {
            return Some(stun_server(server).map(|server| Self::Stun(Some(server))));
        }
        if let Some(name) = text.strip_prefix("dns:") {
            return Some(dns_name(name, "dns:").map(|()| Self::Dns(name.to_ascii_lowercase())));
        }
        match text {
            "auto" => Some(Ok(Self::Stun(None))),
            "metadata" => Some(Ok(Self::Metadata)),
            _ => None,
        }
    }
}

impl fmt::Display for Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stun(None) => f.write_str("auto"),
            Self::Stun(Some(server)) => write!(f, "auto:{server}"),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Metadata => f.write_str("metadata"),
        }
    }
}

/// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`, with its port.
fn stun_server(text: &str) -> Result<String, Complaint> {
    let complain = || {
        Complaint::new(
            "not a STUN server",
            "write \"auto:HOST\" or \"auto:HOST:PORT\", such as \"auto:stun.example.org:3478\"",
        )
    };
    let behind_host = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or_else(complain)? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at_checked(behind_host).ok_or_else(complain)?;
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(complain)?,
        None if port.is_empty() => STUN_PORT,
        None => return Err(complain()),
    };
    let is_address = host.starts_with('[')
        && host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
    if !is_address {
        dns_name(host, "auto:")?;
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

/// Refuses what is no name or IPv4 address.
fn dns_name(name: &str, prefix: &str) -> Result<(), Complaint> {
    values::host_name(name).map_err(|()| {
        Complaint::new(
            "not a host name",
            format!("write a DNS name in full, such as \"{prefix}turn.example.org\""),
        )
    })
}

/// RFC 8489, section 8.
const STUN_PORT: u16 = 3478;
