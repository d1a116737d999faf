//! The resolver as its callers see it, on stores that do as they are told and a virtual clock.

#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::fake::{Fake, Log, Mode, REALM, Told as _};
use super::{Answer, Options, Resolver};
use crate::{Catalog, Store};

#[tokio::test(start_paused = true)]
async fn one_question_serves_all_who_ask_it() {
    let store = Fake::new("a").with("ann").taking(millis(50));
    let resolver = start(&[&store], Options::default());
    let answers: Vec<_> = (0..100).map(|_| ask(&resolver, "ann")).collect();
    for answer in answers {
        assert_eq!(told(answer).await, "ann of a");
    }
    assert_eq!(store.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_found_user_is_remembered_for_ten_seconds_and_an_unknown_one_for_five() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(find(&resolver, "eve").await, "unknown");
    sleep(millis(4_900)).await;
    assert_eq!((find(&resolver, "eve").await, store.asked()), ("unknown".into(), 2));
    sleep(millis(200)).await;
    assert_eq!((find(&resolver, "eve").await, store.asked()), ("unknown".into(), 3));
    sleep(millis(4_800)).await;
    assert_eq!((find(&resolver, "ann").await, store.asked()), ("ann of a".into(), 3));
    sleep(millis(200)).await;
    assert_eq!((find(&resolver, "ann").await, store.asked()), ("ann of a".into(), 4));
    assert_eq!(resolver.health()[0].cached, 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_makes_nobody_unknown() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    settle().await;
    store.set(Mode::Failing);
    assert_eq!(find(&resolver, "ann").await, "unavailable");
    store.set(Mode::Good);
    assert_eq!(find(&resolver, "ann").await, "ann of a", "a failure is not remembered");
    let health = &resolver.health()[0];
    assert_eq!((health.looked_up, health.failed, health.is_up), (2, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_in_time() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    settle().await;
    store.set(Mode::Hanging);
    let start = Instant::now();
    assert_eq!(find(&resolver, "ann").await, "unavailable");
    assert_eq!(start.elapsed(), millis(800));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_nobodys() {
    let store = Fake::new("a").with("ann").taking(millis(900));
    let resolver = start(&[&store], Options::default());
    assert_eq!(find(&resolver, "ann").await, "unavailable");
    sleep(millis(2_000)).await;
    store.set(Mode::Good);
    store.take(Duration::ZERO);
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(store.asked(), 2, "what came late was not remembered");
}

#[tokio::test(start_paused = true)]
async fn the_first_store_that_knows_a_user_wins() {
    let (a, b) = (Fake::new("a").with("ann"), Fake::new("b").with("ann").with("bob"));
    let resolver = start(&[&a, &b], Options::default());
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(find(&resolver, "bob").await, "bob of b");
    assert_eq!(find(&resolver, "eve").await, "unknown");
    assert_eq!((a.asked(), b.asked()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn users_of_one_store_outlive_another() {
    let (a, b) = (Fake::new("a").with("ann"), Fake::new("b").with("bob"));
    let options = Options { poll_every: Duration::from_secs(3600), ..Options::default() };
    let resolver = start(&[&a, &b], options);
    settle().await;
    a.set(Mode::Hanging);
    let start = Instant::now();
    assert_eq!(find(&resolver, "bob").await, "bob of b");
    assert_eq!(start.elapsed(), millis(400), "each store has its share of the time");
    assert_eq!(find(&resolver, "eve1").await, "unavailable");
    assert_eq!(find(&resolver, "eve2").await, "unavailable");
    assert!(!resolver.health()[0].is_up);
    // It is down now: one question at a time tries it, the others do not wait.
    resolver.forget(REALM, "bob");
    let (trial, start) = (ask(&resolver, "eve3"), Instant::now());
    assert_eq!(find(&resolver, "bob").await, "bob of b");
    assert_eq!(find(&resolver, "eve4").await, "unavailable");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(told(trial).await, "unavailable");
    // And the first question after its return finds it.
    a.set(Mode::Good);
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(find(&resolver, "eve5").await, "unknown");
    assert!(resolver.health()[0].is_up);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_makes_no_sense_is_no_outage() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    settle().await;
    store.set(Mode::Malformed);
    for user in ["u1", "u2", "u3", "u4"] {
        assert_eq!(find(&resolver, user).await, "unavailable");
    }
    assert!(resolver.health()[0].is_up);
    store.set(Mode::Good);
    assert_eq!(find(&resolver, "ann").await, "ann of a");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_asked_again() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(find(&resolver, "bob").await, "unknown");
    store.remove("ann");
    store.add("bob");
    resolver.forget(REALM, "ann");
    resolver.forget(REALM, "bob");
    assert_eq!(find(&resolver, "ann").await, "unknown");
    assert_eq!(find(&resolver, "bob").await, "bob of a");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_under_way_does_not_bring_what_was_forgotten() {
    let store = Fake::new("a").with("ann").taking(millis(300));
    let resolver = start(&[&store], Options::default());
    let (answer, start) = (ask(&resolver, "ann"), Instant::now());
    sleep(millis(200)).await;
    // The store has read its row by now.
    store.remove("ann");
    resolver.forget(REALM, "ann");
    assert_eq!(told(answer).await, "unknown");
    assert_eq!(start.elapsed(), millis(500));
    assert_eq!((find(&resolver, "ann").await, store.asked()), ("unknown".into(), 2));
}

#[tokio::test(start_paused = true)]
async fn other_stores_are_asked_at_once() {
    let (a, b) = (Fake::new("a").with("ann").taking(millis(300)), Fake::new("b").with("ann"));
    let resolver = start(&[&a], Options::default());
    let answer = ask(&resolver, "ann");
    sleep(millis(100)).await;
    resolver.replace(vec![b.clone()]);
    assert_eq!(told(answer).await, "ann of b");
    resolver.replace(vec![a.clone()]);
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    resolver.replace(Vec::new());
    assert_eq!(find(&resolver, "ann").await, "unavailable");
    assert_eq!(resolver.health(), []);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_names_is_bounded_and_regulars_get_through() {
    let store = Fake::new("a").with("ann").taking(millis(20));
    let resolver = start(&[&store], Options { found_for: millis(100), ..Options::default() });
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    sleep(millis(200)).await;
    let start = Instant::now();
    let strangers: Vec<_> =
        (0..10_000).map(|number| ask(&resolver, &format!("stranger{number}"))).collect();
    assert_eq!(find(&resolver, "ann").await, "ann of a");
    assert_eq!(start.elapsed(), millis(20), "a name that was found before has its own room");
    let mut unknown = 0;
    for stranger in strangers {
        match told(stranger).await.as_str() {
            "unknown" => unknown += 1,
            answer => assert_eq!(answer, "unavailable"),
        }
    }
    assert!(start.elapsed() <= millis(800), "{:?}", start.elapsed());
    assert_eq!(unknown, 48 + 768, "asked at once and waiting, but for the regulars' quarter");
    assert_eq!(store.most_at_once(), 48 + 1);
}

#[tokio::test(start_paused = true)]
async fn callers_beyond_the_bound_are_answered_at_once() {
    let store = Fake::new("a").with("ann").taking(millis(100));
    let resolver = start(&[&store], Options { callers: 10, ..Options::default() });
    let answers: Vec<_> = (0..15).map(|_| ask(&resolver, "ann")).collect();
    let mut told_of = Vec::new();
    for answer in answers {
        told_of.push(told(answer).await);
    }
    assert_eq!(told_of.iter().filter(|told| *told == "ann of a").count(), 10);
    assert_eq!(told_of.iter().filter(|told| *told == "unavailable").count(), 5);
    assert_eq!(find(&resolver, "ann").await, "ann of a", "the count goes down again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_a_store_that_fails() {
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    settle().await;
    store.set(Mode::Panicking);
    assert_eq!(find(&resolver, "ann").await, "unavailable");
    sleep(Duration::from_secs(7)).await;
    assert!(!resolver.health()[0].is_up, "its catalogue cannot be read");
    store.set(Mode::Good);
    assert_eq!(find(&resolver, "ann").await, "ann of a");
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_it_ends_gets_an_answer() {
    let store = Fake::new("a").taking(millis(500));
    let (resolver, desk) =
        Resolver::assemble(vec![store.clone()], Options::default(), Handle::current());
    let desk = tokio::spawn(desk);
    let answer = ask(&resolver, "ann");
    sleep(millis(10)).await;
    drop(resolver);
    desk.await.unwrap();
    assert_eq!(told(answer).await, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn the_first_catalogue_is_that_of_all_stores() {
    let (a, b) = (Fake::new("a").taking(millis(300)), Fake::new("b"));
    a.secret("first");
    b.secret("second");
    let resolver = start(&[&a, &b], Options::default());
    let mut catalog = resolver.catalog();
    let start = Instant::now();
    catalog.changed().await.unwrap();
    assert_eq!(start.elapsed(), millis(300));
    assert_eq!(secrets(&catalog.borrow_and_update()), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn the_start_does_not_wait_for_a_store_that_is_down() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    a.set(Mode::Hanging);
    b.secret("second");
    let resolver = start(&[&a, &b], Options::default());
    let mut catalog = resolver.catalog();
    let start = Instant::now();
    catalog.changed().await.unwrap();
    assert_eq!(start.elapsed(), millis(800));
    assert_eq!(secrets(&catalog.borrow_and_update()), ["second"]);
    // An empty one counts too.
    let resolver = self::start(&[&Fake::new("c")], Options::default());
    resolver.catalog().changed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_catalogue_stays_through_an_outage() {
    let store = Fake::new("a");
    store.secret("first");
    let resolver = start(&[&store], Options::default());
    let mut catalog = resolver.catalog();
    catalog.changed().await.unwrap();
    catalog.borrow_and_update();
    store.set(Mode::Hanging);
    sleep(Duration::from_secs(600)).await;
    assert!(!catalog.has_changed().unwrap());
    assert!(!resolver.health()[0].is_up);
    store.secret("second");
    store.set(Mode::Good);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(secrets(&catalog.borrow_and_update()), ["first", "second"]);
    assert!(resolver.health()[0].is_up);
    resolver.replace(Vec::new());
    settle().await;
    assert_eq!(**catalog.borrow_and_update(), Catalog::default());
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_catalogue_of_a_store_that_stays() {
    let store = Fake::new("a");
    store.secret("first");
    let resolver = start(&[&store], Options::default());
    let mut catalog = resolver.catalog();
    catalog.changed().await.unwrap();
    catalog.borrow_and_update();
    store.set(Mode::Failing);
    resolver.replace(vec![store.clone(), Fake::new("b")]);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(secrets(&catalog.borrow()), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_hears_once_of_an_outage_and_once_of_its_end() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let store = Fake::new("a").with("ann");
    let resolver = start(&[&store], Options::default());
    settle().await;
    store.set(Mode::Failing);
    for _ in 0..100 {
        assert_eq!(find(&resolver, "ann").await, "unavailable");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(log.levels(), [tracing::Level::WARN]);
    store.set(Mode::Good);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(log.levels(), [tracing::Level::WARN, tracing::Level::INFO]);
}

#[test]
fn the_real_thread_answers_and_ends() {
    let store = Fake::new("a").with("ann");
    let resolver = Resolver::start(vec![store.clone()], Options::default()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    resolver.find(REALM, "ann", move |answer| sender.send(text(&answer)).unwrap());
    assert_eq!(receiver.recv_timeout(Duration::from_secs(5)).unwrap(), "ann of a");
    drop(resolver);
    assert_eq!(Arc::strong_count(&store), 1, "the thread has let go of it");
}

fn start(stores: &[&Arc<Fake>], options: Options) -> Resolver {
    let stores = stores.iter().map(|store| Arc::clone(store) as Arc<dyn Store>).collect();
    let (resolver, desk) = Resolver::assemble(stores, options, Handle::current());
    tokio::spawn(desk);
    resolver
}

fn ask(resolver: &Resolver, user: &str) -> oneshot::Receiver<Answer> {
    let (sender, receiver) = oneshot::channel();
    resolver.find(REALM, user, move |answer| sender.send(answer).unwrap());
    receiver
}

async fn told(answer: oneshot::Receiver<Answer>) -> String {
    text(&answer.await.unwrap())
}

async fn find(resolver: &Resolver, user: &str) -> String {
    told(ask(resolver, user)).await
}

/// Lets the other tasks do what they can do now.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn text(answer: &Answer) -> String {
    match answer {
        Answer::Found(user) => user.label.clone().unwrap(),
        Answer::Unknown => "unknown".to_owned(),
        Answer::Unavailable => "unavailable".to_owned(),
    }
}

fn secrets(catalog: &Catalog) -> Vec<String> {
    let realm = &catalog.realms[REALM];
    realm.secrets.iter().map(|secret| secret.to_string()).collect()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
