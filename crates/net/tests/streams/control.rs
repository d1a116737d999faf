//! What the control thread asks of shards: looks, kills, beats, handshakes.

use std::net::UdpSocket;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use turn_codec::Method;
use turn_codec::attribute::Lifetime;
use turn_engine::{AllocationId, Bandwidth, Realm, RealmLimits, Report, ShardId, Transport};
use turn_net::{Fleet, Observer};

use crate::client::{channel_data, error_of, is_success};
use crate::dtls::Session;
use crate::server::{Server, Setup, open_realm};

#[test]
fn inspection_sees_the_engine_of_every_shard_in_order() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let mut clients: Vec<_> = (0..12).map(|_| server.tcp()).collect();
    for client in &mut clients {
        client.allocate();
    }
    let seen = server.control(async |fleet| fleet.inspect(|engine| engine.allocations()).await);
    let counted = server.fleet.counters().map(|shard| shard.allocations_created.get() as usize);
    assert_eq!(seen.unwrap(), counted.collect::<Vec<_>>());
    assert_eq!(server.fleet.shards(), 2);
}

#[test]
fn ended_allocation_is_gone_and_its_client_may_have_another() {
    let journal = Arc::new(Journal::default());
    let server = Setup { shards: 2, observer: journal.clone(), ..Setup::default() }.start();
    let (mut datagrams, mut stream) = (server.udp(), server.tcp());
    let relays = [datagrams.allocate(), stream.allocate()];
    let ids = journal.created();
    assert_eq!(ids.len(), relays.len());
    for id in ids {
        assert!(end(&server, id));
        assert!(!end(&server, id), "it ends once");
    }
    assert!(!end(&server, AllocationId { shard: ShardId(7), serial: 1 }));
    server.wait_for("relays_closed", 2);
    assert_eq!(error_of(&datagrams.ask(Method::REFRESH, &[&Lifetime(600)])), Some(437));
    datagrams.allocate();
    stream.allocate();
}

#[test]
fn draining_server_refuses_new_allocations_and_serves_the_old_ones() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let mut old = server.tcp();
    old.allocate();
    server.fleet.set_draining(true);
    let mut new = server.tcp();
    let allocate = [&turn_codec::attribute::RequestedTransport::UDP as &dyn crate::client::Push];
    assert_eq!(error_of(&new.ask(Method::ALLOCATE, &allocate)), Some(508));
    assert!(is_success(&old.ask(Method::REFRESH, &[&Lifetime(600)])));
    server.fleet.set_draining(false);
    new.allocate();
}

#[test]
fn limit_that_drops_a_packet_is_reported_though_nobody_asks_for_anything() {
    let journal = Arc::new(Journal::default());
    let slow = Some(Bandwidth { bytes_per_second: 1 });
    let limits = RealmLimits { bandwidth_per_allocation: slow, ..RealmLimits::default() };
    let realms = vec![Realm { limits, ..open_realm("localhost") }];
    let server = Setup { realms, observer: journal.clone(), ..Setup::default() }.start();
    let (mut client, peer) = (server.udp(), UdpSocket::bind("127.0.0.1:0").unwrap());
    client.allocate();
    client.bind_channel(peer.local_addr().unwrap());
    // More than its burst.
    for _ in 0..80 {
        client.send(&channel_data(&[7; 1_000]));
    }
    let started = Instant::now();
    while journal.limits().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5), "no word of it");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(journal.limits(), ["bandwidth_per_allocation"]);
}

#[test]
fn r19_server_that_stops_begins_nothing_new() {
    let server = Setup::default().start();
    server.tcp().allocate();
    assert!(!server.fleet.shared().is_draining());
    server.fleet.stop().unwrap();
    assert!(server.fleet.shared().is_draining());
    assert_eq!(server.allocations(), 0);
}

#[test]
fn beat_is_a_turn_of_every_packet_task() {
    let server = Setup { shards: 3, ..Setup::default() }.start();
    let turns = || server.fleet.net_counters().map(|shard| shard.turns.get()).collect::<Vec<_>>();
    for _ in 0..5 {
        // Nothing is sent: no packet task would turn by itself.
        let before = turns();
        server.control(async |fleet| fleet.beat().await).unwrap();
        assert!(turns().iter().zip(before).all(|(after, before)| *after > before));
    }
}

#[test]
fn shard_that_hangs_has_no_beat() {
    let stubborn = Arc::new(Stubborn::default());
    let server = Setup { shards: 2, observer: stubborn.clone(), ..Setup::default() }.start();
    server.control(async |fleet| {
        let mut client = server.tcp();
        let asked = thread::spawn(move || client.allocate());
        stubborn.wait_until_stuck();
        assert!(timeout(Duration::from_millis(300), fleet.beat()).await.is_err());
        assert!(timeout(Duration::from_millis(100), fleet.inspect(|_| ())).await.is_err());
        assert!(fleet.is_running(), "it has not ended, it hangs");
        stubborn.let_go();
        timeout(Duration::from_secs(10), fleet.beat()).await.unwrap().unwrap();
        asked.join().unwrap();
    });
}

