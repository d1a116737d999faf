//! What comes without being asked for, and is kept until somebody asks.

use std::collections::VecDeque;
use std::net::SocketAddr;

use turn_codec::ChannelNumber;
use turn_codec::attribute::ConnectionId;

use crate::Incoming;

/// Data that came through the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the server named as its origin.
    pub from: Origin,
    /// The data.
    pub data: Vec<u8>,
}

/// How the server named the origin of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By its address, in a Data indication.
    Peer(SocketAddr),
    /// By a channel that is bound to it.
    Channel(ChannelNumber),
}

/// A peer has connected to the relayed transport address (RFC 6062 section 4.4); it waits for a
/// ConnectionBind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionAttempt {
    /// The peer.
    pub peer: SocketAddr,
    /// Names the connection.
    pub id: ConnectionId,
}

/// Data and attempts, each in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) data: VecDeque<Received>,
    pub(crate) attempts: VecDeque<ConnectionAttempt>,
}

impl Kept {
    /// Keeps a message if it is data or an attempt; what is neither is passed over.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        match Incoming::parse(bytes) {
            Incoming::FromPeer { peer, data } => self.keep_data(Origin::Peer(peer), data),
            Incoming::OnChannel { number, data } => self.keep_data(Origin::Channel(number), data),
            Incoming::ConnectionAttempt { peer, id } => {
                self.attempts.push_back(ConnectionAttempt { peer, id });
            }
            Incoming::IcmpError { .. } | Incoming::Response | Incoming::Unusable => {}
        }
    }

    fn keep_data(&mut self, from: Origin, data: &[u8]) {
        self.data.push_back(Received { from, data: data.to_vec() });
    }
}
