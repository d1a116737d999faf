//! What a packet leads to, as a small value: the data path returns it and
//! queues nothing.
//!
//! ```text
//!   input    | header |        payload        | pad |
//!   relayed  | prefix |  input[payload range]  | padding |
//! ```
//!
//! ChannelData headers and Data indications are both prefixes, so the four
//! directions of relaying share one shape and no payload is copied.

use std::net::SocketAddr;
use std::ops::Range;

use turn_codec::{ChannelData, MAX_DATA_INDICATION_HEAD};

use crate::id::{RelayId, ShardId};
use crate::link::LinkId;

/// Result of [`Engine::from_client`](crate::Engine::from_client) and
/// [`Engine::from_peer`](crate::Engine::from_peer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Send this on.
    Relay(Relayed),
    /// Control message served: drain
    /// [`Engine::poll_action`](crate::Engine::poll_action) until it is empty.
    Handled,
    /// Nothing leaves; the reason has been counted. What there is to report of it comes with the
    /// actions of any later call.
    Dropped(DropReason),
}

/// A datagram to send: prefix, a range of the input, zeroed padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Where to.
    pub route: Route,
    /// Bytes before the payload.
    pub prefix: Prefix,
    /// The payload as a range of the input that was handed in.
    pub payload: Range<usize>,
    /// Zero bytes after the payload, 0 to 3.
    pub padding: u8,
    /// Send with the don't-fragment bit (RFC 8656 section 15).
    pub dont_fragment: bool,
}

/// The way a relayed datagram takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// From a relayed transport address to a peer.
    Peer {
        /// The relay socket to send by.
        via: RelayId,
        /// The peer's transport address.
        peer: SocketAddr,
    },
    /// To a client, by the socket it is served on.
    Client {
        /// The host's socket.
        link: LinkId,
        /// The client's transport address.
        to: SocketAddr,
        /// The address that the client knows the server by.
        from: SocketAddr,
    },
    /// To an allocation of another shard, which hands it to its own
    /// [`Engine::from_peer`](crate::Engine::from_peer).
    Shard {
        /// The shard that serves the receiver.
        shard: ShardId,
        /// The receiver's relayed transport address.
        relay: RelayId,
        /// The sender's relayed transport address, as peers see it.
        from: SocketAddr,
    },
}

/// Up to 48 bytes in front of a payload: the longest is a Data indication for
/// an IPv6 peer (header 20, XOR-PEER-ADDRESS 24, DATA header 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Prefix {
    /// The longest prefix.
    pub const CAPACITY: usize = MAX_DATA_INDICATION_HEAD;
    /// No prefix: toward a peer.
    pub const EMPTY: Self = Self { bytes: [0; Self::CAPACITY], len: 0 };

    /// The bytes to send first.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(crate) fn channel(header: [u8; ChannelData::HEADER_LEN]) -> Self {
        let mut prefix = Self::EMPTY;
        prefix.bytes.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        prefix.len = 4;
        prefix
    }

    /// A prefix that `write` puts down and gives the length of.
    pub(crate) fn write<E>(
        write: impl FnOnce(&mut [u8; Self::CAPACITY]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut prefix = Self::EMPTY;
        let len = write(&mut prefix.bytes)?.min(Self::CAPACITY);
        prefix.len = u8::try_from(len).unwrap_or(0);
        Ok(prefix)
    }
}

/// Why a packet went nowhere. Every reason has its counter, so that what came
/// in and what went out can be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not STUN, not ChannelData, or not well-formed.
    Malformed,
    /// A response, an indication other than Send, an unknown method, or a Send on
    /// a TCP allocation.
    Unexpected,
    /// No allocation on this 5-tuple.
    NoAllocation,
    /// No channel with this number, or it has expired.
    NoChannel,
    /// No live permission for this peer.
    NoPermission,
    /// The peer policy denies this address.
    PeerDenied,
    /// The peer is one of our own addresses and no allocation has that port.
    NotRelayed,
    /// The peer's address family has no relayed address here.
    NoFamily,
    /// A bandwidth limit is used up.
    Bandwidth,
    /// More new peers than `new_peers` or `peers_per_allocation` admit.
    NewPeers,
    /// The bucket for replies to strangers is empty.
    ReplyLimit,
    /// The relay or its generation is gone.
    Stale,
}