#[test]
fn shard_that_has_ended_is_an_error_and_wakes_whoever_watches() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    server.control(async |fleet| {
        let watch = timeout(Duration::from_secs(10), fleet.ended());
        let (watched, stopped) = tokio::join!(watch, async { fleet.stop() });
        watched.unwrap();
        stopped.unwrap();
        assert!(!fleet.is_running());
        fleet.beat().await.unwrap_err();
        fleet.inspect(|_| ()).await.unwrap_err();
        fleet.apply(server.settings.clone()).await.unwrap_err();
        let id = AllocationId { shard: ShardId(0), serial: 1 };
        fleet.end_allocation(id).await.unwrap_err();
    });
}

#[test]
fn handshakes_are_measured() {
    let journal = Arc::new(Journal::default());
    let transports = vec![Transport::Udp, Transport::Tls, Transport::Dtls];
    let server = Setup { transports, observer: journal.clone(), ..Setup::default() }.start();
    assert!(server.tls().binds());
    Session::begin(server.address).connected();
    let measured = journal.handshakes();
    assert_eq!(measured.len(), 2, "{measured:?}");
    for transport in [Transport::Tls, Transport::Dtls] {
        let (_, took) = *measured.iter().find(|(which, _)| *which == transport).unwrap();
        assert!(took > Duration::ZERO && took < Duration::from_secs(10), "{took:?}");
    }
}

/// The answers can be awaited by a task that moves between threads.
#[test]
fn what_is_asked_is_send() {
    fn is_send<T: Send>(_: &T) {}
    fn all(fleet: &Fleet) {
        is_send(&fleet.apply(turn_engine::Settings::default()));
        is_send(&fleet.inspect(|engine| engine.allocations()));
        is_send(&fleet.end_allocation(AllocationId { shard: ShardId(0), serial: 0 }));
        is_send(&fleet.end_allocations_of(turn_engine::RealmId(0), "ann"));
        is_send(&fleet.beat());
        is_send(&fleet.ended());
    }
    let _ = all;
}

fn end(server: &Server, id: AllocationId) -> bool {
    server.control(async |fleet| fleet.end_allocation(id).await).unwrap()
}

/// Remembers what it hears.
#[derive(Debug, Default)]
struct Journal {
    created: Mutex<Vec<AllocationId>>,
    handshakes: Mutex<Vec<(Transport, Duration)>>,
    limits: Mutex<Vec<&'static str>>,
}

impl Journal {
    fn created(&self) -> Vec<AllocationId> {
        self.created.lock().unwrap().clone()
    }

    fn limits(&self) -> Vec<&'static str> {
        self.limits.lock().unwrap().clone()
    }

    fn handshakes(&self) -> Vec<(Transport, Duration)> {
        self.handshakes.lock().unwrap().clone()
    }
}

impl Observer for Journal {
    fn report(&self, _: ShardId, report: Report) {
        match report {
            Report::Created { id, .. } => self.created.lock().unwrap().push(id),
            Report::LimitReached { key, .. } => self.limits.lock().unwrap().push(key),
            Report::Ended { .. }
            | Report::AuthFailed { .. }
            | Report::Refused { .. }
            | Report::PeerDenied { .. } => {}
        }
    }

    fn handshake(&self, _: ShardId, transport: Transport, took: Duration) {
        self.handshakes.lock().unwrap().push((transport, took));
    }
}

/// Holds the thread of a shard that reports, as an observer must not.
#[derive(Debug, Default)]
struct Stubborn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Quiet,
    Stuck,
    Free,
}

impl Stubborn {
    fn wait_until_stuck(&self) {
        let state = self.state.lock().unwrap();
        let longest = Duration::from_secs(10);
        let is_quiet = |state: &mut State| *state == State::Quiet;
        let (state, waited) = self.changed.wait_timeout_while(state, longest, is_quiet).unwrap();
        assert!(!waited.timed_out(), "{state:?}");
    }

    fn let_go(&self) {
        *self.state.lock().unwrap() = State::Free;
        self.changed.notify_all();
    }
}

impl Observer for Stubborn {
    fn report(&self, _: ShardId, _: Report) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Quiet {
            *state = State::Stuck;
            self.changed.notify_all();
        }
        // Bounded, so that a broken test ends.
        let longest = Duration::from_secs(10);
        let is_stuck = |state: &mut State| *state == State::Stuck;
        drop(self.changed.wait_timeout_while(state, longest, is_stuck));
    }
}
