//! What the benches have in common.
//!
//! Two ways to put load on a relay:
//!
//! * `turn_instructions::VirtualHost`: an engine without sockets, for the sans-I/O benches;
//! * `turn_client::load`: clients and peers on real sockets, which drive any TURN server and say
//!   what a packet costs it; [`Contestant`] is a server process on a core of its own, ours or
//!   coturn's, for `versus-coturn`.
//!
//! The cost of a packet is the CPU time of the server's threads, user and system, from the
//! scheduler's own books, by packets that arrived. On loopback that includes the receiver's protocol
//! processing, which the kernel does inside the sender's call.

#![forbid(unsafe_code)]

mod contestant;
mod floor;
mod median;
mod our_config;
mod pinning;

pub use contestant::{Contestant, Kind, Running, free_address};
pub use floor::Floor;
pub use median::median;
pub use our_config::{Credentials, OurConfig};
pub use pinning::{pin, pinned};
