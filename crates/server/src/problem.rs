//! Why the server does not start, each with its fix.

use std::io::ErrorKind;

use turn_net::{FleetError, ListenError};

use crate::certificates::CertificatesError;
use crate::doors::DoorError;
use crate::logging::SinkError;
use crate::settings::SettingsError;
use crate::state::StateError;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be bound.
    #[error("{error}\n  = help: {}", help(error))]
    Listen {
        /// What the kernel said.
        error: ListenError,
    },
    /// A thread or a runtime cannot be started.
    #[error(
        "cannot start: {0}\n  = help: raise the limits of this process (`ulimit -n`, `ulimit -u`), or set shards = 1"
    )]
    Start(std::io::Error),
    /// The interfaces of this host cannot be listed.
    #[error(
        "cannot list the network interfaces: {0}\n  = help: a sandbox may forbid netlink; write relay.addresses into the configuration"
    )]
    Interfaces(std::io::Error),
    /// Something of the configuration can serve nobody.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] SinkError),
    /// A door for operators cannot be opened.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The certificates are of no use.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The URL of a credential store is of no use.
    #[error(transparent)]
    Store(#[from] turn_users::StoreError),
    /// The kept credentials are of no use.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<FleetError> for StartError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Listen(error) => Self::Listen { error },
            FleetError::Start(error) => Self::Start(error),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn help(error: &ListenError) -> String {
    let address = error.address;
    let port = address.port();
    match error.source.kind() {
        ErrorKind::AddrInUse => format!(
            "another process has the port; `ss -lntup 'sport = :{port}'` names it (is coturn running? \
             `systemctl stop coturn`{}), or choose another port: [[listen]] address = \"{}:3479\"",
            if port == 443 { "; a web server? docs/443-only.md shares the port" } else { "" },
            bracketed(address.ip())
        ),
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 need a privilege: run under the systemd unit with \
             AmbientCapabilities=CAP_NET_BIND_SERVICE, or `setcap cap_net_bind_service=+ep` the binary, \
             or lower net.ipv4.ip_unprivileged_port_start to {port}"
        ),
        ErrorKind::AddrNotAvailable => {
            "no interface has this address (`ip address` lists them); behind NAT, listen on the private \
             address or 0.0.0.0 and name the public one under [relay] external"
                .to_owned()
        }
        _ if error.source.raw_os_error() == Some(EAFNOSUPPORT) => {
            "this host has no IPv6; remove this [[listen]] entry".to_owned()
        }
        _ => "check the [[listen]] entry of this address".to_owned(),
    }
}

/// "Address family not supported by protocol".
const EAFNOSUPPORT: i32 = 97;

fn bracketed(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
