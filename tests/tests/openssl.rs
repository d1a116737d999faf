//! OpenSSL's client: TLS 1.2 and 1.3 and DTLS with a Binding exchange inside, certificates by name,
//! ALPN, and what has to be refused. And coturn's client over DTLS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use turn_tests::foreign::{EchoPeer, SClient, SClientReport, Uclient, free_port};
use turn_tests::lab::IPV4;
use turn_tests::system::{Authority, Daemon, KeyKind, PemFiles, Site, Terms};

/// Generous: a handshake takes some milliseconds; a lost datagram of DTLS costs a second.
const LIMIT: Duration = Duration::from_secs(15);

const SOON: Duration = Duration::from_secs(5);

/// A run of coturn's client that begins well takes some 5 s.
const TRY: Duration = Duration::from_secs(10);

#[test]
fn tls_1_2_and_1_3_serve_rsa_and_ecdsa_with_every_alpn_protocol_or_none() {
    for keys in [KeyKind::Rsa, KeyKind::Ecdsa] {
        let site = Site::start(&Terms { keys, ..Terms::default() });
        for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            for alpn in [None, Some("stun.turn"), Some("stun.nat-discovery"), Some("http/1.1")] {
                let mut client = verifying(&site).name(Site::NAME).flag(flag);
                if let Some(protocol) = alpn {
                    client = client.alpn(protocol);
                }
                let report = client.run(LIMIT);
                expect_exchange(&report);
                assert_eq!(report.version.as_deref(), Some(version), "{report:#?}");
                assert_eq!(report.alpn.as_deref(), alpn, "{report:#?}");
                assert!(report.verified, "{report:#?}");
                let signature = report.signature.as_deref().unwrap_or_default();
                assert_eq!(signature.contains("RSA"), keys == KeyKind::Rsa, "{report:#?}");
            }
        }
        // A browser offers more than one.
        let report = verifying(&site).alpn("h2,stun.nat-discovery,stun.turn").run(LIMIT);
        expect_exchange(&report);
        let agreed = report.alpn.as_deref();
        assert!(agreed.is_some_and(|protocol| protocol.starts_with("stun.")), "{report:#?}");
    }
}

#[test]
fn certificates_are_chosen_by_name_and_by_what_the_client_can_verify() {
    let directory = tempfile::TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let pairs = ["a.example", "b.example"]
        .map(|name| authority.leaf(&[name]).write_to(directory.path(), name));
    let port = free_port(IPV4);
    let toml = format!(
        "[[listen]]\naddress = \"{IPV4}:{port}\"\ntransports = [\"tls\"]\n\
         [relay]\naddresses = [\"{IPV4}\"]\n{}[lab]\nloopback_peers = true\n",
        PemFiles::table(&pairs)
    );
    let _server = Daemon::with_file(&toml);
    let file = authority.write_to(directory.path());
    let client = SClient::tls((IPV4, port).into()).trusting(&file);
    for (asked, served) in [
        (Some("a.example"), "a.example"),
        (Some("b.example"), "b.example"),
        (Some("c.example"), "a.example"),
        (None, "a.example"),
    ] {
        let client = match asked {
            Some(name) => client.clone().name(name),
            None => client.clone().flag("-noservername"),
        };
        let report = client.run(LIMIT);
        expect_exchange(&report);
        assert_eq!(report.subject.as_deref(), Some(served), "{asked:?}: {report:#?}");
    }
    // What the tests above rely on: the client does verify.
    let stranger = Authority::new(KeyKind::Ecdsa).write_to(directory.path());
    let report = SClient::tls((IPV4, port).into()).trusting(&stranger).run(SOON);
    assert_eq!((report.verified, report.reflexive), (false, None), "{report:#?}");
}

