//! What an idle allocation costs beside its kernel socket: heap, counted by the allocator of this
//! binary, which holds the server and nothing else that lives as long.
//!
//! The figures: `cargo test --profile checked -p turn-tests --test idle_memory -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use turn_client::{AllocateOptions, Client};
use turn_config::{Config, Shards};
use turn_tests::lab::config_with_user;
use turn_tests::system::{channel, user};
use turnserver::logging::LogObserver;
use turnserver::plan::Origin;
use turnserver::server::Server;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ALLOCATIONS: usize = 1_000;

/// For each idle allocation.
const BUDGET: usize = 1_024;

#[test]
fn idle_allocation_costs_at_most_a_kibibyte_of_heap() {
    // Every client from another address: the kernel may give the port of one that is gone to the
    // next, whose 5-tuple would then have an allocation already.
    let mut addresses = (Ipv4Addr::new(127, 2, 0, 1).to_bits()..).map(Ipv4Addr::from_bits);
    for shards in [1, 2] {
        let config = Config { shards: Shards::Count(shards), ..config_with_user("ann", "secret") };
        let observer = Arc::new(LogObserver::default());
        let server = Server::start(&config, Origin::File, None, observer).unwrap();
        let address = server.listening().first().unwrap().address;
        let mut allocate = |bind_channel: bool| {
            let local = addresses.next().unwrap();
            let mut client = Client::connect((local, 0).into(), address, user()).unwrap();
            let allocation = client.allocate(&AllocateOptions::default()).unwrap();
            if bind_channel {
                client.bind_channel(channel(0), allocation.relayed).unwrap();
            }
            client
        };
        // What is made once, by the first client of each shard: buffers, tables, caches.
        for _ in 0..32 {
            allocate(true).refresh(Duration::ZERO).unwrap();
        }
        // A client is gone at the end of its line; what stays is the server's.
        let mut cost_of_each = |bind_channel| {
            let before = live();
            (0..ALLOCATIONS).for_each(|_| drop(allocate(bind_channel)));
            live().saturating_sub(before) / ALLOCATIONS
        };
        let (idle, with_channel) = (cost_of_each(false), cost_of_each(true));
        eprintln!(
            "shards = {shards}: an idle allocation costs {idle} bytes of heap, one with a channel \
             {with_channel}"
        );
        assert!(idle <= BUDGET, "{idle} bytes of heap for each idle allocation");
        assert_eq!(server.fleet().shared().allocations() as usize, 2 * ALLOCATIONS);
        server.stop().unwrap();
    }
}

/// Bytes of heap that are in use.
fn live() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
