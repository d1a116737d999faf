//! Send indication: data for a peer without a channel.
//!
//! RFC 8656 section 11.2. It carries no credentials and changes no state that a
//! client could want; what is wrong with it is dropped in silence `[P5]`.

use std::ops::Range;

use turn_codec::attribute::{DontFragment, XorPeerAddress};
use turn_codec::{AddressFamily, Attribute, Message};

use crate::allocation::RelayProtocol;
use crate::id::AllocationKey;
use crate::limit_name::LimitName;
use crate::outcome::DropReason;
use crate::peer_policy::Target;
use crate::relaying::Relaying;
use crate::time::Now;

/// What a Send indication asks for, judged.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) family: AddressFamily,
    pub(crate) target: Target,
    pub(crate) peer: std::net::SocketAddr,
    pub(crate) payload: Range<usize>,
    pub(crate) dont_fragment: bool,
}

pub(crate) fn send(
    relaying: &mut Relaying<'_>,
    now: Now,
    key: AllocationKey,
    message: &Message<'_>,
) -> Result<Outgoing, DropReason> {
    let Relaying { table, settings, refused_by, .. } = relaying;
    // [S5] RFC 8489 section 6.3.2: an indication with unknown comprehension-required attributes is
    // discarded.
    if message.unknown_required().next().is_some() {
        return Err(DropReason::Unexpected);
    }
    // [P5]
    let peer = message.get::<XorPeerAddress>().ok().flatten().ok_or(DropReason::Malformed)?.0;
    let payload = message.data_range().ok_or(DropReason::Malformed)?;
    if peer.port() == 0 {
        return Err(DropReason::Malformed);
    }
    let allocation = table.get_mut(key).ok_or(DropReason::NoAllocation)?;
    // Peers of a TCP allocation take bytes of a connection and no datagrams.
    if allocation.protocol == RelayProtocol::Tcp {
        return Err(DropReason::Unexpected);
    }
    if !allocation.permissions.is_live(peer.ip(), now.mono) {
        // [P5]
        return Err(DropReason::NoPermission);
    }
    let id = allocation.link.realm;
    let realm = settings.realm(id);
    // [P6]
    let target =
        realm.peers.judge(&settings.relay.addresses, peer).map_err(|_| DropReason::PeerDenied)?;
    let permissions = &allocation.permissions;
    allocation
        // [H22]
        .fan_out
        .admit(peer, &realm.limits, now.mono, |address| permissions.is_live(address, now.mono))
        .map_err(|too_many| {
            refused_by.get_or_insert(LimitName::of_realm(id, too_many.key()));
            DropReason::NewPeers
        })?;
    // [I3] RFC 8656 section 14: DONT-FRAGMENT has no meaning across families.
    let client = AddressFamily::of(&allocation.link.tuple.client);
    let family = AddressFamily::of(&peer);
    let dont_fragment = message.has(DontFragment::TYPE) && client == family;
    Ok(Outgoing { family, target, peer, payload, dont_fragment })
}
