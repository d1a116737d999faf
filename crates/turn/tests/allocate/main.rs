//! Allocate and Refresh at the engine (RFC 8656 sections 5 to 8): what is granted, what
//! is refused and with which code, and that everything taken is given back.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

mod asking;
mod holding;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use turn_codec::attribute::{
    AdditionalAddressFamily, AddressErrorCode, DontFragment, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorMappedAddress,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_engine::{
    Bandwidth, DefaultFamily, DropReason, EndReason, OpenError, PerUser, Report, Settings,
    Transport,
};
use turn_testkit::{Answer, CHANNEL, Client, OTHER_PEER, PEER, PEER6, RELAY4, RELAY6, World, secs};

const IPV6: AddressFamily = AddressFamily::Ipv6;
const IPV4: AddressFamily = AddressFamily::Ipv4;
const PAIR: EvenPort = EvenPort { reserve: true };

fn world() -> World {
    World::new().user("ann", "secret").user("bob", "other")
}

fn dual(client: &Client) -> Answer {
    client.allocate_request().with(AdditionalAddressFamily(IPV6)).exchange()
}

fn claim(client: &Client, token: [u8; 8]) -> u16 {
    client.allocate_request().with(ReservationToken(token)).code()
}

fn address_error(answer: &Answer) -> Option<(AddressFamily, u16)> {
    answer.get::<AddressErrorCode<'_>>().map(|error| (error.family, error.code.get()))
}
