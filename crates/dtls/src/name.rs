//! How clients and sessions are called.

use std::net::SocketAddr;

/// The addresses of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Where the client's datagrams come from.
    pub client: SocketAddr,
    /// The address of ours that they were sent to.
    pub server: SocketAddr,
}

/// A session's name: its slot and how often that was used before. It comes again after a billion
/// sessions of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    slot: u32,
    generation: u32,
}

impl SessionId {
    /// Generations wrap at 30 bits, so that an id fits a word of the host's with two bits to spare.
    pub const GENERATION_MASK: u32 = (1 << 30) - 1;

    /// Puts an id together again.
    pub fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// Counts from 0 without gaps.
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// How often the slot had been used.
    pub fn generation(self) -> u32 {
        self.generation
    }
}
