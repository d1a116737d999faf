//! What calls on [`Sessions`] say about themselves.
//!
//! [`Sessions`]: crate::Sessions

use crate::name::SessionId;

/// What became of a datagram; what is to be done about it comes out of [`Sessions::poll`](crate::Sessions::poll).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It belonged to this session, or began it.
    Session(SessionId),
    /// A hello without a good cookie was answered. Nothing was kept.
    CookieSent,
    /// A hello that we cannot agree with was answered with an alert. Nothing was kept.
    Refused,
    /// Nothing.
    Dropped(DropReason),
}

/// Why a datagram was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// No session has this path, and it is no ClientHello.
    UnknownClient,
    /// A ClientHello of too many rounds.
    Hello,
    /// [`Limits::sessions_per_prefix`](crate::Limits::sessions_per_prefix) is reached.
    Limit,
    /// It ended its session: an alert, or a failed handshake.
    Failed,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such session, or not any more.
    #[error("no such session")]
    Unknown,
    /// The handshake is not done.
    #[error("the session is not connected")]
    NotConnected,
    /// A record holds at most 16,384 bytes.
    #[error("the message is too long for a record")]
    TooLong,
}

/// What has happened since the start; only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Handshakes begun.
    pub accepted: u64,
    /// Handshakes completed.
    pub connected: u64,
    /// Handshakes that ended without success, those below included.
    pub failed: u64,
    /// Handshakes that gave way to younger ones.
    pub evicted: u64,
    /// Handshakes that ran out of time.
    pub timed_out: u64,
}
