//! An allocation: who made it, what it relays for, how long it lives.
//!
//! RFC 8656 section 5. The state of one 5-tuple: one relayed transport address,
//! or two of different families (section 7.2, ADDITIONAL-ADDRESS-FAMILY), whose
//! lifetimes a Refresh can change one by one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use turn_codec::attribute::AddressErrorCode;
use turn_codec::{AddressFamily, TransactionId};
use turn_credentials::{LongTermKey, UnixSeconds};

use crate::channel::Channels;
use crate::fan_out::FanOut;
use crate::found_user::{Marks, UserLimits};
use crate::id::{AllocationId, AllocationKey, RealmId, RelayId, TenantId};
use crate::ledger::Permit;
use crate::link::Link;
use crate::meter::Meter;
use crate::permission::Permissions;
use crate::report::Report;

/// One allocation. Nothing here belongs to a task, a timer or a buffer.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) id: AllocationId,
    pub(crate) link: Link,
    pub(crate) owner: Owner,
    /// Of the Allocate request, so that its retransmit is known `[T1]`.
    pub(crate) transaction: TransactionId,
    pub(crate) relays: Relays,
    /// The relayed transport addresses that it was given, as advertised, for its end.
    pub(crate) relayed: [Option<SocketAddr>; 2],
    /// Of each of its relayed transport addresses.
    pub(crate) protocol: RelayProtocol,
    pub(crate) born: Instant,
    pub(crate) permissions: Permissions,
    pub(crate) channels: Channels,
    pub(crate) fan_out: FanOut,
    pub(crate) meter: Option<Box<Meter>>,
    pub(crate) traffic: Traffic,
    /// What the reservation of the next port is claimed with, for a retransmit.
    pub(crate) reservation: Option<[u8; 8]>,
    /// The family that could not be had, for a retransmit.
    pub(crate) address_error: Option<AddressErrorCode<'static>>,
    /// A unit of each quota, given back when the allocation is dropped.
    #[expect(dead_code, reason = "held for its end")]
    pub(crate) permit: Permit,
}

/// Who made the allocation; their key serves it for as long as it lives.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) name: Box<str>,
    pub(crate) account: Account,
    pub(crate) key: Option<LongTermKey>,
    pub(crate) expiry: Option<UnixSeconds>,
    /// Limits that a credential store has for this user alone.
    pub(crate) limits: Option<Arc<UserLimits>>,
    pub(crate) marks: Option<Arc<Marks>>,
}

/// Whose quota and bandwidth an allocation counts toward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// Stands for realm, tenant and userid.
    pub(crate) hash: u64,
    pub(crate) realm: RealmId,
    pub(crate) tenant: Option<TenantId>,
    /// `allocations_per_user = "auto"` binds userids of time-limited names only.
    pub(crate) is_time_limited: bool,
}

/// At most one relayed transport address of each family.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Relays {
    pub(crate) ipv4: Option<RelayId>,
    pub(crate) ipv6: Option<RelayId>,
}

/// The protocol between server and peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayProtocol {
    /// Datagrams (RFC 8656).
    Udp,
    /// Connections (RFC 6062).
    Tcp,
}

/// One port map: a relay address and a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortSpace {
    /// Index of the relay address in the settings.
    pub(crate) address: usize,
    pub(crate) protocol: RelayProtocol,
}

/// A relayed transport address, of an allocation or reserved for one.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) holder: Holder,
    /// The port map that its port is taken from.
    pub(crate) space: PortSpace,
    pub(crate) bound: SocketAddr,
    pub(crate) advertised: SocketAddr,
    pub(crate) expires_at: Instant,
    /// The one deadline that counts for it; any other in the heap is stale.
    pub(crate) armed: Option<Instant>,
}

/// What a relayed transport address is there for.
#[derive(Debug)]
pub(crate) enum Holder {
    /// Being opened for an Allocate request.
    Opening,
    /// A live allocation.
    Allocation(AllocationKey),
    /// A reservation (RFC 8656 section 7.2, EVEN-PORT with R = 1); it counts
    /// toward its maker's quota `[H19]`.
    Reservation(Reservation),
}

/// A reserved port's token, and the quota unit that it costs.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) token: [u8; 8],
    pub(crate) account: u64,
    pub(crate) permit: Permit,
}

/// What went through, in packets and payload bytes. The bytes of TCP connections
/// come in no packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Datagrams from the client to peers.
    pub up_packets: u64,
    /// Payload bytes from the client to peers.
    pub up_bytes: u64,
    /// Datagrams from peers to the client.
    pub down_packets: u64,
    /// Payload bytes from peers to the client.
    pub down_bytes: u64,
}

impl Allocation {
    /// The addresses of its peers, as far as they are still known: those that it has sent to, then
    /// those that it has permitted.
    pub(crate) fn peers(&self) -> ArrayVec<IpAddr, { Report::MOST_PEERS }> {
        let mut peers = ArrayVec::new();
        let sent_to = self.fan_out.peers().iter().map(SocketAddr::ip);
        for peer in sent_to.chain(self.permissions.peers()) {
            if !peers.contains(&peer) && peers.try_push(peer).is_err() {
                break;
            }
        }
        peers
    }
}

impl Owner {
    /// Whether this is the same user of the same realm and tenant `[A18]`.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.account.hash == other.account.hash
    }

    /// Whether this is the static or stored user of this account, whichever way its name was
    /// written, or somebody of its realm by just this name.
    pub(crate) fn is_user(&self, account: &Account, name: &str) -> bool {
        self.account == *account || self.account.realm == account.realm && *self.name == *name
    }
}

impl Relays {
    pub(crate) fn of(&self, family: AddressFamily) -> Option<RelayId> {
        match family {
            AddressFamily::Ipv4 => self.ipv4,
            AddressFamily::Ipv6 => self.ipv6,
        }
    }

    pub(crate) fn set(&mut self, family: AddressFamily, relay: Option<RelayId>) {
        match family {
            AddressFamily::Ipv4 => self.ipv4 = relay,
            AddressFamily::Ipv6 => self.ipv6 = relay,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RelayId> + use<> {
        [self.ipv4, self.ipv6].into_iter().flatten()
    }
}

impl Relay {
    pub(crate) fn family(&self) -> AddressFamily {
        AddressFamily::of(&self.bound)
    }
}
