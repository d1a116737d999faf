//! What the benches and the load generator have in common.
//!
//! Two ways to put load on a relay, and how to tell what it cost:
//!
//! * [`VirtualHost`]: an engine without sockets, for the sans-I/O benches;
//! * [`Generator`]: clients and one sink on real sockets, which drive any TURN
//!   server with a [`Load`], and [`measure`] what a packet costs it;
//! * [`Contestant`]: a server process on a core of its own, ours or coturn's.
//!
//! ```text
//!   client sockets --ChannelData--> server --relay sockets--> sink      up
//!   client sockets <--ChannelData-- server <--relay sockets-- sink      down
//! ```
//!
//! The cost of a packet is the CPU time of the server's threads, user and
//! system, from the scheduler's own books, by packets that arrived. On loopback
//! that includes the receiver's protocol processing, which the kernel does
//! inside the sender's call.

#![forbid(unsafe_code)]

mod allocated;
mod contestant;
mod cpu_time;
mod generator;
mod load;
mod median;
mod outcome;
mod pinning;
mod virtual_host;

pub use contestant::{Contestant, Credentials, Running, free_address, our_config};
pub use cpu_time::CpuTime;
pub use generator::{Ends, Generator};
pub use load::{Direction, Load};
pub use median::median;
pub use outcome::{Outcome, measure};
pub use pinning::{pin, pinned};
pub use virtual_host::{VirtualClient, VirtualHost};
