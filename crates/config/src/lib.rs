//! The configuration of `turnserver`: a TOML file in, a checked [`Config`] out.
//!
//! [`Config`] is plain data: every field is public, in the unit that its
//! documentation names, and within the range that it names. Nothing here opens
//! a socket, reads the environment or knows another crate of the workspace;
//! the only I/O is [`load`], which reads the one file it is given.
//!
//! - [`from_str`] and [`load`] report *every* mistake of a file, each with its
//!   line, a caret and what would be right ([`ConfigError`]). A key that is not
//!   known, a wrong type or an impossible range refuses the whole file.
//! - No message and no `Debug` output holds a password, a key or a secret.
//! - [`Config::to_redacted_toml`] is the effective policy, ready to print.

#![forbid(unsafe_code)]

mod address_range;
mod auth;
mod bit_rate;
mod complaint;
mod config;
mod duration;
mod error;
mod file;
mod later;
mod limit;
mod limits;
mod listen;
mod log;
mod peer_rule;
mod peers;
mod policy;
mod rate;
mod reader;
mod relay;
mod secret;
mod size;
mod source;
mod suggest;
mod tls;
mod values;
mod warning;

pub use address_range::AddressRange;
pub use auth::{Auth, Credential, User};
pub use bit_rate::BitRate;
pub use config::{Config, Lab, Shards, from_str};
pub use error::{ConfigError, ConfigErrors};
pub use file::{LoadError, Loaded, Switches, load};
pub use limit::Limit;
pub use limits::{AllocationsPerUser, Limits};
pub use listen::{Listen, Transport};
pub use log::{Log, LogFormat, LogLevel, LogTarget, UnknownLevel};
pub use peer_rule::PeerRule;
pub use peers::Peers;
pub use rate::Rate;
pub use relay::{DefaultFamily, External, Relay};
pub use secret::Secret;
pub use size::Size;
pub use tls::{CertificatePair, Tls};
pub use warning::Warning;
