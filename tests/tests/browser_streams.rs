//! Chromium behind a firewall that lets only TCP or TLS through: relay only, over `turn:` with TCP
//! and over `turns:`, whose certificate it verifies.

use std::time::Duration;

use turn_tests::foreign::{Call, CallReport, Scenario};
use turn_tests::lab::ice_servers_at;
use turn_tests::system::{Site, Terms};

/// What the data channel carries each way.
const MEBIBYTE: u32 = 1 << 20;

const MEDIA: Scenario = Scenario::Media { duration: Duration::from_secs(10) };

#[test]
fn chromium_data_channel_over_tcp_carries_a_mebibyte_each_way_unchanged() {
    let site = site();
    expect_data(&call(&site, "turn", Scenario::DataChannel { bytes: MEBIBYTE }).run(), "tcp");
    expect_clean_stop(site);
}

#[test]
fn chromium_data_channel_over_tls_carries_a_mebibyte_each_way_unchanged() {
    let site = site();
    let call = call(&site, "turns", Scenario::DataChannel { bytes: MEBIBYTE });
    expect_data(&call.trusting(&site.authority().pem()).run(), "tls");
    expect_clean_stop(site);
}

#[test]
fn chromium_audio_and_video_flow_over_tcp_for_ten_seconds() {
    let site = site();
    expect_media(&call(&site, "turn", MEDIA).run());
    expect_clean_stop(site);
}

#[test]
fn chromium_audio_and_video_flow_over_tls_for_ten_seconds() {
    let site = site();
    expect_media(&call(&site, "turns", MEDIA).trusting(&site.authority().pem()).run());
    expect_clean_stop(site);
}

#[test]
fn chromium_finds_no_relay_behind_a_certificate_that_it_does_not_trust() {
    let site = site();
    let report = call(&site, "turns", Scenario::Gather).run();
    assert!(report.caller.candidates.is_empty(), "{report:#?}");
    assert!(!report.caller.candidate_errors.is_empty(), "{report:#?}");
    // It is the certificate and nothing else.
    let call = call(&site, "turns", Scenario::Gather).trusting(&site.authority().pem());
    let report = call.run();
    let kinds = report.caller.candidates.iter().map(|candidate| candidate.kind.as_str());
    assert_eq!(kinds.collect::<Vec<_>>(), ["relay"], "{report:#?}");
}

/// Two shards: the two sides may meet on one or on both, and neither may matter.
fn site() -> Site {
    Site::start(&Terms { shards: 2, ..Terms::default() })
}

fn call(site: &Site, scheme: &str, scenario: Scenario) -> Call {
    let url = format!("{scheme}:{}?transport=tcp", site.address());
    Call::new(&ice_servers_at(&url, "ann", "secret"), scenario)
}

#[track_caller]
fn expect_data(report: &CallReport, relay_protocol: &str) {
    report.expect_relayed();
    report.expect_same_hashes();
    for side in report.sides() {
        assert_eq!(side.payload_received, u64::from(MEBIBYTE), "{report:#?}");
        let selected = side.selected.as_ref().and_then(|pair| pair.local.relay_protocol.clone());
        assert_eq!(selected.as_deref(), Some(relay_protocol), "{report:#?}");
    }
}

#[track_caller]
fn expect_media(report: &CallReport) {
    report.expect_relayed();
    for side in report.sides() {
        // Audio alone is some 4 kB a second; most of it is video.
        assert!(side.payload_received > 200_000, "{report:#?}");
        assert!(side.longest_standstill_ms < 1_000.0, "{report:#?}");
    }
}

/// Not only the browsers say so.
fn expect_clean_stop(site: Site) {
    let stopped = site.stop("TERM");
    assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
    let counters = &stopped.counters;
    assert!(counters.get("relayed_inside").is_some_and(|&count| count > 0), "{counters:?}");
    assert_eq!(counters.get("stream_frames_dropped"), None, "{counters:?}");
}
