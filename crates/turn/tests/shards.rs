//! What crosses shards: reservations, relay-to-relay data, nonces, quotas, ports, buckets.

#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::Method;
use turn_codec::attribute::{EvenPort, RequestedTransport, ReservationToken};
use turn_engine::{DropReason, PerUser, Rate, ShardId};
use turn_testkit::{CHANNEL, Client, Draft, PEER, World, secs};

const PAIR: EvenPort = EvenPort { reserve: true };

fn world() -> World {
    World::new().shards(2).user("ann", "secret").user("bob", "other")
}

fn reserve(client: &Client) -> [u8; 8] {
    assert_eq!(client.allocate_request().with(PAIR).code(), 200);
    client.token()
}

fn claim(client: &Client, token: [u8; 8]) -> u16 {
    client.allocate_request().with(ReservationToken(token)).code()
}

/// Ann on shard 0 and Bob on shard 1, each with a permission for the other.
fn pair(world: &World) -> (Client, Client) {
    let ann = world.client_on(0, "ann").allocate();
    let bob = world.client_on(1, "bob").allocate();
    ann.permit(bob.relayed());
    bob.permit(ann.relayed());
    (ann, bob)
}

#[test]
fn t8_reservation_of_one_shard_is_used_on_the_other() {
    let world = world();
    for (maker, taker) in [(0, 1), (1, 0), (1, 1)] {
        let first = world.client_on(maker, "ann");
        let token = reserve(&first);
        assert_eq!(ShardId(token[0]), first.shard());
        let second = world.client_on(taker, "ann");
        assert_eq!(claim(&second, token), 200);
        let next = SocketAddr::new(first.relayed().ip(), first.relayed().port() + 1);
        assert_eq!(second.relayed(), next);
        // The socket is polled where its allocation is: data flows both ways.
        second.permit(PEER).send(PEER, b"out").expect_at_peer(PEER, b"out");
        world.peer(PEER).sends(next, b"in").expect_indication(&second, PEER, b"in");
        // A retransmit of its owner changes nothing, another claim gets nothing.
        assert_eq!(claim(&world.client_on(taker, "ann"), token), 508);
    }
    assert_eq!((world.allocations(), world.quota_units()), (6, 6));
    world.expect_nothing_left_in_the_end();
}

#[test]
fn t4_token_that_is_not_good_is_a_508_on_every_shard() {
    let world = world();
    let token = reserve(&world.client_on(0, "ann"));
    assert_eq!(claim(&world.client_on(1, "bob"), token), 508, "somebody else's");
    let mut guessed = token;
    guessed[3] ^= 0x40;
    assert_eq!(claim(&world.client_on(1, "ann"), guessed), 508, "guessed");
    for nowhere in [2, 7, 255] {
        guessed[0] = nowhere;
        assert_eq!(claim(&world.client_on(1, "ann"), guessed), 508, "of no shard");
    }
    world.advance_without_sweep(secs(30));
    assert_eq!(claim(&world.client_on(1, "ann"), token), 508, "expired");
    world.expect_nothing_left_in_the_end();
}

#[test]
fn t13_reservation_that_moves_takes_its_quota_unit_along() {
    let world = world().realm(|realm| realm.limits.allocations_per_user = PerUser::Count(2));
    let token = reserve(&world.client_on(0, "ann"));
    assert_eq!(world.client_on(1, "ann").allocate_request().code(), 486);
    let second = world.client_on(1, "ann");
    assert_eq!(claim(&second, token), 200);
    assert_eq!(world.client_on(0, "ann").allocate_request().code(), 486);
    assert_eq!(second.refresh(0).code(), 200);
    assert_eq!(world.client_on(0, "ann").allocate_request().code(), 200);
    assert_eq!(world.quota_units(), 2);
}

#[test]
fn claim_that_waits_for_a_slow_shard_is_answered_once() {
    let world = world();
    let token = reserve(&world.client_on(0, "ann"));
    let second = world.client_on(1, "ann").challenged();
    let request = second.allocate_request().with(ReservationToken(token)).signed();
    world.hold_completions();
    second.sends(&request).expect_silence();
    second.sends(&request).expect_silence();
    assert_eq!(world.release_completions().code(), 200);
    assert_eq!((world.allocations(), world.quota_units()), (2, 2));
}

