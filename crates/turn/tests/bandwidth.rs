//! Bandwidth limits as somebody who offers too much meets them: payload bytes of UDP allocations
//! over seconds of virtual time.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::ops::RangeInclusive;
use std::time::Duration;

use turn_engine::{
    Bandwidth, Direction, RealmId, Report, Settings, Tenant, TenantId, TenantLimits,
};
use turn_testkit::{CHANNEL, Client, Event, PEER, START, World, secs};

const PAYLOAD: usize = 1_250;
/// One packet in each 20 ms is half a megabit.
const STEP: Duration = Duration::from_millis(20);
const MEASURED: RangeInclusive<u128> = 2_000..=11_999;

fn world(change: impl FnOnce(&mut Settings)) -> World {
    World::new()
        .ports(50_000..=50_063)
        .shards(2)
        .user("ann", "secret")
        .user("bob", "other")
        .settings(change)
}

fn megabits(count: u64) -> Option<Bandwidth> {
    Some(Bandwidth { bytes_per_second: count * 125_000 })
}

fn limit_allocations(settings: &mut Settings, limit: Option<Bandwidth>) {
    settings.realms[0].limits.bandwidth_per_allocation = limit;
}

/// So many allocations, half of them on each shard, with a channel to a peer.
fn allocations(count: u8, client: impl Fn(u8) -> Client) -> Vec<Client> {
    (0..count).map(|at| client(at % 2).allocate().bind(CHANNEL, PEER)).collect()
}

/// Bytes of payload that came out.
fn payload(emitted: &turn_testkit::Emitted) -> usize {
    let len = |event: &Event| match event {
        Event::ToPeer { bytes, .. } => bytes.len(),
        Event::ToClient { bytes, .. } => bytes.len() - 4,
    };
    emitted.events.iter().map(len).sum()
}

/// What gets through, in Mbit/s of seconds 2 to 12, when each client is offered so many packets in
/// each step.
fn carried(
    world: &World,
    clients: &[Client],
    direction: Direction,
    packets: usize,
    step: Duration,
) -> f64 {
    let data = [7; PAYLOAD];
    let start = world.now().mono;
    let mut bytes = 0;
    loop {
        let at = world.now().mono.duration_since(start).as_millis();
        if at > *MEASURED.end() {
            break;
        }
        for client in clients {
            for _ in 0..packets {
                let emitted = match direction {
                    Direction::Up => client.channel_data(CHANNEL, &data),
                    Direction::Down => world.peer(PEER).sends(client.relayed(), &data),
                };
                bytes += if MEASURED.contains(&at) { payload(&emitted) } else { 0 };
            }
        }
        world.advance_without_sweep(step);
    }
    let bytes = u32::try_from(bytes).expect("less than 4 GiB");
    f64::from(bytes) * 8.0 / 10.0 / 1e6
}

#[track_caller]
fn expect_within(carried: f64, range: RangeInclusive<f64>) {
    assert!(range.contains(&carried), "{carried} Mbit/s are not within {range:?}");
}

#[test]
fn allocation_of_a_megabit_carries_one_of_five_that_are_offered() {
    let world = world(|settings| limit_allocations(settings, megabits(1)));
    let clients = allocations(1, |_| world.client("ann"));
    for direction in [Direction::Up, Direction::Down] {
        expect_within(carried(&world, &clients, direction, 10, STEP), 0.95..=1.05);
    }
}

#[test]
fn bursts_of_100_ms_below_the_limit_lose_nothing() {
    let world = world(|settings| limit_allocations(settings, megabits(1)));
    let clients = allocations(1, |_| world.client("ann"));
    let step = Duration::from_millis(100);
    for direction in [Direction::Up, Direction::Down] {
        expect_within(carried(&world, &clients, direction, 9, step), 0.9..=0.9);
    }
    assert!(!world.reports().iter().any(|report| matches!(report, Report::LimitReached { .. })));
}

#[test]
fn limits_of_user_realm_and_process_hold_for_twenty_allocations_on_two_shards() {
    let limits: [fn(&mut Settings); 3] = [
        |settings| settings.realms[0].limits.bandwidth_per_user = megabits(4),
        |settings| settings.realms[0].limits.bandwidth_per_realm = megabits(4),
        |settings| settings.limits.bandwidth = megabits(4),
    ];
    for limit in limits {
        let world = world(limit);
        let clients = allocations(20, |shard| world.client_on(shard, "ann"));
        for direction in [Direction::Up, Direction::Down] {
            expect_within(carried(&world, &clients, direction, 1, STEP), 3.6..=4.4);
        }
    }
}

