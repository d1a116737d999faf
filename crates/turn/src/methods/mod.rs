//! One handler a file, each for one method of RFC 8656 or RFC 6062.
//!
//! A request handler takes an [`Authenticated`](crate::gate::Authenticated) by
//! value: only the gate makes one.

pub(crate) mod allocate;
pub(crate) mod channel_bind;
pub(crate) mod connect;
pub(crate) mod connection_attempt;
pub(crate) mod connection_bind;
pub(crate) mod create_permission;
pub(crate) mod refresh;
pub(crate) mod send;
