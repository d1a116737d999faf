//! Allocate: what a request wants, and whether it may have it.
//!
//! RFC 8656 section 7.2, in the order of its numbered checks, and RFC 6062
//! section 5.1 for TCP allocations. The ports and sockets are found by [`openings`](crate::openings), which answers the client
//! when the socket exists.

use std::time::Duration;

use arrayvec::ArrayVec;
use turn_codec::attribute::{
    AdditionalAddressFamily, AddressErrorCode, DontFragment, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken,
};
use turn_codec::{AddressFamily, Attribute, Message, StatusCode};

use crate::allocation::{PortSpace, RelayProtocol};
use crate::link::Link;
use crate::peer_policy::relay_address;
use crate::port_map::Parity;
use crate::realm::DefaultFamily;
use crate::reject::Reject;
use crate::reserved_ranges::is_tunnelled;
use crate::settings::Settings;
use crate::shared::Shared;

/// What an Allocate request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lifetime: Option<Duration>,
    pub(crate) protocol: RelayProtocol,
    pub(crate) port: WantedPort,
}

/// Where the relayed transport address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WantedPort {
    /// A new port of each of these families.
    New {
        families: ArrayVec<AddressFamily, 2>,
        parity: Parity,
        /// One of two families cannot be had: RFC 8656 section 18.12.
        missing: Option<AddressErrorCode<'static>>,
    },
    /// A port that was reserved before.
    Reserved([u8; 8]),
}

pub(crate) fn allocate(
    settings: &Settings,
    shared: &Shared,
    link: &Link,
    message: &Message<'_>,
) -> Result<Wanted, Reject> {
    let client = link.tuple.client;
    // [T14] RFC 8656 section 21.4: tunnels MUST NOT be relayed for.
    if is_tunnelled(client.ip()) || is_own_relay(settings, shared, link) {
        return Err(Reject::Forbidden);
    }
    // [T2] Check 3.
    let protocol = match message.get::<RequestedTransport>()?.ok_or(Reject::BadRequest)? {
        RequestedTransport::UDP => RelayProtocol::Udp,
        // [X1] Off unless the operator wants it.
        RequestedTransport::TCP if settings.relay.tcp => RelayProtocol::Tcp,
        RequestedTransport { .. } => return Err(Reject::UnsupportedTransport),
    };
    if protocol == RelayProtocol::Tcp {
        admit_tcp(link, message)?;
    }
    // [T3] Check 4: DONT-FRAGMENT is supported.
    let token = message.get::<ReservationToken>()?;
    let even = message.get::<EvenPort>()?;
    let requested = message
        .get::<RequestedAddressFamily>()
        // [T6] Check 7: a family that nobody knows is one that we do not support.
        .map_err(|error| Reject::of_family(error, Reject::FamilyNotSupported))?
        .map(|family| family.0);
    let additional = message.get::<AdditionalAddressFamily>()?.map(|family| family.0);
    let lifetime =
        message.get::<Lifetime>()?.map(|lifetime| Duration::from_secs(lifetime.0.into()));
    // [T4] Check 5.
    if let Some(token) = token {
        return if even.is_some() || requested.is_some() || additional.is_some() {
            Err(Reject::BadRequest)
        } else {
            Ok(Wanted { lifetime, protocol, port: WantedPort::Reserved(token.0) })
        };
    }
    let reserve = even.is_some_and(|even| even.reserve);
    // [T5] Checks 6, 8 and 9.
    if additional.is_some()
        && (requested.is_some() || reserve || additional == Some(AddressFamily::Ipv4))
    {
        return Err(Reject::BadRequest);
    }
    let parity = match even {
        None => Parity::Any,
        Some(EvenPort { reserve: false }) => Parity::Even,
        Some(EvenPort { reserve: true }) => Parity::EvenPair,
    };
    let (families, missing) = if additional.is_some() {
        both_families(settings, link)?
    } else {
        (ArrayVec::from_iter([one_family(settings, link, requested)?]), None)
    };
    Ok(Wanted { lifetime, protocol, port: WantedPort::New { families, parity, missing } })
}

/// RFC 6062 section 5.1: over TCP or TLS only, and nothing that asks for certain ports or for
/// datagrams. ADDITIONAL-ADDRESS-FAMILY is younger than that list and means the same for TCP.
fn admit_tcp(link: &Link, message: &Message<'_>) -> Result<(), Reject> {
    // [X1]
    let contradicts = [EvenPort::TYPE, DontFragment::TYPE, ReservationToken::TYPE]
        .into_iter()
        .any(|kind| message.has(kind));
    if contradicts || !link.tuple.transport.is_stream() {
        return Err(Reject::BadRequest);
    }
    Ok(())
}

/// Check 7: the family that is asked for, or the default. [T6]
fn one_family(
    settings: &Settings,
    link: &Link,
    requested: Option<AddressFamily>,
) -> Result<AddressFamily, Reject> {
    let has = |family| settings.relays(link.realm, family);
    // [T6]
    let family = requested.unwrap_or_else(|| match settings.realm(link.realm).default_family {
        // Deviates from the RFC's IPv4 where none can be had.
        DefaultFamily::Unwritten if !has(AddressFamily::Ipv4) => AddressFamily::Ipv6,
        DefaultFamily::Unwritten | DefaultFamily::Ipv4 => AddressFamily::Ipv4,
        DefaultFamily::Ipv6 => AddressFamily::Ipv6,
        DefaultFamily::Client => AddressFamily::of(&link.tuple.client),
    });
    if has(family) { Ok(family) } else { Err(Reject::FamilyNotSupported) }
}

/// Check 9: both families, or one and an ADDRESS-ERROR-CODE for the other. [T7]
fn both_families(
    settings: &Settings,
    link: &Link,
) -> Result<(ArrayVec<AddressFamily, 2>, Option<AddressErrorCode<'static>>), Reject> {
    let (have, lack): (ArrayVec<_, 2>, ArrayVec<_, 2>) = [AddressFamily::Ipv4, AddressFamily::Ipv6]
        .into_iter()
        .partition(|family| settings.relays(link.realm, *family));
    if have.is_empty() {
        return Err(Reject::InsufficientCapacity);
    }
    // [T7]
    let missing =
        lack.first().map(|family| unavailable(*family, StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED));
    Ok((have, missing))
}

pub(crate) fn unavailable(family: AddressFamily, code: StatusCode) -> AddressErrorCode<'static> {
    AddressErrorCode { family, code, reason: "" }
}

/// A client that is itself a relayed transport address of ours: TURN inside
/// TURN, a loop in the making `[H7]`.
fn is_own_relay(settings: &Settings, shared: &Shared, link: &Link) -> bool {
    let client = link.tuple.client;
    let protocol =
        if link.tuple.transport.is_stream() { RelayProtocol::Tcp } else { RelayProtocol::Udp };
    relay_address(&settings.relay.addresses, client.ip())
        .and_then(|address| shared.ports_in(PortSpace { address, protocol }))
        // [H7]
        .is_some_and(|ports| ports.live(client.port()).is_some())
}
