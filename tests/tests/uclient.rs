//! coturn's client tools against our server: what operators try first, with one shard and with
//! two. Not one message may be lost.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use turn_codec::Method;
use turn_config::{AddressRange, Config, Shards};
use turn_tests::foreign::{EchoPeer, Uclient, reflexive_addresses};
use turn_tests::lab::{self, IPV4, IPV6};
use turn_tests::system::Scripted;

/// Generous: a run takes some 5 s, most of it the client's own waits.
const LIMIT: Duration = Duration::from_secs(60);

/// What each of [`CLIENTS`] sends.
const MESSAGES: u32 = 50;

/// Four pairs of RTP and RTCP, or eight clients without; with `-y` it makes them a multiple of
/// four.
const CLIENTS: u32 = 8;

#[test]
fn uclient_relays_through_channels_with_even_ports_and_their_rtcp() {
    on_one_and_two_shards(&ann(), |server| {
        let peer = EchoPeer::start(IPV4);
        all_come_back(uclient(server).peer(peer.address()));
        // A pair is a probe, an allocation on an even port, and one with the token of its
        // reservation.
        assert_eq!(server.counter("allocations_created"), u64::from(CLIENTS / 2 * 3));
        assert!(server.responses(Method::CHANNEL_BIND, 200) >= u64::from(CLIENTS));
    });
}

#[test]
fn uclient_relays_through_send_indications() {
    on_one_and_two_shards(&ann(), |server| {
        let peer = EchoPeer::start(IPV4);
        all_come_back(uclient(server).peer(peer.address()).send_indications());
        assert_eq!(server.responses(Method::CHANNEL_BIND, 200), 0);
        assert!(server.responses(Method::CREATE_PERMISSION, 200) >= u64::from(CLIENTS));
    });
}

#[test]
fn uclient_relays_from_client_to_client_without_a_socket_in_between() {
    on_one_and_two_shards(&ann(), |server| {
        all_come_back(uclient(server).client_to_client(IPV4).without_rtcp().length(170));
        assert!(server.counter("relayed_inside") >= u64::from(CLIENTS * MESSAGES));
    });
}

#[test]
fn uclient_relays_from_client_to_client_through_send_indications() {
    on_one_and_two_shards(&ann(), |server| {
        all_come_back(uclient(server).client_to_client(IPV4).send_indications());
    });
}

#[test]
fn uclient_relays_over_ipv6_for_clients_of_either_family() {
    on_one_and_two_shards(&ann(), |server| {
        let peer = EchoPeer::start(IPV6);
        for client in [IPV4, IPV6] {
            let uclient = uclient_at(server.address_on(client)).user("ann", "secret");
            all_come_back(uclient.clients(CLIENTS).flag("-x").peer(peer.address()));
        }
    });
}

#[test]
fn uclient_relays_over_ipv4_when_it_asks_for_it_by_name() {
    on_one_and_two_shards(&ann(), |server| {
        let peer = EchoPeer::start(IPV4);
        all_come_back(uclient(server).peer(peer.address()).flag("-X"));
    });
}

#[test]
fn uclient_relays_with_dont_fragment() {
    on_one_and_two_shards(&ann(), |server| {
        let peer = EchoPeer::start(IPV4);
        // The attribute rides on Send indications.
        all_come_back(uclient(server).peer(peer.address()).send_indications().flag("-g"));
        all_come_back(uclient(server).peer(peer.address()).flag("-g"));
    });
}

#[test]
fn uclient_relays_with_a_credential_of_its_own_making_from_the_shared_secret() {
    on_one_and_two_shards(&lab::config_with_secret("shared"), |server| {
        let peer = EchoPeer::start(IPV4);
        let uclient = uclient_at(server.address()).shared_secret("ann", "shared");
        all_come_back(uclient.clients(CLIENTS).peer(peer.address()));
    });
}

#[test]
fn uclient_is_refused_with_a_wrong_password_and_with_a_wrong_secret() {
    let mut config = ann();
    config.auth.secrets = lab::config_with_secret("shared").auth.secrets;
    // It tries 32 times before it says so, which takes minutes where failures are throttled.
    config.limits.exempt_sources = vec![AddressRange { first: IPV4, last: IPV4 }];
    on_one_and_two_shards(&config, |server| {
        let uclient = uclient_at(server.address()).client_to_client(IPV4);
        for wrong in [
            uclient.clone().user("ann", "wrong"),
            uclient.clone().user("eve", "secret"),
            uclient.shared_secret("ann", "another"),
        ] {
            let report = wrong.run(LIMIT);
            assert!(report.exit.is_some_and(|exit| exit != 0), "{report:#?}");
            assert!(report.output.contains("Cannot complete Allocation"), "{report:#?}");
            assert_eq!((report.received, report.lost), (0, None), "{report:#?}");
        }
        assert_eq!(server.counter("allocations_created"), 0);
        assert!(server.responses(Method::ALLOCATE, 401) >= 6, "{:?}", server.counters());
    });
}

#[test]
fn uclient_that_guesses_on_and_on_is_met_with_silence() {
    on_one_and_two_shards(&ann(), |server| {
        let uclient = uclient_at(server.address()).user("ann", "wrong").client_to_client(IPV4);
        let report = uclient.run(Duration::from_secs(5));
        assert_eq!((report.received, report.exit), (0, None), "{report:#?}");
        // Its first request, which has no credentials, and ten guesses. On a busy machine it may
        // have sent the first one again.
        let refused = server.responses(Method::ALLOCATE, 401);
        assert!((11..=14).contains(&refused), "{:?}", server.counters());
        // The user is not shut out elsewhere.
        let ann = uclient_at(server.address_on(IPV6)).user("ann", "secret");
        all_come_back(ann.clients(CLIENTS).client_to_client(IPV4));
    });
}

#[test]
fn stunclient_prints_its_reflexive_address_over_either_family() {
    // Nobody may relay: STUN is answered all the same.
    on_one_and_two_shards(&lab::config(), |server| {
        for address in [IPV4, IPV6] {
            let found = reflexive_addresses(server.address_on(address), LIMIT);
            assert_eq!(found.first().map(SocketAddr::ip), Some(address), "{found:?}");
        }
    });
}

/// Runs the same against a server of one shard and a server of two, both at once: the clients
/// spend most of their time waiting.
fn on_one_and_two_shards(config: &Config, claim: impl Fn(&Scripted) + Sync) {
    thread::scope(|scope| {
        for shards in [1, 2] {
            let mut config = config.clone();
            config.shards = Shards::Count(shards);
            let claim = &claim;
            let run = move || {
                let server = Scripted::start(&config);
                claim(&server);
                assert_eq!(server.counter("truncated"), 0);
                assert_eq!(server.counter("send_dropped"), 0, "{:?}", server.counters());
            };
            let thread = thread::Builder::new().name(format!("{shards} shards"));
            let started = thread.spawn_scoped(scope, run);
            assert!(started.is_ok(), "no thread");
        }
    });
}

fn ann() -> Config {
    lab::config_with_user("ann", "secret")
}

fn uclient(server: &Scripted) -> Uclient {
    uclient_at(server.address()).user("ann", "secret").clients(CLIENTS)
}

fn uclient_at(server: SocketAddr) -> Uclient {
    Uclient::new(server).messages(MESSAGES)
}

#[track_caller]
fn all_come_back(uclient: Uclient) {
    uclient.run(LIMIT).expect_all_back(u64::from(CLIENTS * MESSAGES));
}
