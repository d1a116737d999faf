//! What happens to an allocation, and how coturn writes it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something happened to an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsEvent {
    /// The realm of its user.
    pub realm: String,
    /// The user name it was made with.
    pub user: String,
    /// Which allocation.
    pub id: StatsId,
    /// What happened.
    pub change: StatsChange,
}

/// An allocation's number as coturn writes it: 18 digits, the first of them the shard's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatsId {
    /// The shard.
    pub shard: u8,
    /// Counts the allocations of that shard.
    pub serial: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatsChange {
    /// It was made.
    New(StatsStatus),
    /// Its lifetime was extended.
    Refreshed(StatsStatus),
    /// What went through it since it was made. Published where it has grown.
    Traffic(StatsTraffic),
    /// It ended; with all that went through it.
    Deleted(StatsTraffic),
}

/// The state of an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsStatus {
    /// LIFETIME as granted.
    pub lifetime: Duration,
    /// How the client speaks to us.
    pub transport: StatsTransport,
    /// Our end of its 5-tuple.
    pub local: SocketAddr,
    /// The client's end.
    pub remote: SocketAddr,
    /// Version and cipher suite, where they are known: `("TLSv1.3", "TLS_AES_256_GCM_SHA384")`.
    pub tls: Option<(String, String)>,
}

/// How a client speaks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsTransport {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TLS over TCP
    Tls,
    /// DTLS over UDP
    Dtls,
}

/// Datagrams and their bytes, since the allocation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatsTraffic {
    /// Datagrams from the client to peers.
    pub up_packets: u64,
    /// Their bytes.
    pub up_bytes: u64,
    /// Datagrams from peers to the client.
    pub down_packets: u64,
    /// Their bytes.
    pub down_bytes: u64,
}

/// coturn's `TURN_SESSION_ID_FACTOR`: how many numbers each of its servers, our shards, has.
const NUMBERS_OF_A_SHARD: u64 = 1_000_000_000_000_000;

impl fmt::Display for StatsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = u64::from(self.shard) * NUMBERS_OF_A_SHARD;
        write!(f, "{:018}", first.wrapping_add(self.serial))
    }
}

impl StatsEvent {
    /// What all keys of the allocation begin with.
    pub(super) fn key(&self) -> String {
        let Self { realm, user, id, .. } = self;
        if realm.is_empty() {
            format!("turn/user/{user}/allocation/{id}")
        } else {
            format!("turn/realm/{realm}/user/{user}/allocation/{id}")
        }
    }
}

impl StatsStatus {
    /// The text of a status; `word` is `new` or `refreshed`.
    pub(super) fn text(&self, word: &str) -> String {
        let (ssl, cipher) = match (&self.tls, self.transport) {
            (Some((version, cipher)), _) => (version.as_str(), cipher.as_str()),
            (None, StatsTransport::Tls | StatsTransport::Dtls) => ("UNKNOWN", "UNKNOWN"),
            (None, StatsTransport::Udp | StatsTransport::Tcp) => ("NONE", "NONE"),
        };
        format!(
            "{word} lifetime={}, type={}, local={}, remote={}, ssl={ssl}, cipher={cipher}",
            self.lifetime.as_secs(),
            self.transport.as_str(),
            self.local,
            self.remote,
        )
    }
}

impl StatsTransport {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS/TCP",
            Self::Dtls => "DTLS",
        }
    }
}

impl StatsTraffic {
    /// What came after `earlier`.
    pub(super) const fn since(&self, earlier: &Self) -> Self {
        Self {
            up_packets: self.up_packets.saturating_sub(earlier.up_packets),
            up_bytes: self.up_bytes.saturating_sub(earlier.up_bytes),
            down_packets: self.down_packets.saturating_sub(earlier.down_packets),
            down_bytes: self.down_bytes.saturating_sub(earlier.down_bytes),
        }
    }

    /// As seen from the client's socket.
    pub(super) fn at_client(&self) -> String {
        let Self { up_packets, up_bytes, down_packets, down_bytes } = self;
        format!("rcvp={up_packets}, rcvb={up_bytes}, sentp={down_packets}, sentb={down_bytes}")
    }

    /// As seen from the relayed transport address.
    pub(super) fn at_peers(&self) -> String {
        let Self { up_packets, up_bytes, down_packets, down_bytes } = self;
        format!("rcvp={down_packets}, rcvb={down_bytes}, sentp={up_packets}, sentb={up_bytes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_coturns() {
        let status = StatsStatus {
            lifetime: Duration::from_secs(600),
            transport: StatsTransport::Udp,
            local: "127.0.0.1:3478".parse().unwrap(),
            remote: "[::1]:40000".parse().unwrap(),
            tls: None,
        };
        assert_eq!(
            status.text("new"),
            "new lifetime=600, type=UDP, local=127.0.0.1:3478, remote=[::1]:40000, ssl=NONE, \
             cipher=NONE"
        );
        let tls = Some(("TLSv1.3".to_owned(), "TLS_AES_256_GCM_SHA384".to_owned()));
        let status = StatsStatus { transport: StatsTransport::Tls, tls, ..status };
        assert!(status.text("refreshed").ends_with(
            "type=TLS/TCP, local=127.0.0.1:3478, remote=[::1]:40000, ssl=TLSv1.3, \
                            cipher=TLS_AES_256_GCM_SHA384"
        ));
    }

    #[test]
    fn a_number_has_18_digits() {
        assert_eq!(StatsId { shard: 0, serial: 42 }.to_string(), "000000000000000042");
        assert_eq!(StatsId { shard: 2, serial: 1 }.to_string(), "002000000000000001");
        assert_eq!(StatsId { shard: 255, serial: u64::MAX }.to_string().len(), 18);
    }

    #[test]
    fn traffic_is_told_from_both_sides() {
        let total = StatsTraffic { up_packets: 3, up_bytes: 300, down_packets: 1, down_bytes: 100 };
        assert_eq!(total.at_client(), "rcvp=3, rcvb=300, sentp=1, sentb=100");
        assert_eq!(total.at_peers(), "rcvp=1, rcvb=100, sentp=3, sentb=300");
        let earlier = StatsTraffic { up_packets: 1, up_bytes: 100, ..StatsTraffic::default() };
        assert_eq!(total.since(&earlier).at_client(), "rcvp=2, rcvb=200, sentp=1, sentb=100");
    }
}
