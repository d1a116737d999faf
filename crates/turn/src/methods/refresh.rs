//! Refresh: extends an allocation, or deletes it with LIFETIME 0.
//!
//! RFC 8656 section 8.2. Only Refresh extends an allocation `[T17]`. On an
//! allocation of two families, REQUESTED-ADDRESS-FAMILY picks one `[T16]`.

use std::time::Duration;

use turn_codec::AddressFamily;
use turn_codec::attribute::{Lifetime, RequestedAddressFamily};

use crate::action::Outbox;
use crate::gate::Authenticated;
use crate::id::{AllocationKey, RelayId};
use crate::lifetime;
use crate::reject::Reject;
use crate::reply::Reply;
use crate::report::EndReason;
use crate::settings::Settings;
use crate::table::Allocations;
use crate::time::Now;

pub(crate) fn refresh(
    table: &mut Allocations,
    settings: &Settings,
    now: Now,
    key: AllocationKey,
    request: &Authenticated<'_>,
    outbox: &mut Outbox,
) -> Result<Reply, Reject> {
    let asked =
        request.message().get::<Lifetime>()?.map(|lifetime| Duration::from_secs(lifetime.0.into()));
    let family = request
        .message()
        .get::<RequestedAddressFamily>()
        // [T16] A family that nobody knows is not the allocation's.
        .map_err(|error| Reject::of_family(error, Reject::FamilyMismatch))?
        .map(|family| family.0);
    let allocation = table.get(key).ok_or(Reject::AllocationMismatch)?;
    let relays = selected(allocation.relays, family)?;
    let realm = settings.realm(allocation.link.realm);
    let lifetime = match asked {
        Some(Duration::ZERO) => Duration::ZERO,
        asked => lifetime::granted(realm, asked, allocation.born, request.owner(), now),
    };
    for relay in relays.into_iter().flatten() {
        if lifetime.is_zero() {
            // [T15] RFC 8656 section 8.2: the allocation is deleted at once.
            table.close_relay(relay, now.mono, EndReason::Deleted, outbox);
        } else {
            // [T17] Nothing else moves an expiry.
            table.set_expiry(relay, now.mono + lifetime);
        }
    }
    Ok(Reply { lifetime: Some(lifetime), ..Reply::default() })
}

/// RFC 8656 section 8.2: a family that the allocation does not have: 443.
fn selected(
    relays: crate::allocation::Relays,
    family: Option<AddressFamily>,
) -> Result<[Option<RelayId>; 2], Reject> {
    match family {
        None => Ok([relays.ipv4, relays.ipv6]),
        Some(family) => match relays.of(family) {
            Some(relay) => Ok([Some(relay), None]),
            // [T16]
            None => Err(Reject::FamilyMismatch),
        },
    }
}
