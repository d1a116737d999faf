//! CreatePermission: lets peers' addresses send to the client.
//!
//! RFC 8656 section 10.2. All or nothing: a single bad peer and no permission is
//! installed `[P3]`.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use turn_codec::attribute::XorPeerAddress;
use turn_codec::{AddressFamily, MAX_ATTRIBUTES};

use crate::gate::Authenticated;
use crate::id::AllocationKey;
use crate::limit_name::LimitName;
use crate::reject::Reject;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::table::Allocations;
use crate::time::Now;

pub(crate) fn create_permission(
    table: &mut Allocations,
    settings: &Settings,
    now: Now,
    key: AllocationKey,
    request: &Authenticated<'_>,
) -> Result<Reply, Reject> {
    let allocation = table.get_mut(key).ok_or(Reject::AllocationMismatch)?;
    let id = allocation.link.realm;
    let realm = settings.realm(id);
    let mut peers = ArrayVec::<IpAddr, MAX_ATTRIBUTES>::new();
    for peer in request.message().all::<XorPeerAddress>() {
        // [P1] Ports are ignored, 0 included.
        let peer = peer?.0.ip();
        if allocation.relays.of(AddressFamily::of_ip(&peer)).is_none() {
            return Err(Reject::FamilyMismatch);
        }
        // [P6]
        realm
            .peers
            .judge_address(&settings.relay.addresses, peer)
            .map_err(|_| Reject::PeerDenied(peer))?;
        peers.try_push(peer).map_err(|_| Reject::BadRequest)?;
    }
    // RFC 8656 section 10.2: no XOR-PEER-ADDRESS: 400.
    if peers.is_empty() {
        return Err(Reject::BadRequest);
    }
    if !allocation.permissions.has_room(&peers, realm.limits.permissions_per_allocation, now.mono) {
        return Err(Reject::Full(LimitName::of_realm(id, "permissions_per_allocation")));
    }
    // [P3] Nothing is installed before every peer has passed.
    for peer in peers {
        allocation.permissions.install(peer, now.mono);
    }
    Ok(Reply::default())
}
