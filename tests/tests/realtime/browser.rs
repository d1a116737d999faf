//! A call that outlives what it was made with: nonces, and the time-limited credentials of both
//! sides. It waits for a real clock and runs beside the other tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Credentials};
use turn_codec::{Method, StatusCode};
use turn_config::Shards;
use turn_credentials::{CLOCK_SKEW_GRACE, UnixSeconds, mint};
use turn_tests::foreign::{Call, CallReport, Scenario};
use turn_tests::lab::{self, ice_servers};
use turn_tests::system::{Scripted, connect};

const SECRET: &str = "shared";

/// Beyond the 300 s of a permission: without the success after the 438 the call would end.
const CALL: Duration = Duration::from_secs(330);

/// When both credentials have expired, from the start of the test. Until then both browsers must have
/// come up, on a machine that does other tests meanwhile.
const EXPIRY: u64 = 60;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What Chromium refreshes its channels and permissions with: its answers so far.
#[derive(Debug, Clone, Copy)]
struct Answers {
    /// 438 to ChannelBind or CreatePermission.
    stale: u64,
    /// Success to either.
    success: u64,
}

#[test]
fn realtime_chromium_call_outlives_its_nonces_and_credentials() {
    let mut config = lab::config_with_secret(SECRET);
    config.auth.nonce_lifetime = Duration::from_secs(10);
    config.shards = Shards::Count(2);
    let server = Scripted::start(&config);

    let start = unix_now();
    let secret = SECRET.as_bytes();
    let (caller, caller_password) = mint(secret, Some("caller"), UnixSeconds(start + EXPIRY), ':');
    // The grace for clocks that differ is over for this one, so that it is truly dead.
    let expiry = UnixSeconds(start + EXPIRY - CLOCK_SKEW_GRACE);
    let (callee, callee_password) = mint(secret, Some("callee"), expiry, ':');
    let servers = ice_servers(server.address(), &caller, &caller_password);
    let call = Call::new(&servers, Scenario::Media { duration: CALL })
        .callee_ice_servers(&ice_servers(server.address(), &callee, &callee_password));

    let call = thread::spawn(move || call.run());
    while unix_now() <= start + EXPIRY {
        thread::sleep(LOOK);
    }
    let at_expiry = answers(&server);
    // What was answered right before the first 438 that came after the expiry.
    let mut before = at_expiry;
    while !call.is_finished() {
        let now = answers(&server);
        if now.stale == at_expiry.stale {
            before = now;
        }
        thread::sleep(LOOK);
    }
    let at_end = answers(&server);
    let report = join(call);

    report.expect_relayed();
    for side in report.sides() {
        assert!(side.longest_gap_ms < 1_000.0, "{report:#?}");
    }
    // Each side has refreshed at least once, was told 438, and then passed.
    let counters = server.counters();
    assert!(at_end.stale >= at_expiry.stale + 2, "{at_expiry:?} {at_end:?} {counters:?}");
    assert!(at_end.success >= before.success + 2, "{before:?} {at_end:?} {counters:?}");

    // The credential is as dead as it should be: nothing new is made with it.
    let credentials = Credentials::password(callee, callee_password.as_str());
    let mut late = connect(server.address(), credentials);
    let error = late.allocate(&AllocateOptions::default()).unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::UNAUTHENTICATED), "{error:?}");
}

fn answers(server: &Scripted) -> Answers {
    let both = |code| {
        [Method::CHANNEL_BIND, Method::CREATE_PERMISSION]
            .map(|method| server.responses(method, code))
            .iter()
            .sum()
    };
    Answers { stale: both(438), success: both(200) }
}

/// The report, or the panic of the call's own thread.
fn join(call: thread::JoinHandle<CallReport>) -> CallReport {
    match call.join() {
        Ok(report) => report,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
