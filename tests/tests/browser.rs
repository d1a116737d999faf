//! Two Chromium processes that may use nothing but our relay. The peers of a call are each other's
//! relayed addresses, so all of it goes from one allocation to another inside the server.

use std::time::Duration;

use turn_codec::Method;
use turn_config::{Config, Shards};
use turn_tests::foreign::{Call, Scenario};
use turn_tests::lab::{self, ice_servers};
use turn_tests::system::Scripted;

/// What the data channel carries each way.
const MEBIBYTE: u32 = 1 << 20;

#[test]
fn chromium_data_channel_carries_a_mebibyte_each_way_unchanged() {
    let server = Scripted::start(&ann());
    let servers = ice_servers(server.address(), "ann", "secret");
    let report = Call::new(&servers, Scenario::DataChannel { bytes: MEBIBYTE }).run();
    report.expect_relayed();
    report.expect_same_hashes();
    let all = u64::from(MEBIBYTE);
    for side in report.sides() {
        // What getStats tells of bytes lags behind the data channel.
        assert!(side.bytes_received > 0 && side.bytes_sent > 0, "{report:#?}");
        assert_eq!(side.payload_received, all, "{report:#?}");
        let selected = side.selected.as_ref().and_then(|pair| pair.local.relay_protocol.clone());
        assert_eq!(selected.as_deref(), Some("udp"), "{report:#?}");
    }
    // Not only the browsers say so.
    assert!(server.counter("relayed_up_bytes") > 2 * all, "{:?}", server.counters());
    assert!(server.counter("relayed_inside") > 0, "{:?}", server.counters());
    assert!(server.responses(Method::CHANNEL_BIND, 200) >= 2, "{:?}", server.counters());
}

#[test]
fn chromium_audio_and_video_flow_both_ways_for_ten_seconds() {
    let server = Scripted::start(&ann());
    let servers = ice_servers(server.address(), "ann", "secret");
    let duration = Duration::from_secs(10);
    let report = Call::new(&servers, Scenario::Media { duration }).run();
    report.expect_relayed();
    for side in report.sides() {
        // Audio alone is some 4 kB a second; most of it is video.
        assert!(side.payload_received > 200_000, "{report:#?}");
        assert!(side.longest_standstill_ms < 1_000.0, "{report:#?}");
    }
}

#[test]
fn chromium_finds_no_relay_with_a_wrong_credential() {
    let server = Scripted::start(&ann());
    let report = Call::new(&ice_servers(server.address(), "ann", "wrong"), Scenario::Gather).run();
    assert!(report.caller.candidates.is_empty(), "{report:#?}");
    let codes: Vec<u16> = report.caller.candidate_errors.iter().map(|error| error.code).collect();
    assert_eq!(codes.first(), Some(&401), "{report:#?}");
    assert_eq!(server.counter("allocations_created"), 0);
}

/// Two shards: the two sides may meet on one or on both, and neither may matter.
fn ann() -> Config {
    let mut config = lab::config_with_user("ann", "secret");
    config.shards = Shards::Count(2);
    config
}
