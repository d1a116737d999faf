//! A load generator: real sockets that put one kind of load on a TURN server, and a report of what
//! it cost. The program `turnserver-load` is a command line around it.
//!
//! ```text
//!   client links --ChannelData or Send--> server --relay sockets--> peers       up
//!   client links <--ChannelData or Data-- server <--relay sockets-- peers       down
//!   client links --ChannelData or Send--> server --> client links               pairs
//! ```
//!
//! One thread does all of it. It polls and never sleeps, so it wants a core for itself; what
//! share of its turns found nothing to do says whether it was the bottleneck. Every packet carries
//! its flow and the time at which it left: a packet counts only where it was meant to arrive, and
//! one of the warm-up never counts in the measurement.
//!
//! - [`Plan`] says what is done; [`run`] sets it up, warms up and measures;
//! - [`Report`] says what came of it, and what limited it: a run that was limited by the generator
//!   says nothing about the server;
//! - [`Streams`] are the connections of its clients, which other loads need too;
//! - [`ServerProcess`] reads the books of the kernel about the server.

mod binding;
mod clients;
mod connected;
mod cpu_time;
mod cycles;
mod drive;
mod error;
mod histogram;
mod junk;
mod links;
mod pace;
mod packet;
mod plan;
mod relaying;
mod report;
mod route;
mod run;
mod server_process;
mod set_up;
mod sockets;
mod stamp;
mod streams;
mod tally;
mod tenths;

pub use cpu_time::{CpuTime, thread_ids};
pub use error::LoadError;
pub use histogram::{Histogram, Percentiles};
pub use plan::{Direction, MessageKind, Pattern, Plan, Transport};
pub use report::{GeneratorFigures, Limit, Report, ServerFigures};
pub use run::{Ends, run};
pub use server_process::{Rss, ServerProcess};
pub use streams::Streams;
