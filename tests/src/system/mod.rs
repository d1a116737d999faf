//! Our own server under test, and what scripted clients and their peers need around it.
//!
//! Everything stays on loopback or in a network namespace that the test makes; what was started is
//! stopped when its value is dropped.

mod canary;
mod crowd;
mod daemon;
mod journal;
mod namespace;
mod packets;
mod scripted;

pub use canary::{Canary, Echo};
pub use crowd::{Crowd, Outcome};
pub use daemon::{Daemon, Stopped};
pub use journal::Journal;
pub use namespace::inside;
pub use packets::{bare_allocate, binding_request};
pub use scripted::{Scripted, allocated, channel, configured, connect, user};