#[test]
fn h6_two_clients_on_different_shards_reach_each_other_without_a_socket() {
    let world = world();
    let (ann, bob) = pair(&world);
    assert_ne!(ann.shard(), bob.shard());
    ann.send(bob.relayed(), b"hi").expect_indication(&bob, ann.relayed(), b"hi");
    bob.send(ann.relayed(), b"ho").expect_indication(&ann, bob.relayed(), b"ho");
    let (ann, bob) = (ann.bind(CHANNEL, bob.relayed()), bob.bind(CHANNEL + 1, ann.relayed()));
    ann.channel_data(CHANNEL, b"hi").expect_channel_data(&bob, CHANNEL + 1, b"hi");
    bob.channel_data(CHANNEL + 1, b"ho").expect_channel_data(&ann, CHANNEL, b"ho");
    let across: Vec<_> = world.counters().iter().map(|shard| shard.relayed_across.get()).collect();
    assert_eq!(across, [2, 2]);
}

#[test]
fn p4_receiver_on_another_shard_needs_its_own_permission() {
    let world = world();
    let ann = world.client_on(0, "ann").allocate();
    let bob = world.client_on(1, "bob").allocate();
    ann.permit(bob.relayed());
    ann.send(bob.relayed(), b"hi").expect_dropped(DropReason::NoPermission);
    bob.permit(ann.relayed());
    ann.send(bob.relayed(), b"hi").expect_indication(&bob, ann.relayed(), b"hi");
    world.advance(secs(299));
    ann.permit(bob.relayed());
    world.advance(secs(1));
    ann.send(bob.relayed(), b"hi").expect_dropped(DropReason::NoPermission);
}

#[test]
fn data_for_an_allocation_of_another_shard_that_is_gone_is_dropped() {
    let world = world();
    let (ann, bob) = pair(&world);
    let relayed = bob.relayed();
    assert_eq!(bob.refresh(0).code(), 200);
    ann.send(relayed, b"hi").expect_dropped(DropReason::NotRelayed);
    // Expired but not yet swept: the port is still published, the relay says no.
    let (ann, bob) = pair_again(&world, &ann);
    world.advance_without_sweep(secs(600));
    assert_eq!(ann.allocate_request().code(), 200);
    let ann = ann.permit(bob.relayed());
    ann.send(bob.relayed(), b"hi").expect_dropped(DropReason::Stale);
}

fn pair_again(world: &World, ann: &Client) -> (Client, Client) {
    let bob = world.client_on(1, "bob").allocate();
    (ann.permit(bob.relayed()), bob.permit(ann.relayed()))
}

#[test]
fn t9_no_port_is_given_out_twice_and_none_is_stranded() {
    let world = world().ports(50_000..=50_015);
    let mut ports = HashSet::new();
    for number in 0..16 {
        let client = world.client_on(number % 2, "ann").allocate();
        assert!(ports.insert(client.relayed().port()));
    }
    for shard in [0, 1] {
        assert_eq!(world.client_on(shard, "ann").allocate_request().code(), 508);
    }
}

#[test]
fn h18_quotas_count_over_all_shards() {
    let world = world().realm(|realm| realm.limits.allocations_per_user = PerUser::Count(4));
    for number in 0..4 {
        world.client_on(number % 2, "ann").allocate();
    }
    for shard in [0, 1] {
        assert_eq!(world.client_on(shard, "ann").allocate_request().code(), 486);
        assert_eq!(world.client_on(shard, "bob").allocate_request().code(), 200);
    }
}

#[test]
fn h10_challenges_to_one_address_count_over_all_shards() {
    let world =
        world().settings(|settings| settings.limits.challenges = Some(Rate::per_second(100, 200)));
    let request = Draft::request(Method::ALLOCATE).with(RequestedTransport::UDP).bytes([7; 12]);
    let mut answered = [0; 2];
    for port in 10_000..12_000 {
        let from = SocketAddr::from(([192, 0, 2, 77], port));
        if !world.from_client(from, &request).is_silent() {
            answered[usize::from(world.shard_of(from).0)] += 1;
        }
    }
    assert_eq!(answered[0] + answered[1], 200);
    assert!(answered.iter().all(|&count| count > 50), "{answered:?}");
}
