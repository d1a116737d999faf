//! Certificates that change while the server runs, and those that it cannot use: what is served
//! meanwhile, and what it says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_client::Wire;
use turn_tests::foreign::{SClient, free_port};
use turn_tests::lab::IPV4;
use turn_tests::system::{Authority, Choir, Daemon, KeyKind, Leaf, PemFiles, Site, Sung, Terms};

const SOON: Duration = Duration::from_secs(5);

/// How soon after the signal a new certificate is served.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_hundred_swaps_under_load_drop_nothing_and_are_served_within_a_second() {
    let site = Site::start(&Terms { shards: 2, ..Terms::default() });
    let mut choir = Choir::of(8, || site.connect_tls());
    let over = AtomicBool::new(false);
    let sung = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let goes_on = |_| !over.load(Ordering::Relaxed);
            choir.sing_while(Duration::from_millis(2), goes_on)
        });
        let swapping = scope.spawn(|| {
            let mut leaf = site.leaf().clone();
            assert_eq!(served(&site), leaf.der);
            for swap in 0..100 {
                leaf = site.authority().leaf(&[Site::NAME]);
                replace(site.files(), &leaf);
                site.daemon().signal(if swap % 2 == 0 { "HUP" } else { "USR2" });
                expect_served(&site, &leaf);
            }
        });
        let swapped = swapping.join();
        over.store(true, Ordering::Relaxed);
        let sung = load.join();
        swapped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sung.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let Sung { sent, lost, .. } = sung;
    assert!(sent > 500 && lost == 0, "{sung:?}");
    let stopped = site.stop("TERM");
    assert_eq!(stopped.counters.get("stream_frames_dropped"), None, "{:?}", stopped.counters);
}

#[test]
fn r17_a_broken_new_certificate_leaves_the_old_one_in_force_and_says_why() {
    let site = Site::start(&Terms::default());
    let files = site.files();
    let good = site.leaf().clone();
    let another = site.authority().leaf(&[Site::NAME]);
    let stale = site.authority().order(&[Site::NAME]).for_days(-3).make();
    let nothing: &dyn Fn() = &|| {
        fs::remove_file(&files.certificate).unwrap();
    };
    let garbage: &dyn Fn() = &|| fs::write(&files.certificate, "not a certificate").unwrap();
    let half: &dyn Fn() = &|| {
        let half = another.certificate.get(..another.certificate.len() / 2);
        fs::write(&files.certificate, half.unwrap()).unwrap();
    };
    let wrong_key: &dyn Fn() = &|| fs::write(&files.key, &another.key).unwrap();
    let expired: &dyn Fn() = &|| replace(files, &stale);
    let certificate = files.certificate.display().to_string();
    let key = files.key.display().to_string();
    let cases = [
        (nothing, &certificate),
        (garbage, &certificate),
        (half, &certificate),
        (wrong_key, &key),
        (expired, &certificate),
    ];
    for (number, (breaks, file)) in cases.into_iter().enumerate() {
        replace(files, &good);
        breaks();
        let before = site.daemon().output().len();
        site.daemon().signal("HUP");
        site.daemon().wait_for_output(SOON, |output| {
            let told = output.get(before..).unwrap_or_default();
            told.contains(file.as_str()) && (told.contains("WARN") || told.contains("ERROR"))
        });
        // Every handshake succeeds, with the old certificate.
        for _ in 0..10 {
            assert_eq!(served(&site), good.der, "case {number}");
        }
    }
    // What is right again is taken again.
    replace(files, &another);
    site.daemon().signal("HUP");
    expect_served(&site, &another);
}

