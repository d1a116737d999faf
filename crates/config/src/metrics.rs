//! `[metrics]`: the listener for Prometheus and health checks, which takes no token.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::entries::{Entries, Secrets, quote};
use crate::reader::Section;
use crate::secret::Secret;
use crate::url::Url;
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
    /// The Redis that coturn's keys and channels of allocations are published in; a URL that may
    /// hold a password. Default: none.
    pub redis_statsdb: Option<Secret>,
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
            redis_statsdb: None,
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
            redis_statsdb: section.hidden("redis_statsdb").and_then(|value| {
                redis(value.get_ref())
                    .map_err(|complaint| section.complain("redis_statsdb", value.span(), complaint))
                    .ok()
            }),
        }
    }
}

impl Metrics {
    pub(crate) fn write_statsdb(&self, out: &mut Entries, secrets: Secrets) {
        let Some(url) = &self.redis_statsdb else {
            return out.absent("redis_statsdb", "none");
        };
        match secrets {
            Secrets::Revealed => out.key("redis_statsdb", quote(url.reveal())),
            Secrets::Redacted => {
                let shown = Url::parse(url.reveal()).map(|url| url.redacted());
                out.key("redis_statsdb", quote(shown.unwrap_or_default()));
            }
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

/// The URL of a Redis; it is not repeated.
fn redis(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(Complaint::wrong_type("a string", value, "write the URL in quotes"));
    };
    let is_known = |url: &Url<'_>| match url.scheme {
        "redis" | "rediss" => !url.host.is_empty(),
        "redis+unix" => url.host.is_empty() && url.path.len() > 1,
        _ => false,
    };
    if !Url::parse(text).as_ref().is_some_and(is_known) {
        return Err(Complaint::new(
            "not the URL of a Redis",
            "write \"redis://:PASSWORD@HOST:6379/0\", \"rediss://...\" or \
             \"redis+unix:///run/redis/redis.sock\"; what is no letter or digit of a password is \
             percent-encoded",
        ));
    }
    Ok(Secret::new(text))
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
