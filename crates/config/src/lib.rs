//! The configuration of `turnserver`: a TOML file in, a checked [`Config`] out.
//!
//! [`Config`] is plain data: every field is public, in the unit that its
//! documentation names, and within the range that it names. Nothing here opens
//! a socket, reads the environment or knows another crate of the workspace;
//! the only I/O is to read the file that [`load`] is given, and the secret files
//! that it, or the [`Environment`] that comes as an argument, names.
//!
//! - [`from_str`] and [`load`] report *every* mistake of a file, each with its
//!   line, a caret and what would be right ([`ConfigError`]). A key that is not
//!   known, a wrong type or an impossible range refuses the whole file.
//! - No message and no `Debug` output holds a password, a key or a secret.
//! - [`Config::to_redacted_toml`] is the effective policy, ready to print.
//! - [`changes`] says which keys a reload changes, and which of them it cannot.

#![forbid(unsafe_code)]

mod address_range;
mod admin;
mod auth;
mod bit_rate;
mod browser_key;
mod changes;
mod complaint;
mod config;
mod credentials;
mod discover;
mod document;
mod drain;
mod duration;
mod entries;
mod environment;
mod error;
mod file;
mod include;
mod json;
mod later;
mod limit;
mod limits;
mod listen;
mod log;
mod metrics;
mod overlay;
mod peer_rule;
mod peers;
mod policy;
mod rate;
mod reader;
mod realm;
mod realm_limits;
mod relay;
mod secret;
mod server_key;
mod shared_secret;
mod size;
mod source;
mod store_source;
mod suggest;
mod threshold;
mod tls;
mod url;
mod usage;
mod values;
mod volume;
mod warning;

pub use address_range::AddressRange;
pub use admin::{Admin, SocketPath};
pub use auth::{Auth, Credential, User};
pub use bit_rate::BitRate;
pub use browser_key::BrowserKey;
pub use changes::{Change, Effect, changes};
pub use config::{Config, Lab, Shards};
pub use credentials::Credentials;
pub use discover::Discover;
pub use document::from_str;
pub use drain::Drain;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors};
pub use file::{LoadError, Loaded, Switches, file_warnings, from_environment, from_text, load};
pub use limit::Limit;
pub use limits::{AllocationsPerUser, Limits};
pub use listen::{Listen, Transport};
pub use log::{Log, LogFormat, LogLevel, LogTarget, Privacy, UnknownLevel};
pub use metrics::{ListenAt, Metrics};
pub use peer_rule::PeerRule;
pub use peers::Peers;
pub use rate::Rate;
pub use realm::{Realm, RealmAuth};
pub use realm_limits::RealmLimits;
pub use relay::{DefaultFamily, External, Relay};
pub use secret::Secret;
pub use server_key::ServerKey;
pub use shared_secret::{SharedSecret, TenantLimits};
pub use size::Size;
pub use store_source::StoreSource;
pub use threshold::{Per, Period, Threshold};
pub use tls::{CertificatePair, Tls};
pub use usage::{Usage, UsagePath};
pub use warning::Warning;
