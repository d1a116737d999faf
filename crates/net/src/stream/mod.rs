//! Clients on TCP and TLS, and the TCP connections of peers (RFC 6062).
//!
//! ```text
//!   accept task ──> Opening ──> Connection ──┬──> end
//!   (a listener)    PROXY, TLS  frames       ├──> Splice (raw bytes of a peer)
//!                                            └──> another shard
//! ```
//!
//! One task at a time a connection, on the shard that accepted it: one opens it,
//! the next serves it. Its [`lane::Lane`] is what the rest of the shard knows of
//! it; a sweep a second looks after every deadline.

mod accept;
mod admission;
mod connection;
mod context;
mod deadlines;
mod frames;
mod hand_over;
mod lane;
mod listener;
mod opening;
mod peer_sockets;
mod send_queue;
mod socket;
mod splice;
mod streams;
mod turns;
mod wire;

pub use deadlines::Patience;

pub(crate) use accept::accept;
pub(crate) use admission::Admission;
pub(crate) use context::{Entrance, StreamContext};
pub(crate) use frames::note;
pub(crate) use hand_over::Travelling;
pub(crate) use lane::{Lane, Order};
pub(crate) use listener::{bind_stream, probe_stream};
pub(crate) use opening::Spoken;
pub(crate) use peer_sockets::PeerSockets;
pub(crate) use streams::Streams;
