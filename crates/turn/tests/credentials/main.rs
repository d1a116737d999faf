//! Long-term credentials at the engine (RFC 8489 section 9.2), time-limited names, and
//! what a live allocation outlives.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

mod algorithms;
mod challenge;
mod identity;
mod lifetimes;

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::attribute::{
    Lifetime, PasswordAlgorithm, PasswordAlgorithmId, PasswordAlgorithms, RequestedAddressFamily,
    RequestedTransport,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_credentials::{KeyAlgorithm, UnixSeconds, userhash};
use turn_engine::{DropReason, FiveTuple, PerUser, Report, Settings, TimeLimitedRules, Transport};
use turn_testkit::{
    Answer, CHANNEL, Client, DENIED_PEER, Draft, OTHER_PEER, PEER, PEER6, START, Scheme, World,
    secs,
};

const ID: [u8; 12] = *b"a request id";
const METHODS: [Method; 4] =
    [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];

fn world() -> World {
    World::new().user("ann", "secret")
}

fn allocation(draft: Draft) -> Draft {
    draft.with(RequestedTransport::UDP)
}

/// A name of the shared secret that ends after so many seconds.
fn limited(seconds: u64, userid: &str) -> String {
    format!("{}:{userid}", START.0 + seconds)
}
