//! `turnserver credentials`: a time-limited credential.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// A time-limited credential.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CredentialArgs {
    /// User id, which quotas and usage go by [default: none]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Label that usage is counted under, beside the user
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// How long it lives: 90s, 10m, 1h, 30d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = crate::commands::lifetime)]
    pub ttl: Duration,
    /// Realm [default: that of the configuration]
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Tenant, whose secret is used
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// As whom it is written for
    #[arg(long, value_enum, default_value = "w3c")]
    pub format: IceFormat,
}

/// Whose code reads a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IceFormat {
    /// new RTCPeerConnection(...)
    W3c,
    /// The bare list, a URL an entry
    Array,
    /// TURN REST (uris), Matrix
    Rest,
    /// Twilio's clients
    Twilio,
    /// WHIP and WHEP: Link headers
    Link,
}

impl IceFormat {
    /// The shape of this name.
    pub fn shape(self) -> turn_admin::Shape {
        match self {
            Self::W3c => turn_admin::Shape::W3c,
            Self::Array => turn_admin::Shape::Array,
            Self::Rest => turn_admin::Shape::Rest,
            Self::Twilio => turn_admin::Shape::Twilio,
            Self::Link => turn_admin::Shape::Link,
        }
    }
}
