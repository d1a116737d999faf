//! The parts of the `turnserver` binary: glue between configuration, engine and sockets.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod audience;
pub mod banner;
pub mod census;
pub mod certificate_watch;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod container;
mod control;
pub mod credentials_door;
pub mod doors;
pub mod drain;
pub mod dtls;
pub mod external;
pub mod figures;
mod following;
pub mod history;
pub mod issuing;
pub mod learned;
pub mod logging;
mod managed;
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
pub mod statistics;
pub mod stores;
pub mod surroundings;
pub mod systemd;
pub mod usage;
mod usage_book;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
