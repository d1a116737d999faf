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
mod drained;
mod http;
mod ice_server;
mod inbox;
mod journal;
mod look;
mod namespace;
mod neighbour;
mod notify_socket;
mod offer;
mod packets;
mod request;
mod sandbox;
mod scripted;
mod site;
mod swarm;
mod syslog;
mod system_calls;

pub use authority::{Authority, KeyKind, Leaf, Order, PemFiles};
pub use canary::{Canary, Echo};
pub use choir::{Choir, EchoThread, Sung};
pub use crowd::{Crowd, Outcome};
pub use daemon::{Daemon, Stopped};
pub use delay::DelayedPath;
pub use drained::Drained;
pub use http::{HttpResponse, http, http_get, http_unix};
pub use ice_server::IceServer;
pub use inbox::{Inbox, Letter};
pub use journal::Journal;
pub use look::{Look, realm};
pub(crate) use namespace::is_root;
pub use namespace::{inside, inside_root};
pub use neighbour::Neighbour;
pub use notify_socket::{Notice, NotifySocket};
pub use offer::{Carried, Flow, Offer, Way};
pub use packets::{bare_allocate, binding_request, client_hello};
pub use request::HttpRequest;
pub use sandbox::Sandbox;
pub use scripted::{Scripted, allocated, channel, configured, connect, user};
pub use site::{Site, Terms};
pub use swarm::{Behaviour, Swarm, allow_descriptors, loopback};
pub use syslog::Syslog;
