//! Who knows our public addresses.

use std::fmt;

/// STUN servers that [`Source::Auto`] asks where no cloud answers: well-known ones of different
/// operators, asked one after the other until one answers. Name one of your own
/// (`auto:stun.example.org`) to ask nobody else.
pub const PUBLIC_STUN_SERVERS: [&str; 3] =
    ["stun.cloudflare.com:3478", "stun.nextcloud.com:3478", "stun.l.google.com:19302"];

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The cloud's metadata, and where there is none [`PUBLIC_STUN_SERVERS`].
    Auto,
    /// A STUN server: `host`, `host:port` or `[address]:port`; the port is 3478 unless it is given.
    Stun(String),
    /// A DNS name: its A and AAAA records.
    Dns(String),
    /// The cloud's metadata service.
    Metadata,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Stun(server) => write!(f, "auto:{server}"),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Metadata => f.write_str("metadata"),
        }
    }
}
