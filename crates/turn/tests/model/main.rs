//! Random runs: the engine agrees with the naive reference about every response code,
//! every datagram and its framing, and keeps the testkit's invariants, whatever several
//! clients, peers and strangers do on one, two or three shards.
//!
//! 256 runs of up to 200 steps; `PROPTEST_CASES` raises it.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod run;

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use turn_codec::attribute::{
    AdditionalAddressFamily, AddressErrorCode, EvenPort, Lifetime, RequestedAddressFamily,
    ReservationToken,
};
use turn_codec::{AddressFamily, ChannelNumber, Method};
use turn_engine::{
    AddressRange, FoundUser, Now, PeerRule, PerUser, Realm, RealmId, RelayAddress, RelayProtocol,
    Tenant, TenantId, TenantLimits, Transport, UserLimits,
};
use turn_testkit::{
    Account, AllocateKind, Answer, Ask, Client, DENIED_PEER, Data, Delivery, Draft, Emitted, Event,
    Framing, Operation, PeerPick, RELAY4, RELAY6, Reference, START, StoreMode, World, operations,
    secs,
};

use run::Run;

const PER_USER: u32 = 3;
/// The second realm relays by IPv4 alone, lets its users reach a private peer and has few units.
const OTHER_REALM: RealmId = RealmId(1);
const PER_REALM: u32 = 1;
/// The default realm has a tenant.
const TENANT: TenantId = TenantId(0);
const PER_TENANT: u32 = 3;
const PER_TENANTS_USER: u32 = 2;
/// Only the credential store knows this one, who may have one allocation.
const STORED: &str = "sam";
const PER_STORED_USER: u32 = 1;
/// And this one nobody knows.
const NOBODY: &str = "nobody";
const PERMISSIONS: usize = 4;
const CHANNELS: usize = 3;
const FIRST_PORT: u16 = 50_000;
/// The credential of one client ends within the run.
const CREDENTIAL: u64 = 900;
const GRACE: u64 = 300;
/// And those of others do not.
const FOR_EVER: u64 = 1_000_000_000;

/// The server that a run is against.
#[derive(Debug, Clone, Copy)]
struct Shape {
    shards: u8,
    ports: u16,
    is_external: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    (1_u8..=3, prop_oneof![Just(7_u16), Just(16), Just(64)], any::<bool>())
        .prop_map(|(shards, ports, is_external)| Shape { shards, ports, is_external })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/model.regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn engine_agrees_with_the_reference(shape in shape(), operations in operations(200)) {
        let mut run = Run::new(shape);
        for operation in operations {
            run.step(&operation);
        }
        run.world.expect_nothing_left_in_the_end();
    }
}

/// The runs above are worth something only where they come across everything.
#[test]
fn random_runs_come_across_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    let mut across = 0;
    for _ in 0..1_000 {
        let strategy = (shape(), operations(200));
        let (shape, operations) = strategy.new_tree(&mut runner).expect("a run").current();
        let mut run = Run::new(shape);
        operations.iter().for_each(|operation| run.step(operation));
        across += run.world.counters().iter().map(|shard| shard.relayed_across.get()).sum::<u64>();
        seen.extend(run.seen);
    }
    let codes = [
        ("Allocate", &[200, 401, 437, 440, 486, 500, 508][..]),
        ("Refresh", &[200, 401, 437, 443, 500]),
        ("CreatePermission", &[200, 401, 403, 437, 443, 500, 508]),
        ("ChannelBind", &[200, 400, 401, 403, 437, 443, 500, 508]),
    ];
    let codes = codes
        .into_iter()
        .flat_map(|(method, codes)| codes.iter().map(move |code| format!("{method} {code}")));
    let client = ["a client by channel", "a client by indication", "nowhere"];
    let deliveries = ["Send", "ChannelData", "peer data"].into_iter().flat_map(|what| {
        let peer = (what != "peer data").then_some("a peer");
        client.into_iter().chain(peer).map(move |to| format!("{what} to {to}"))
    });
    let missed: Vec<_> =
        codes.chain(deliveries).filter(|outcome| !seen.contains(outcome)).collect();
    assert!(missed.is_empty(), "never: {missed:?}");
    assert!(across > 0, "nothing went from shard to shard");
}
