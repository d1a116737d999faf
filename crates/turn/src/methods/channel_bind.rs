//! ChannelBind: a short header for a peer's transport address.
//!
//! RFC 8656 section 12.2. Binding or refreshing a channel also installs or
//! refreshes the permission of the peer's address.

use turn_codec::AddressFamily;
use turn_codec::attribute::{ChannelNumberAttribute, XorPeerAddress};

use crate::allocation::RelayProtocol;
use crate::channel::BindError;
use crate::gate::Authenticated;
use crate::id::AllocationKey;
use crate::limit_name::LimitName;
use crate::reject::Reject;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::table::Allocations;
use crate::time::Now;

pub(crate) fn channel_bind(
    table: &mut Allocations,
    settings: &Settings,
    now: Now,
    key: AllocationKey,
    request: &Authenticated<'_>,
) -> Result<Reply, Reject> {
    // [C1, C2] RFC 8656 section 12.2: both attributes, the number in 0x4000-0x4FFF.
    let number = request.message().get::<ChannelNumberAttribute>()?.ok_or(Reject::BadRequest)?;
    let number = settings.relay.channels.number(number.0).ok_or(Reject::BadRequest)?;
    let peer = request.message().get::<XorPeerAddress>()?.ok_or(Reject::BadRequest)?.0;
    // [C2] Nobody receives on port 0, and the kernel would refuse to send.
    if peer.port() == 0 {
        return Err(Reject::BadRequest);
    }
    let allocation = table.get_mut(key).ok_or(Reject::AllocationMismatch)?;
    let id = allocation.link.realm;
    let realm = settings.realm(id);
    let limits = &realm.limits;
    let full = |key| Reject::Full(LimitName::of_realm(id, key));
    // A channel carries datagrams. RFC 6062 names no code; this is what coturn answers.
    if allocation.protocol == RelayProtocol::Tcp {
        return Err(Reject::Forbidden);
    }
    if allocation.relays.of(AddressFamily::of(&peer)).is_none() {
        return Err(Reject::FamilyMismatch);
    }
    // [P6]
    let target = realm
        .peers
        .judge(&settings.relay.addresses, peer)
        .map_err(|_| Reject::PeerDenied(peer.ip()))?;
    allocation.channels.admits(number, peer, limits.channels_per_allocation, now.mono).map_err(
        |error| {
            match error {
                // [C3]
                BindError::Conflict => Reject::BadRequest,
                BindError::Full => full("channels_per_allocation"),
            }
        },
    )?;
    if !allocation.permissions.has_room(&[peer.ip()], limits.permissions_per_allocation, now.mono) {
        return Err(full("permissions_per_allocation"));
    }
    let permissions = &allocation.permissions;
    allocation
        // [H22]
        .fan_out
        .admit(peer, limits, now.mono, |address| permissions.is_live(address, now.mono))
        .map_err(|too_many| full(too_many.key()))?;
    allocation.permissions.install(peer.ip(), now.mono);
    allocation.channels.bind(number, peer, target, now.mono);
    Ok(Reply::default())
}