#[test]
fn certificates_that_cannot_be_used_are_named_with_the_fix_at_start() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let (one, other) = (authority.leaf(&["a.example"]), authority.leaf(&["b.example"]));
    let path = |name: &str| directory.path().join(name);
    let pair = |certificate: &str, key: &str| {
        fs::write(path("chain.pem"), certificate).unwrap();
        fs::write(path("private.key"), key).unwrap();
        PemFiles { certificate: path("chain.pem"), key: path("private.key") }
    };
    expect_refused(&pair(&one.certificate, &other.key), "private.key");
    expect_refused(&pair("garbage", &one.key), "chain.pem");
    expect_refused(&pair(&one.certificate, "garbage"), "private.key");
    // Swapped.
    expect_refused(&pair(&one.key, &one.certificate), "chain.pem");
    let files = pair(&one.certificate, &one.key);
    let missing = PemFiles { certificate: path("missing.pem"), ..files.clone() };
    expect_refused(&missing, "missing.pem");
    // What root cannot read either.
    fs::create_dir(path("directory.key")).unwrap();
    expect_refused(&PemFiles { key: path("directory.key"), ..files }, "directory.key");
}

#[test]
fn certificates_that_need_care_are_named_and_served_all_the_same() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let wrong_order = |leaf: &Leaf| format!("{}{}", authority.pem(), leaf.certificate);
    let good = authority.leaf(&["turn.example.org"]);
    let soon_over = authority.order(&["turn.example.org"]).for_days(5).make();
    let over = authority.order(&["turn.example.org"]).for_days(-2).make();
    for (chain, key, said) in [
        (wrong_order(&good), &good.key, "order"),
        (soon_over.certificate.clone(), &soon_over.key, "expire"),
        (over.certificate.clone(), &over.key, "EXPIRED"),
    ] {
        let files = PemFiles {
            certificate: directory.path().join("chain.pem"),
            key: directory.path().join("private.key"),
        };
        fs::write(&files.certificate, chain).unwrap();
        fs::write(&files.key, key).unwrap();
        let server = Daemon::with_file(&listening(&files));
        let output = server.output();
        let told = output.lines().any(|line| line.contains("WARN") && line.contains(said));
        assert!(told, "nothing of {said:?}: {output}");
        assert!(output.contains(&files.certificate.display().to_string()), "{output}");
        let report = SClient::tls(server.listening("tls")).run(SOON);
        assert!(report.reflexive.is_some(), "{said}: {report:#?}");
        assert_eq!(report.subject.as_deref(), Some("turn.example.org"), "{report:#?}");
    }
}

/// The certificate that a new connection is shown.
fn served(site: &Site) -> Vec<u8> {
    let local = SocketAddr::new(IPV4, 0);
    let wire = Wire::connect_tls(local, site.address(), &site.tls_options());
    let wire = wire.unwrap_or_else(|error| panic!("no handshake: {error}"));
    wire.tls().unwrap().certificate
}

#[track_caller]
fn expect_served(site: &Site, leaf: &Leaf) {
    let start = Instant::now();
    while served(site) != leaf.der {
        assert!(start.elapsed() < AT_ONCE, "not served in time: {}", site.daemon().output());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Replaces both files as certbot does: each by another file of the same name.
fn replace(files: &PemFiles, leaf: &Leaf) {
    for (path, text) in [(&files.key, &leaf.key), (&files.certificate, &leaf.certificate)] {
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, path).unwrap();
    }
}

#[track_caller]
fn expect_refused(files: &PemFiles, named: &str) {
    let finished = Daemon::refused(&listening(files), &[]);
    assert_eq!(finished.exit, Some(1), "{}", finished.output);
    for part in ["error: ", named, "= help: "] {
        assert!(finished.output.contains(part), "no {part} in:\n{}", finished.output);
    }
}

/// A configuration with one TLS listener.
fn listening(files: &PemFiles) -> String {
    format!(
        "[[listen]]\naddress = \"{IPV4}:{}\"\ntransports = [\"tls\"]\n\
         [relay]\naddresses = [\"{IPV4}\"]\n{}[lab]\nloopback_peers = true\n",
        free_port(IPV4),
        PemFiles::table(std::slice::from_ref(files))
    )
}
