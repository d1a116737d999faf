//! `[realms.NAME.limits]`: how much each may take in one realm.

use std::time::Duration;

use crate::bit_rate::BitRate;
use crate::limit::Limit;
use crate::limits::{self, AllocationsPerUser, Limits};
use crate::rate::Rate;
use crate::reader::Section;
use crate::values;

/// The limits of a realm. What is not written has the value of [`Limits`], but for
/// [`allocations`](Self::allocations).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmLimits {
    /// Allocations of the realm, at least 1. Default: off.
    pub allocations: Limit<u32>,
    /// Allocations of each user.
    pub allocations_per_user: AllocationsPerUser,
    /// Permissions of an allocation, at least 1.
    pub permissions_per_allocation: Limit<u32>,
    /// Channels of an allocation, 1 to 4096.
    pub channels_per_allocation: Limit<u32>,
    /// Peer transport addresses of an allocation, at least 1.
    pub peers_per_allocation: Limit<u32>,
    /// Peers that an allocation has not reached before.
    pub new_peers: Limit<Rate>,
    /// Connections to peers of an allocation (RFC 6062), at least 1.
    pub peer_connections_per_allocation: Limit<u32>,
    /// Payload of an allocation, each direction on its own.
    pub bandwidth_per_allocation: Limit<BitRate>,
    /// Payload of a user, each direction on its own.
    pub bandwidth_per_user: Limit<BitRate>,
    /// Payload of the realm, each direction on its own.
    pub bandwidth_per_realm: Limit<BitRate>,
    /// The longest lifetime that a client can ask for, 10 min to 1 d.
    pub max_lifetime: Duration,
    /// The age at which an allocation ends, refreshed or not, at least 10 min.
    pub max_allocation_age: Limit<Duration>,
}

impl Limits {
    /// The limits of the realm at the top of the file.
    ///
    /// [`RealmLimits::allocations`] is off: [`Limits::allocations`] is of the whole process.
    pub fn of_realm(&self) -> RealmLimits {
        RealmLimits {
            allocations: Limit::Off,
            allocations_per_user: self.allocations_per_user,
            permissions_per_allocation: self.permissions_per_allocation,
            channels_per_allocation: self.channels_per_allocation,
            peers_per_allocation: self.peers_per_allocation,
            new_peers: self.new_peers,
            peer_connections_per_allocation: self.peer_connections_per_allocation,
            bandwidth_per_allocation: self.bandwidth_per_allocation,
            bandwidth_per_user: self.bandwidth_per_user,
            bandwidth_per_realm: self.bandwidth_per_realm,
            max_lifetime: self.max_lifetime,
            max_allocation_age: self.max_allocation_age,
        }
    }
}

impl RealmLimits {
    pub(crate) fn read(section: &mut Section<'_, '_>, inherited: &Limits) -> Self {
        let mut own = inherited.of_realm();
        let mut count = |key, of: &mut Limit<u32>| {
            *of = section.value(key, limits::count).unwrap_or(*of);
        };
        count("allocations", &mut own.allocations);
        count("permissions_per_allocation", &mut own.permissions_per_allocation);
        count("peers_per_allocation", &mut own.peers_per_allocation);
        count("peer_connections_per_allocation", &mut own.peer_connections_per_allocation);

        let mut bandwidth = |key, of: &mut Limit<BitRate>| {
            *of = section.value(key, limits::bandwidth).unwrap_or(*of);
        };
        bandwidth("bandwidth_per_allocation", &mut own.bandwidth_per_allocation);
        bandwidth("bandwidth_per_user", &mut own.bandwidth_per_user);
        bandwidth("bandwidth_per_realm", &mut own.bandwidth_per_realm);

        Self {
            allocations_per_user: section
                .value("allocations_per_user", AllocationsPerUser::read)
                .unwrap_or(own.allocations_per_user),
            channels_per_allocation: section
                .value("channels_per_allocation", limits::channels)
                .unwrap_or(own.channels_per_allocation),
            new_peers: section.value("new_peers", limits::rate).unwrap_or(own.new_peers),
            max_lifetime: section
                .value("max_lifetime", limits::lifetime)
                .unwrap_or(own.max_lifetime),
            max_allocation_age: section
                .value("max_allocation_age", |value| values::limit(value, limits::age))
                .unwrap_or(own.max_allocation_age),
            ..own
        }
    }
}
