//! `[metrics]`: the listener for Prometheus and health checks, which takes no token.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::values;

/// Where metrics and health are served, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The listener. Default: 127.0.0.1:9641.
    pub address: ListenAt,
    /// The path of the metrics; begins with a slash. Default: `/metrics`.
    pub path: String,
    /// Serves coturn's 33 names beside our own. Default: false.
    pub coturn_names: bool,
}

/// Where a listener that has a default is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenAt {
    /// Nothing is written: here, unless somebody else is.
    Default(SocketAddr),
    /// This is written, and meant.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl ListenAt {
    /// The address, if there is one.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Default(address) | Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            address: ListenAt::Default(ADDRESS),
            path: "/metrics".to_owned(),
            coturn_names: false,
        }
    }
}

impl Metrics {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        Self {
            address: section.value("address", address).unwrap_or(default.address),
            path: section.value("path", path).unwrap_or(default.path),
            coturn_names: section
                .value("coturn_names", values::boolean)
                .unwrap_or(default.coturn_names),
        }
    }
}

fn address(value: &DeValue<'_>) -> Result<ListenAt, Complaint> {
    if value.as_str() == Some("off") {
        return Ok(ListenAt::Off);
    }
    values::socket_address(value, ADDRESS).map(ListenAt::At).map_err(|complaint| Complaint {
        help: format!("{}, or \"off\" for none", complaint.help),
        ..complaint
    })
}

fn path(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "/metrics")?;
    if ["/healthz", "/readyz", "/version"].contains(&text) {
        return Err(Complaint::new(
            format!("{text} has an answer of its own"),
            "write another path, such as \"/metrics\"",
        ));
    }
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte));
    if !text.starts_with('/') || !is_plain {
        return Err(Complaint::new(
            "not the path of a URL",
            "write a slash, then letters, digits and . _ ~ - /, such as \"/metrics\"",
        ));
    }
    Ok(text.to_owned())
}

/// The default listener: this host only.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9641);
