//! Programs that nobody here wrote, driven by tests: coturn's tools and server, Chromium, openssl,
//! nginx and promtool.
//!
//! `cargo xtask tools` installs them; a test that misses one fails with that line. Everything
//! listens on 127.0.0.1 (or where a test says so in a network namespace of its own), every run is
//! bounded in time, and whatever was started is stopped when its value is dropped.

mod browser;
mod call;
mod echo_peer;
mod nginx;
mod nss;
mod openssl;
mod oracle;
mod ports;
mod process;
pub mod promtool;
mod signalling;
mod snoop;
mod stunclient;
mod uclient;
mod visitor;

pub use call::{Call, CallReport, Candidate, CandidateError, Scenario, Selected, SideReport};
pub use echo_peer::EchoPeer;
pub use nginx::Nginx;
pub use openssl::{SClient, SClientReport};
pub use oracle::Oracle;
pub use ports::{free_port, free_ports, listening};
pub(crate) use process::until;
pub use process::{Finished, Running, built_binary};
pub use snoop::{Attempt, snoop};
pub use stunclient::reflexive_addresses;
pub use uclient::{Uclient, UclientReport};
pub use visitor::Visitor;
