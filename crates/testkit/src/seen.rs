//! An allocation as an operator's survey has shown it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use turn_engine::{AllocationId, AllocationView, Link, Marks, RealmId, TenantId, Traffic};

/// One allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub id: AllocationId,
    /// Its realm.
    pub realm: RealmId,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its user.
    pub user: String,
    /// What the credential store says of the user.
    pub marks: Option<Arc<Marks>>,
    /// Its 5-tuple.
    pub link: Link,
    /// Its relayed transport addresses.
    pub relayed: [Option<SocketAddr>; 2],
    /// Its age.
    pub age: Duration,
    /// What is left of its lifetime.
    pub expires_in: Duration,
    /// Live permissions and channels.
    pub grants: (usize, usize),
    /// Its peers.
    pub peers: Vec<IpAddr>,
    /// What went through it.
    pub traffic: Traffic,
}

impl Seen {
    pub(crate) fn of(view: &AllocationView<'_>) -> Self {
        Self {
            id: view.id,
            realm: view.realm,
            tenant: view.tenant,
            user: view.user.to_owned(),
            marks: view.marks.cloned(),
            link: *view.link,
            relayed: view.relayed,
            age: view.age,
            expires_in: view.expires_in,
            grants: (view.permissions, view.channels),
            peers: view.peers.to_vec(),
            traffic: view.traffic,
        }
    }
}
