//! Our own server under test, and what scripted clients and their peers need around it.
//!
//! Everything stays on loopback or in a network namespace that the test makes; what was started is
//! stopped when its value is dropped.

mod authority;
mod canary;
mod choir;
mod crowd;
mod daemon;
mod delay;
mod journal;
mod namespace;
mod packets;
mod scripted;
mod site;
mod swarm;

pub use authority::{Authority, KeyKind, Leaf, Order, PemFiles};
pub use canary::{Canary, Echo};
pub use choir::{Choir, EchoThread, Sung};
pub use crowd::{Crowd, Outcome};
pub use daemon::{Daemon, Stopped};
pub use delay::DelayedPath;
pub use journal::Journal;
pub use namespace::inside;
pub(crate) use namespace::is_root;
pub use packets::{bare_allocate, binding_request, client_hello};
pub use scripted::{Scripted, allocated, channel, configured, connect, user};
pub use site::{Site, Terms};
pub use swarm::{Behaviour, Swarm, allow_descriptors, loopback};
