//! Certificates that change without a signal, as Kubernetes and certbot exchange them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_client::{TlsOptions, Wire};
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{Authority, Daemon, KeyKind, Leaf, PemFiles};

/// How soon a new certificate is served that nobody has told of.
const UNTOLD: Duration = Duration::from_secs(60);

#[test]
fn realtime_certificate_behind_a_swapped_symlink_is_served_within_a_minute_without_a_signal() {
    let volume = TempDir::new().unwrap();
    let authority = Authority::new(KeyKind::Ecdsa);
    let leaves = [(); 2].map(|()| authority.leaf(&["localhost"]));
    // tls.crt -> ..data/tls.crt, ..data -> ..first
    publish(volume.path(), "..first", &leaves[0]);
    let files =
        PemFiles { certificate: volume.path().join("tls.crt"), key: volume.path().join("tls.key") };
    symlink("..data/tls.crt", &files.certificate).unwrap();
    symlink("..data/tls.key", &files.key).unwrap();
    let server = SocketAddr::new(IPV4, free_port(IPV4));
    let toml = format!(
        "[[listen]]\naddress = \"{server}\"\ntransports = [\"tls\"]\n\
         [relay]\naddresses = [\"{IPV4}\"]\n{}[lab]\nloopback_peers = true\n",
        PemFiles::table(&[files])
    );
    let daemon = Daemon::with_file(&toml);
    let options = TlsOptions::new("localhost", vec![authority.der()]);
    let served = || {
        let wire = Wire::connect_tls(SocketAddr::new(IPV4, 0), server, &options);
        let wire = wire.unwrap_or_else(|error| panic!("no handshake: {error}"));
        wire.tls().unwrap().certificate
    };
    assert_eq!(served(), leaves[0].der);

    publish(volume.path(), "..second", &leaves[1]);
    let start = Instant::now();
    while served() != leaves[1].der {
        assert!(start.elapsed() < UNTOLD, "not served in time: {}", daemon.output());
        thread::sleep(Duration::from_millis(250));
    }
}

/// Writes a certificate into a directory of its own and makes `..data` point there in one step.
fn publish(volume: &Path, directory: &str, leaf: &Leaf) {
    let new = volume.join(directory);
    fs::create_dir(&new).unwrap();
    fs::write(new.join("tls.crt"), &leaf.certificate).unwrap();
    fs::write(new.join("tls.key"), &leaf.key).unwrap();
    symlink(directory, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}
