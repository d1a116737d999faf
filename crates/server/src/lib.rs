//! The parts of the `turnserver` binary: glue between configuration, engine and sockets.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod banner;
pub mod census;
pub mod certificate_watch;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod commands;
mod control;
pub mod doors;
pub mod drain;
pub mod dtls;
pub mod figures;
pub mod history;
pub mod logging;
pub mod manual;
pub mod plan;
pub mod problem;
pub mod process;
pub mod reach;
pub mod realms;
pub mod relay_addresses;
mod reload;
pub mod running;
pub mod serve;
pub mod server;
pub mod settings;
pub mod shard_cpu;
pub mod signals;
pub mod source;
pub mod state;
pub mod surroundings;
pub mod systemd;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
