//! What a log, an audit or a metric wants to know, at the rate of control messages at most.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::allocation::Traffic;
use crate::auth_failure::AuthFailure;
use crate::found_user::Marks;
use crate::id::{AllocationId, RealmId, TenantId};
use crate::link::Link;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// An allocation was made.
    Created {
        /// Its name.
        id: AllocationId,
        /// The user name it was made with.
        user: Box<str>,
        /// The realm of that user.
        realm: RealmId,
        /// The tenant of that user.
        tenant: Option<TenantId>,
        /// What its credential store says of that user.
        marks: Option<Arc<Marks>>,
        /// Its 5-tuple.
        link: Link,
        /// Its relayed transport addresses, as advertised.
        relayed: [Option<SocketAddr>; 2],
        /// What LIFETIME was granted.
        lifetime: Duration,
        /// When its Allocate came in.
        asked_at: Instant,
    },
    /// An allocation ended.
    Ended {
        /// Its name.
        id: AllocationId,
        /// The user name it was made with.
        user: Box<str>,
        /// The realm of that user.
        realm: RealmId,
        /// The tenant of that user.
        tenant: Option<TenantId>,
        /// What its credential store says of that user.
        marks: Option<Arc<Marks>>,
        /// Its 5-tuple.
        link: Link,
        /// The relayed transport addresses that it was given, as advertised.
        relayed: [Option<SocketAddr>; 2],
        /// Addresses of its peers: those it sent to, then those it permitted; at most
        /// [`Report::MOST_PEERS`].
        peers: Box<[IpAddr]>,
        /// Why.
        reason: EndReason,
        /// What went through it.
        traffic: Traffic,
        /// How long it lived.
        age: Duration,
    },
    /// A request with credentials was refused because of them.
    AuthFailed {
        /// The client.
        client: SocketAddr,
        /// The realm that it spoke to.
        realm: RealmId,
        /// The name that it gave, where that can be shown: a stranger has chosen it.
        user: Option<Box<str>>,
        /// Why.
        reason: AuthFailure,
    },
    /// An authenticated request was refused with this code.
    Refused {
        /// The client.
        client: SocketAddr,
        /// The method's name.
        method: &'static str,
        /// The error code.
        code: u16,
    },
    /// A limit refused for the first time since the start: once for each key of the process, of
    /// each realm and of each tenant.
    LimitReached {
        /// The key: of a tenant under its realm's table, otherwise under `[limits]`.
        key: &'static str,
        /// Whose it is; `None`: the limit of the process.
        realm: Option<RealmId>,
        /// Whose it is in that realm; `None`: the limit of the realm or of each of its users.
        tenant: Option<TenantId>,
    },
    /// The peer policy of a realm refused an address.
    PeerDenied {
        /// The address.
        peer: IpAddr,
        /// The realm.
        realm: RealmId,
    },
}

/// Why an allocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its lifetime passed.
    Expired,
    /// A Refresh with LIFETIME 0.
    Deleted,
    /// The client's stream closed.
    LinkClosed,
    /// The socket of its relayed transport address failed.
    SocketFailed,
    /// The operator ended it.
    Killed,
    /// Its user's credential was disabled.
    Disabled,
    /// Its realm was taken out of the configuration.
    RealmRemoved,
    /// The server stopped.
    Stopped,
}

impl Report {
    /// Peers that the end of an allocation names at most.
    pub const MOST_PEERS: usize = 8;
}

impl EndReason {
    /// One word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::LinkClosed => "link closed",
            Self::SocketFailed => "socket failed",
            Self::Killed => "killed",
            Self::Disabled => "credential disabled",
            Self::RealmRemoved => "realm removed",
            Self::Stopped => "server stopped",
        }
    }
}
