//! A server that is to go while calls are on: it takes no new ones, lets the old ones end, and goes
//! then; or when its time is over; or when it is told twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use turn_tests::system::{Choir, Daemon, Drained};

const SECOND: Duration = Duration::from_secs(1);

/// When the first and the last of a hundred calls ends.
const FIRST: Duration = SECOND;
const LAST: Duration = Duration::from_secs(12);

/// How often each call sends a message, which comes back.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long the server may take to see that the last call is over.
const END: Duration = Duration::from_secs(2);

#[test]
fn r19_a_drain_lets_a_hundred_calls_end_and_goes_with_the_last() {
    Drained::start("").ends_with_its_calls(FIRST, LAST);
}

#[test]
fn r19_a_drain_ends_at_its_deadline_with_calls_still_on() {
    let drained = Drained::start("deadline = \"3s\"");
    let mut choir = Choir::new(drained.server(), 10);
    let start = Instant::now();
    drained.daemon().signal("USR1");
    drained.takes_no_new_calls(start);
    let sung = choir.sing_for(Duration::from_millis(1_500), INTERVAL);
    assert_eq!(sung.lost, 0, "{sung:?}");
    drained.expect_end(4 * SECOND);
    let took = start.elapsed();
    assert!(took >= 3 * SECOND && took < 5 * SECOND, "{took:?}");
}

#[test]
fn r19_a_drain_goes_when_few_enough_calls_are_left() {
    let drained = Drained::start("min_allocations = 3");
    let mut choir = Choir::new(drained.server(), 5);
    drained.daemon().signal("USR1");
    drained.takes_no_new_calls(Instant::now());
    assert_eq!(choir.sing_for(SECOND, INTERVAL).lost, 0);
    choir.leave();
    choir.leave();
    drained.expect_end(END);
}

#[test]
fn r19_a_second_signal_ends_a_drain_at_once() {
    let drained = Drained::start("on_term = \"60s\"");
    let mut choir = Choir::new(drained.server(), 5);
    drained.daemon().signal("TERM");
    drained.takes_no_new_calls(Instant::now());
    assert_eq!(choir.sing_for(SECOND, INTERVAL).lost, 0);
    let stopped = drained.stop("TERM");
    assert!(stopped.exit == Some(0) && stopped.took < SECOND, "{stopped:?}");

    let drained = Drained::start("");
    let choir = Choir::new(drained.server(), 5);
    drained.daemon().signal("USR1");
    drained.takes_no_new_calls(Instant::now());
    let stopped = drained.stop("INT");
    assert!(stopped.exit == Some(0) && stopped.took < SECOND, "{stopped:?}");
    drop(choir);
}

#[test]
fn r19_waiting_for_a_drain_lasts_until_the_server_is_gone() {
    let drained = Drained::start("");
    let mut choir = Choir::new(drained.server(), 3);
    let socket = drained.socket().display().to_string();
    let waiting = std::thread::spawn(move || Daemon::run(["drain", "--wait", "--socket", &socket]));
    drained.takes_no_new_calls(Instant::now());
    assert_eq!(choir.sing_for(SECOND, INTERVAL).lost, 0);
    assert!(!waiting.is_finished(), "calls are on");
    while choir.size() > 0 {
        choir.leave();
    }
    drained.expect_end(END);
    let waited = waiting.join().unwrap();
    assert_eq!(waited.exit, Some(0), "{}", waited.output);
}
