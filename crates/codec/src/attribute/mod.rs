//! The attributes of RFC 8489, RFC 8656 and RFC 6062, one type each.
//!
//! A type implements [`Attribute`] (read), [`Encode`] (write), or both. Reserved bits are
//! ignored on receive and zero on send. A value that breaks a limit of its RFC is an error;
//! it is never cut down and used.

#[cfg(test)]
#[macro_use]
mod quartet;

mod address;
mod address_error_code;
mod channel_number;
mod connection_id;
mod data;
mod dont_fragment;
mod error_code;
mod even_port;
mod icmp;
mod kind;
mod lifetime;
mod password_algorithm;
mod password_algorithms;
mod requested_family;
mod requested_transport;
mod reservation_token;
mod text;
mod traits;
mod unknown_attributes;
mod userhash;

pub use address::{
    AlternateServer, MappedAddress, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
pub use address_error_code::AddressErrorCode;
pub use channel_number::ChannelNumberAttribute;
pub use connection_id::ConnectionId;
pub use data::Data;
pub use dont_fragment::DontFragment;
pub use error_code::ErrorCode;
pub use even_port::EvenPort;
pub use icmp::Icmp;
pub use kind::AttributeType;
pub use lifetime::Lifetime;
pub use password_algorithm::{PasswordAlgorithm, PasswordAlgorithmId};
pub use password_algorithms::PasswordAlgorithms;
pub use requested_family::{AdditionalAddressFamily, RequestedAddressFamily};
pub use requested_transport::RequestedTransport;
pub use reservation_token::ReservationToken;
pub use text::{AlternateDomain, Nonce, Realm, Software, Username};
pub use traits::{Attribute, Encode};
pub use unknown_attributes::UnknownAttributes;
pub use userhash::Userhash;