#[test]
fn h16_old_versions_compression_and_renegotiation_are_refused() {
    let site = Site::start(&Terms { keys: KeyKind::Rsa, ..Terms::default() });
    for flag in ["-tls1", "-tls1_1"] {
        let report = verifying(&site).flag(flag).option("-cipher", "ALL:@SECLEVEL=0").run(SOON);
        assert_eq!((&report.version, report.reflexive), (&None, None), "{flag}: {report:#?}");
    }
    let report = verifying(&site).flag("-tls1_2").flag("-comp").run(LIMIT);
    expect_exchange(&report);
    assert!(report.output.contains("Compression: NONE"), "{report:#?}");
    // A client that starts a second handshake gets none.
    let report = verifying(&site).flag("-tls1_2").renegotiate(SOON);
    assert!(report.version.is_some(), "{report:#?}");
    let refused = ["no renegotiation", "alert", "unexpected message"];
    let output = report.output.to_lowercase();
    assert!(refused.iter().any(|word| output.contains(word)), "{report:#?}");
    // The server goes on.
    expect_exchange(&verifying(&site).run(LIMIT));
}

#[test]
fn h16_tickets_resume_sessions_but_carry_no_early_data() {
    let site = Site::start(&Terms { shards: 2, ..Terms::default() });
    let session = site.directory().join("session.pem");
    let first = verifying(&site).flag("-tls1_3").option("-sess_out", &session).run(LIMIT);
    expect_exchange(&first);
    assert!(first.output.contains("Early data was not sent"), "{first:#?}");
    assert!(session.is_file(), "no ticket came: {first:#?}");
    let data = site.directory().join("early");
    std::fs::write(&data, turn_tests::system::binding_request(9)).unwrap();
    let again = verifying(&site).flag("-tls1_3").option("-sess_in", &session);
    let report = again.run(LIMIT);
    expect_exchange(&report);
    // Two shards share what tickets are sealed with.
    assert!(report.output.contains("\nReused, TLSv1.3"), "{report:#?}");
    let report = again.option("-early_data", &data).run(SOON);
    assert!(!report.output.contains("Early data was accepted"), "{report:#?}");
}

#[test]
fn dtls_completes_20_of_20_handshakes_with_an_exchange_inside() {
    let site = Site::start(&dtls());
    for handshake in 1..=20 {
        let file = site.directory().join("authority.pem");
        let report = SClient::dtls(site.address()).trusting(&file).run(LIMIT);
        expect_exchange(&report);
        assert_eq!(report.version.as_deref(), Some("TLSv1.2"), "{handshake}: {report:#?}");
        assert!(report.output.contains("DTLSv1.2"), "{handshake}: {report:#?}");
        assert!(report.verified, "{handshake}: {report:#?}");
    }
    // The same port serves plain STUN and TLS.
    expect_exchange(&verifying(&site).run(LIMIT));
}

#[test]
fn uclient_relays_over_dtls_within_ten_tries() {
    let site = Site::start(&dtls());
    let peer = EchoPeer::start(IPV4);
    // Every other try of this old client opens with DTLS 1.0, which is refused.
    let uclient = Uclient::new(site.address()).user("ann", "secret").peer(peer.address());
    let uclient = uclient.secure().without_rtcp().clients(1).messages(25);
    let mut last = None;
    for _ in 0..10 {
        let report = uclient.run(TRY);
        if report.exit == Some(0) && report.lost == Some(0) {
            return report.expect_all_back(25);
        }
        last = Some(report);
    }
    panic!("no try passes: {last:#?}");
}

fn dtls() -> Terms<'static> {
    Terms { shards: 2, transports: &["udp", "tcp", "tls", "dtls"], ..Terms::default() }
}

/// A client that trusts the site's authority.
fn verifying(site: &Site) -> SClient {
    SClient::tls(site.address()).trusting(&site.directory().join("authority.pem"))
}

#[track_caller]
fn expect_exchange(report: &SClientReport) {
    assert_eq!(report.reflexive.map(|address| address.ip()), Some(IPV4), "{report:#?}");
}
