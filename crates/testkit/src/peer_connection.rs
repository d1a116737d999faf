//! A TCP connection between a relay socket and a peer.

use std::net::SocketAddr;

use turn_engine::{ConnectionId, FiveTuple};

/// One connection that is open, or being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerConnection {
    /// CONNECTION-ID.
    pub id: u32,
    /// Where the relay socket is bound.
    pub relayed: SocketAddr,
    /// The peer, as the kernel sees it.
    pub peer: SocketAddr,
    /// The client data connection that it is spliced with.
    pub spliced: Option<FiveTuple>,
    /// The other end, where that is a relay socket too.
    pub(crate) other: Option<ConnectionId>,
}

/// What becomes of a connection to a peer outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerAnswer {
    /// It is made.
    #[default]
    Accepts,
    /// RST.
    Refuses,
    /// Nothing comes back.
    IsSilent,
    /// The kernel has one with the same two addresses.
    IsInUse,
}
