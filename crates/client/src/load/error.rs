//! Why a load could not be put on a server.

use std::io;

use thiserror::Error;
use turn_codec::NoRoom;
use turn_credentials::PrepareError;

/// What went wrong before or while packets went.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The plan contradicts itself.
    #[error("{0}")]
    Plan(&'static str),
    /// A client did not get what every client needs.
    #[error("client {client}: {error}")]
    SetUp {
        /// Its number.
        client: usize,
        /// What the server said, or did not say.
        error: crate::Error,
    },
    /// A packet does not get through an allocation.
    #[error("flow {0} does not relay: is the peer's address open on the server?")]
    NotRelaying(usize),
    /// User name or password cannot be used.
    #[error("credentials: {0}")]
    Credentials(#[from] PrepareError),
    /// A message is longer than a message can be.
    #[error("message too long")]
    NoRoom(#[from] NoRoom),
    /// The sockets, the source of randomness or `/proc` failed.
    #[error("i/o: {0}")]
    Io(#[from] io::Error),
}
