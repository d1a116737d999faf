//! The life of a managed credential: made, used, disabled, enabled, bounded, expired, deleted.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use turn_client::{AllocateOptions, TlsOptions};
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Canary, Choir, Flow, HttpRequest, IceServer, Offer, Way, channel, connect, user,
};

use crate::{Keeper, SECOND, code, labelled, number, text};

const INTERVAL: Duration = Duration::from_millis(5);

#[test]
fn disabling_ends_live_allocations_within_a_second_and_costs_nobody_else_a_packet() {
    let keeper = Keeper::start("");
    let doomed = keeper.create(&labelled("shop"));
    let spared = keeper.create(&labelled("shop"));
    let canaries = [(); 2].map(|()| Canary::on(SocketAddr::new(IPV4, 0)));
    let mut clients = [keeper.client(&doomed), keeper.client_tcp(&doomed)];
    for (client, canary) in clients.iter_mut().zip(&canaries) {
        client.allocate(&AllocateOptions::default()).unwrap();
        client.bind_channel(channel(0), canary.address()).unwrap();
    }
    let mut static_users = Choir::of(10, || connect(keeper.server, user()));
    let mut managed_users = Choir::of(10, || keeper.client(&spared));
    let (sung, told, last, answered) = thread::scope(|scope| {
        let singing = [&mut static_users, &mut managed_users]
            .map(|choir| scope.spawn(move || choir.sing_for(4 * SECOND, SECOND / 50)));
        let telling = scope.spawn(|| {
            thread::sleep(SECOND);
            let begin = Instant::now();
            (begin, keeper.tell(&doomed, "disable"), begin.elapsed())
        });
        // Of each client, when a message reached its peer last.
        let (start, mut last) = (Instant::now(), [Instant::now(); 2]);
        while start.elapsed() < 3 * SECOND {
            for ((client, canary), last) in clients.iter_mut().zip(&canaries).zip(&mut last) {
                client.send_channel(channel(0), b"media").unwrap();
                *last = if canary.count() > 0 { Instant::now() } else { *last };
            }
            thread::sleep(INTERVAL);
        }
        let (begin, told, answered) = telling.join().unwrap();
        let last = last.map(|last| last.saturating_duration_since(begin));
        (singing.map(|singing| singing.join().unwrap()), told, last, answered)
    });
    eprintln!("told after {answered:?}, the last messages after {last:?}, others: {sung:?}");
    assert_eq!(number(&told, "ended_allocations"), 2, "{told}");
    assert_eq!(told.get("disabled"), Some(&Value::Bool(true)), "{told}");
    assert!(answered < SECOND && last.iter().all(|last| *last < SECOND), "{answered:?} {last:?}");
    for sung in sung {
        assert!(sung.lost == 0 && sung.sent > 1_000, "{sung:?}");
    }
    for client in &mut clients {
        let gone = code(client.refresh(600 * SECOND));
        assert!(matches!(gone, Some(401 | 437)), "{gone:?}");
    }
    assert_eq!(keeper.refusal(&doomed), Some(401));
    assert_eq!(keeper.refusal(&spared), None);

    let told = keeper.tell(&doomed, "enable");
    assert_eq!(told.get("disabled"), Some(&Value::Bool(false)), "{told}");
    let (mut client, _) = keeper.allocated(&doomed);
    client.bind_channel(channel(0), canaries[0].address()).unwrap();

    let path = format!("/api/v1/credentials/{}", doomed.username);
    let start = Instant::now();
    let deleted = keeper.ask(&HttpRequest::new("DELETE", &path));
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(number(&deleted.json(), "ended_allocations"), 1, "{deleted:?}");
    let gone = code(client.refresh(600 * SECOND));
    assert!(gone.is_some() && start.elapsed() < SECOND, "{gone:?} {:?}", start.elapsed());
    assert_eq!(keeper.refusal(&doomed), Some(401));
    for (method, path) in [
        ("GET", path.clone()),
        ("GET", format!("{path}/ice-servers")),
        ("POST", format!("{path}/disable")),
        ("POST", format!("{path}/enable")),
        ("DELETE", path),
    ] {
        let answer = keeper.ask(&HttpRequest::new(method, &path));
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    let names = names(&keeper, "limit=1000");
    assert_eq!(names, [spared.username], "{names:?}");
}

#[test]
fn its_ice_servers_work_in_a_client_whenever_they_are_asked_for() {
    let keeper = Keeper::start("");
    let made = keeper.ask(&HttpRequest::post("/api/v1/credentials", &json!({ "ttl": 600 })));
    assert_eq!(made.status, 201, "{made:?}");
    let name = text(&made.json(), "username").unwrap();
    let path = format!("/api/v1/credentials/{name}/ice-servers");
    let (w3c, array) = (keeper.get(&path), keeper.get(&format!("{path}?format=array")));
    for servers in [made.json().get("iceServers"), w3c.get("iceServers"), Some(&array)] {
        let servers = IceServer::read_all(servers.unwrap());
        // Over UDP and over TCP.
        assert_eq!(IceServer::expect_all(&servers, &no_tls()), 2, "{servers:?}");
        assert!(
            servers.iter().any(|server| server.urls.iter().any(|url| url.starts_with("stun:")))
        );
    }
    assert!((1..=600).contains(&number(&w3c, "ttl")), "{w3c}");
    let again = keeper.again("KILL");
    let servers = IceServer::read_all(&again.get(&format!("{path}?format=array")));
    assert_eq!(IceServer::expect_all(&servers, &no_tls()), 2, "{servers:?}");
    // Nobody else is told the password.
    let one = again.get(&format!("/api/v1/credentials/{name}"));
    let all = again.get("/api/v1/credentials");
    for shown in [one.to_string(), all.to_string(), again.daemon.output()] {
        let password = servers.iter().find_map(|server| server.credential.clone()).unwrap();
        assert!(!shown.contains(&password), "{shown}");
    }
}

#[test]
fn limits_of_its_own_hold_for_it_alone() {
    let keeper = Keeper::start("");
    let limits = json!({ "allocations": 2, "bandwidth": 125_000 });
    let bound = keeper.create(&json!({ "label": "shop", "limits": limits }));
    let free = keeper.create(&labelled("shop"));
    let flow = Flow::new(keeper.client(&bound));
    let (mut second, _) = keeper.allocated(&bound);
    assert_eq!(keeper.refusal(&bound), Some(486));
    let held: Vec<_> = (0..4).map(|_| keeper.allocated(&free)).collect();
    assert_eq!(held.len(), 4);
    second.refresh(Duration::ZERO).unwrap();
    let (_second, _) = keeper.allocated(&bound);
    assert_eq!(keeper.refusal(&bound), Some(486));

    let (mut flow, mut other) = (flow, Flow::new(keeper.client(&free)));
    let (much, modest) = (Duration::from_millis(6_500), Duration::from_millis(4_000));
    let (bound, free) = thread::scope(|scope| {
        let bound = scope.spawn(|| flow.carry(Way::Up, &Offer::new(4_000_000, much)));
        let free = scope.spawn(|| other.carry(Way::Up, &Offer::new(2_000_000, modest)));
        (bound.join().unwrap(), free.join().unwrap())
    });
    assert!((0.9..=1.1).contains(&bound.megabits), "{bound:?}");
    assert_eq!(free.arrived, free.offered, "{free:?}");
}

#[test]
fn its_end_lets_nobody_in_and_ends_no_call() {
    let keeper = Keeper::start("");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = now().as_secs() + 4;
    let short = keeper.create(&json!({ "expires_at": end }));
    let (mut client, _) = keeper.allocated(&short);
    thread::sleep(Duration::from_secs(end + 1).saturating_sub(now()));
    assert_eq!(keeper.refusal(&short), Some(401));
    client.refresh(600 * SECOND).unwrap();
}

#[test]
fn a_list_comes_in_pages_and_by_label() {
    let keeper = Keeper::start("");
    let mut shop: Vec<String> = (0..5).map(|_| keeper.create(&labelled("shop")).username).collect();
    let desk = keeper.create(&labelled("desk")).username;
    shop.sort();
    assert_eq!(names(&keeper, "label=shop"), shop);
    assert_eq!(names(&keeper, "label=desk"), std::slice::from_ref(&desk));
    assert!(names(&keeper, "label=nobody").is_empty());
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = keeper.get(&format!("/api/v1/credentials?limit=4{after}"));
        let of_page = page.get("credentials").and_then(Value::as_array).unwrap();
        assert!(of_page.len() <= 4);
        all.extend(of_page.iter().map(|one| text(one, "username").unwrap()));
        let Some(next) = text(&page, "next") else { break };
        after = format!("&after={next}");
    }
    let mut expected = [shop, vec![desk]].concat();
    expected.sort();
    assert_eq!(all, expected);
}

fn names(keeper: &Keeper, query: &str) -> Vec<String> {
    let page = keeper.get(&format!("/api/v1/credentials?{query}"));
    let listed = page.get("credentials").and_then(Value::as_array).unwrap();
    listed.iter().map(|one| text(one, "username").unwrap()).collect()
}

/// No URL of a server without certificates needs any.
fn no_tls() -> TlsOptions {
    TlsOptions::new("localhost", Vec::new())
}