#[test]
fn user_who_has_used_up_a_limit_costs_others_nothing() {
    let world = world(|settings| settings.realms[0].limits.bandwidth_per_user = megabits(2));
    let greedy = allocations(8, |shard| world.client_on(shard, "ann"));
    let modest = allocations(2, |shard| world.client_on(shard, "bob"));
    let both = [greedy, modest].concat();
    expect_within(carried(&world, &both, Direction::Up, 1, STEP), 2.8..=3.2);
    let of_bob = world.survey(64).into_iter().filter(|seen| seen.user == "bob");
    let sent = of_bob.map(|seen| seen.traffic.up_packets).sum::<u64>();
    assert_eq!(sent, 2 * 600, "every packet of twelve seconds");
}

#[test]
fn tenant_who_has_used_up_its_bandwidth_costs_the_other_nothing() {
    let limits = TenantLimits { bandwidth: megabits(2), ..TenantLimits::default() };
    let tenant = |name: &str| Tenant { name: name.into(), limits };
    let world = world(|_| {}).setup(|setup| {
        setup.add_tenant(RealmId(0), "of the app", tenant("app"));
        setup.add_tenant(RealmId(0), "of the site", tenant("site"));
    });
    let name = |userid: u8| format!("{}:{userid}", START.0 + 3_600);
    let of =
        |tenant, userid, shard| world.client_on(shard, &name(userid)).of_tenant(TenantId(tenant));
    // Many users of the one, a single one of the other who offers just what it may.
    let greedy: Vec<_> =
        (0..16).flat_map(|user| allocations(1, |_| of(0, user, user % 2))).collect();
    let modest = allocations(4, |shard| of(1, 99, shard));
    let both = [greedy, modest].concat();
    expect_within(carried(&world, &both, Direction::Up, 1, STEP), 3.8..=4.2);
    let of_site = world.survey(64).into_iter().filter(|seen| seen.tenant == Some(TenantId(1)));
    let sent = of_site.map(|seen| seen.traffic.up_packets).sum::<u64>();
    assert_eq!(sent, 4 * 600, "every packet of twelve seconds");
    let limits: Vec<_> = world
        .reports()
        .into_iter()
        .filter(|report| matches!(report, Report::LimitReached { .. }))
        .collect();
    let (realm, tenant) = (Some(RealmId(0)), Some(TenantId(0)));
    let key = "auth.secrets.limits.bandwidth";
    assert_eq!(limits, [Report::LimitReached { key, realm, tenant }]);
}

#[test]
fn between_two_allocations_the_limits_of_both_apply() {
    let world = world(|settings| settings.realms[0].limits.bandwidth_per_user = megabits(3)).setup(
        |setup| {
            let other = setup.add_realm("b.example");
            setup.add_user_in(other, "cid", "third", None);
            setup.realm_of(other).limits.bandwidth_per_allocation = megabits(1);
        },
    );
    let ann = world.client_on(0, "ann").allocate();
    // On the same shard, and on the other one.
    for shard in [0, 1] {
        let cid = world.client_on(shard, "cid").in_realm(RealmId(1)).allocate();
        cid.bind(CHANNEL, ann.relayed());
        let channel = CHANNEL + 1 + u16::from(shard);
        ann.bind(channel, cid.relayed());
        let clients = [ann.clone()];
        // What ann may send is more than cid may receive.
        let carried = carried_on(&world, &clients, channel);
        expect_within(carried, 0.95..=1.05);
        // And what cid may send is less than ann may receive.
        expect_within(carried_on(&world, &[cid], CHANNEL), 0.95..=1.05);
    }
}

/// As `carried`, on another channel, five megabits offered.
fn carried_on(world: &World, clients: &[Client], channel: u16) -> f64 {
    let data = [7; PAYLOAD];
    let start = world.now().mono;
    let mut bytes = 0;
    for _ in 0..600 {
        let at = world.now().mono.duration_since(start).as_millis();
        for client in clients.iter().cycle().take(10 * clients.len()) {
            let emitted = client.channel_data(channel, &data);
            bytes += if MEASURED.contains(&at) { payload(&emitted) } else { 0 };
        }
        world.advance_without_sweep(STEP);
    }
    f64::from(u32::try_from(bytes).expect("less than 4 GiB")) * 8.0 / 10.0 / 1e6
}

#[test]
fn limit_that_a_reload_switches_on_binds_what_lives_and_off_frees_it() {
    let world = world(|_| {});
    let clients = allocations(1, |_| world.client("ann"));
    expect_within(carried(&world, &clients, Direction::Up, 10, STEP), 5.0..=5.0);
    world.reload(|setup| limit_allocations(&mut setup.settings, megabits(1)));
    clients[0].refresh(600);
    clients[0].bind(CHANNEL, PEER);
    expect_within(carried(&world, &clients, Direction::Up, 10, STEP), 0.95..=1.05);
    world.reload(|setup| limit_allocations(&mut setup.settings, megabits(2)));
    expect_within(carried(&world, &clients, Direction::Up, 10, STEP), 1.9..=2.1);
    world.reload(|setup| limit_allocations(&mut setup.settings, None));
    expect_within(carried(&world, &clients, Direction::Up, 10, STEP), 5.0..=5.0);
    assert_eq!(world.advance(secs(1)).events.len(), 0);
}
