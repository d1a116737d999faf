//! Where a client is: its transport, its 5-tuple and the way a reply takes.
//!
//! RFC 8656 section 2.2: an allocation is identified by the 5-tuple of client
//! address, server address and transport.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use foldhash::quality::FixedState;

use crate::id::RealmId;

/// The transport between client and server (RFC 8656 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Plain UDP; a source address proves nothing until a nonce comes back.
    Udp,
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// DTLS over UDP.
    Dtls,
}

impl Transport {
    /// Whether frames lie in a byte stream, so that ChannelData is padded to
    /// four bytes (RFC 8656 section 12.5).
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// Whether the two have a connection: its handshake has proven the source address, and its end
    /// is the end of what was allocated over it (RFC 8656 section 7.5).
    pub const fn is_connection(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Dtls)
    }
}

/// Client address, server address and transport: the key of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// The transport between the two.
    pub transport: Transport,
    /// The client's transport address as the server sees it.
    pub client: SocketAddr,
    /// The server's transport address that the client sent to.
    pub server: SocketAddr,
}

impl FiveTuple {
    /// Its place in an index.
    pub(crate) fn hash_by(&self, state: &FixedState) -> u64 {
        let mut hasher = state.build_hasher();
        let mut write = |address: &SocketAddr| match address {
            SocketAddr::V4(v4) => {
                hasher.write_u64(u64::from(v4.ip().to_bits()) << 16 | u64::from(v4.port()));
            }
            SocketAddr::V6(v6) => {
                hasher.write_u128(v6.ip().to_bits());
                hasher.write_u16(v6.port());
            }
        };
        write(&self.client);
        write(&self.server);
        hasher.write_u8(self.transport as u8);
        hasher.finish()
    }
}

/// The host's name for the socket a packet came in by: a listener's slot, or a
/// stream's slot and generation. The engine stores it and gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

/// A client's 5-tuple, the host's socket for it, and the realm that is served there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The host's socket.
    pub id: LinkId,
    /// The 5-tuple.
    pub tuple: FiveTuple,
    /// What the listener or the server name of a TLS client stands for; nothing that a message
    /// says changes it `[A20]`.
    pub realm: RealmId,
}

/// The source of a packet as limits count it: one IPv4 address or one IPv6
/// /64, since a single host commands a whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourcePrefix(u64);

impl SourcePrefix {
    /// The prefix of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let bits =
                    [a, b, c, d].into_iter().fold(0, |bits, part| bits << 16 | u64::from(part));
                // No IPv4 address has the top bit set in its 64-bit form.
                Self(bits | 1 << 63)
            }
        }
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}
