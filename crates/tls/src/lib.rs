//! Certificates and the TLS configuration of a TURN server.
//!
//! Certificate files are read, judged and explained ([`Identity`], [`CertificateError`],
//! [`Warning`]), chosen by SNI and exchanged while connections run ([`Certificates`]), and put
//! behind the one [`rustls::ServerConfig`] of the process ([`server_config`]). RFC 8446, RFC 5246,
//! RFC 6066 section 3 (SNI), RFC 7301 and RFC 7443 (ALPN), RFC 5280 (certificates).
//!
//! Invariants:
//! - no socket, no thread and no clock: the time is an argument;
//! - a private key is wiped when it is dropped, and never shown;
//! - a new pair of files that is worse than the old one does not replace it.

#![forbid(unsafe_code)]

mod certificates;
mod chain;
mod choice;
mod error;
#[cfg(test)]
mod fixtures;
mod identity;
mod key;
mod not_after;
mod pem_file;
mod self_signed;
mod server_config;
mod stamp;
mod warning;

pub use certificates::{Certificates, Expiring, ReloadOutcome, Reloaded};
pub use error::CertificateError;
pub use identity::{CertificateFiles, Identity};
pub use key::KeyKind;
pub use not_after::NotAfter;
pub use pem_file::Content;
pub use rustls::{Error as TlsError, ServerConfig};
pub use server_config::{ALPN_PROTOCOLS, server_config};
pub use warning::Warning;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
