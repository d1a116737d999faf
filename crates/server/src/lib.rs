//! The parts of the `turnserver` binary: glue between configuration, engine and sockets.

#![forbid(unsafe_code)]

pub mod banner;
pub mod certificate_watch;
pub mod certificates;
pub mod cli;
pub mod dtls;
pub mod logging;
pub mod plan;
pub mod problem;
pub mod reach;
pub mod relay_addresses;
pub mod server;
pub mod signals;
pub mod state;
pub mod surroundings;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
