//! Attacks on the engine: forbidden peers in every spelling, reflection, guessing, replay,
//! floods and scans.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

mod guessing;
mod peers;
mod resources;
mod strangers;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use turn_codec::attribute::{
    AdditionalAddressFamily, EvenPort, Lifetime, RequestedTransport, ReservationToken,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_credentials::KeyAlgorithm;
use turn_engine::{AddressRange, DropReason, PeerRule, PerUser, Rate, RealmId, Report, Settings};
use turn_testkit::{
    CHANNEL, Client, Draft, OTHER_PEER, PEER, RELAY4, RELAY6, SERVER4, SERVER6, START, Scheme,
    World, secs,
};

const ID: [u8; 12] = *b"a request id";
const PAIR: EvenPort = EvenPort { reserve: true };

fn world() -> World {
    World::new().user("ann", "secret").user("bob", "other")
}

fn dual(world: &World) -> Client {
    let ann = world.client("ann");
    let ask = ann.allocate_request().with(AdditionalAddressFamily(AddressFamily::Ipv6));
    assert_eq!(ask.code(), 200);
    ann
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bare() -> Vec<u8> {
    Draft::request(Method::ALLOCATE).with(RequestedTransport::UDP).bytes(ID)
}

fn net(text: &str, ports: Option<std::ops::RangeInclusive<u16>>) -> PeerRule {
    let net: ipnet::IpNet = text.parse().unwrap();
    PeerRule { range: net.into(), ports }
}
