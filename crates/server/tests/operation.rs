//! What an operator sees of a running server and does with it: allocations, figures, drains.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Site, free_port, head, until};
use turn_admin::client::Client as AdminClient;
use turn_admin::{Control as _, DrainState, Ended};
use turn_client::{AllocateOptions, Client, Error, Origin};
use turn_codec::ChannelNumber;
use turn_codec::attribute::EvenPort;
use turnserver::signals::Signals;

const AUTH: &str = "realm = 'a.example'\n";
const ANN: &str = "[auth]\nusers = { ann = 'a password of ann' }\n";

fn site(more: &str) -> Site {
    Site::start(&format!("{AUTH}{}{ANN}{more}", head(free_port())))
}

#[test]
fn live_allocations_are_listed_and_one_can_be_ended() {
    let site = site("");
    let (mut ann, allocation) = site.allocate("ann", "a password of ann").unwrap();
    let (_other, _) = site.allocate("ann", "a password of ann").unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    ann.bind_channel(ChannelNumber::MIN, peer.local_addr().unwrap()).unwrap();
    ann.send_channel(ChannelNumber::MIN, b"hello").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(peer.recv(&mut buffer).unwrap(), 5);

    let rows = site.run(site.running.allocations());
    assert_eq!(rows.len(), 2);
    let relayed = allocation.relayed.to_string();
    let row = rows.iter().find(|row| row.relayed == [relayed.clone()]).unwrap();
    assert_eq!((row.user.as_str(), row.realm.as_str()), ("ann", "a.example"));
    assert_eq!((row.transport.as_str(), row.up.bytes, row.channels), ("udp", 5, 1));
    assert_eq!(row.client, ann.local_addr().unwrap().to_string());
    assert_eq!(row.peers, ["127.0.0.1"]);

    let end = |id: &str| site.run(site.running.end_allocation(id.to_owned()));
    assert_eq!(end("nonsense"), Ended::NotAnId);
    assert_eq!(end(&row.id), Ended::Done);
    assert_eq!(end(&row.id), Ended::Unknown);
    assert_eq!(site.run(site.running.allocations()).len(), 1);
    let status = site.run(site.running.status());
    assert_eq!((status.allocations.created, status.allocations.ended), (2, 1));
    assert!(status.ready && status.realms == ["a.example"]);
}

#[test]
fn figures_are_live_and_do_not_fall_when_an_allocation_ends() {
    let site = site("");
    let (mut ann, _) = site.allocate("ann", "a password of ann").unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    ann.bind_channel(ChannelNumber::MIN, peer.local_addr().unwrap()).unwrap();
    let of_realm = || site.run(site.running.metrics()).tenants.first().unwrap().clone();
    for _ in 0..10 {
        ann.send_channel(ChannelNumber::MIN, b"0123456789").unwrap();
    }
    until("live bytes", || of_realm().up.bytes == 100);
    let live = of_realm();
    let udp = live.live.iter().find(|live| live.transport == "udp").unwrap();
    assert_eq!((udp.gathered, udp.used, live.created), (0, 1, 1));
    ann.refresh(Duration::ZERO).unwrap();
    until("its end", || site.run(site.running.status()).allocations.ended == 1);
    let figures = site.run(site.running.metrics());
    assert_eq!(of_realm().up.bytes, 100);
    let ended = figures.ended.first().unwrap();
    assert_eq!((ended.reason.as_str(), ended.used, ended.count), ("deleted", true, 1));
    assert_eq!(figures.allocate.count(), 1);
    assert_eq!(figures.shards.len(), 2);
    assert!(figures.responses.iter().any(|of| of.method == "allocate" && of.code == 401));
    let wrong = site.allocate("ann", "wrong");
    assert!(matches!(wrong, Err(Error::Refused { .. }) | Err(_)));
    let failures = site.run(site.running.metrics()).auth_failures;
    let of = |word: &str| failures.iter().find(|of| of.word == word).unwrap().count;
    assert!(of("wrong_password") >= 1, "{failures:?}");
}

#[test]
fn r19_a_drain_refuses_the_new_keeps_the_old_and_ends_with_the_last() {
    let mut site = site("");
    let (mut ann, _) = site.allocate("ann", "a password of ann").unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = peer.local_addr().unwrap();
    ann.bind_channel(ChannelNumber::MIN, to).unwrap();
    let (running, doors) = (site.running.clone(), site.doors.take().unwrap());
    let socket = running.keys().socket.clone().unwrap();
    site.run(async {
        let signals = Signals::heed().unwrap();
        let looking = tokio::spawn({
            let running = running.clone();
            async move { running.look_after(doors, signals).await }
        });
        let admin = loop {
            match AdminClient::connect(&socket).await {
                Ok(admin) => break admin,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert!(running.is_ready() && running.is_alive());
        let status = admin.drain().await.unwrap();
        assert_eq!((status.state, status.allocations), (DrainState::Draining, 1));
        assert!(!running.is_ready() && running.is_alive());
        assert_eq!(running.not_ready_because(), "draining");
        let server = running.server().listening().first().unwrap().address;
        let credentials = turn_client::Credentials::password("ann", "a password of ann");
        assert!(common::allocate(server, credentials).is_err());
        // What lives goes on, both ways.
        ann.send_channel(ChannelNumber::MIN, b"still here").unwrap();
        let mut buffer = [0; 16];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        peer.send_to(buffer.get(..length).unwrap(), from).unwrap();
        let back = ann.receive(Duration::from_secs(1)).unwrap();
        assert_eq!(back.from, Origin::Channel(ChannelNumber::MIN));
        ann.refresh(Duration::from_secs(600)).unwrap();
        assert!(!looking.is_finished());
        ann.refresh(Duration::ZERO).unwrap();
        let start = Instant::now();
        looking.await.unwrap().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    });
    assert!(!socket.exists());
}

#[test]
fn r19_a_drain_ends_at_its_deadline_and_a_threshold_ends_it_early() {
    for (keys, least) in [("deadline = '1s'", 1_000), ("min_allocations = 1", 0)] {
        let mut site = site(&format!("[drain]\n{keys}\n"));
        let (_ann, _) = site.allocate("ann", "a password of ann").unwrap();
        let (running, doors) = (site.running.clone(), site.doors.take().unwrap());
        site.run(async {
            let signals = Signals::heed().unwrap();
            let start = Instant::now();
            running.drain().await;
            running.look_after(doors, signals).await.unwrap();
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(least), "{took:?}");
            assert!(took < Duration::from_millis(least + 1_500), "{took:?}");
        });
    }
}

#[test]
fn r19_a_reserved_port_keeps_no_drain_waiting() {
    let mut site = site("");
    let server = site.running.server().listening().first().unwrap().address;
    let credentials = turn_client::Credentials::password("ann", "a password of ann");
    let mut ann = Client::connect("127.0.0.1:0".parse().unwrap(), server, credentials).unwrap();
    let reserve = Some(EvenPort { reserve: true });
    ann.allocate(&AllocateOptions { even_port: reserve, ..AllocateOptions::default() }).unwrap();
    ann.refresh(Duration::ZERO).unwrap();
    let (running, doors) = (site.running.clone(), site.doors.take().unwrap());
    site.run(async {
        let signals = Signals::heed().unwrap();
        assert_eq!(running.server().fleet().shared().allocations(), 1, "the reservation");
        running.drain().await;
        let start = Instant::now();
        running.look_after(doors, signals).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn doors_that_are_written_and_taken_stop_the_start_and_defaults_do_not() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut config = turn_config::Config::default();
    config.admin.socket = turn_config::SocketPath::Off;
    config.metrics.address = turn_config::ListenAt::Default(address);
    let bind = |config: &turn_config::Config| {
        turnserver::doors::Doors::bind(config, turnserver::plan::Origin::File)
    };
    assert_eq!(bind(&config).unwrap().keys().metrics, None);
    config.metrics.address = turn_config::ListenAt::At(address);
    let error = bind(&config).unwrap_err().to_string();
    assert!(error.contains("metrics.address") && error.contains("ss -lntp"), "{error}");
    config.metrics.address = turn_config::ListenAt::Off;
    config.admin.address = Some(address);
    assert!(bind(&config).unwrap_err().to_string().contains("admin.address"));
}
