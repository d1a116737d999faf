//! docs/coturn.md, done: its commands, taken out of it, on a Debian with a running coturn that Synapse's
//! guide has configured; replaced and relaying, and back again.
//!
//! The machine is a root of the test's own. There is no systemd on it: what the guide asks of it is done
//! by a script that starts and stops what the units name.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Credentials};
use turn_credentials::UnixSeconds;
use turn_tests::foreign::{Running, built_binary};
use turn_tests::system::{Authority, Echo, KeyKind, connect, inside_root};

const HOST: [&str; 7] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 203.0.113.7/24 dev v0",
    "ip address add 10.20.0.5/24 dev v0",
    "ip link set v0 up; ip link set v1 up",
    "ip route add default via 203.0.113.1",
    "ip route add local 8.8.8.8 dev lo",
    "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind",
];

/// What the issue allows for all of it; a person reads in between.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Starts and stops what a unit's `ExecStart` names, and says when it serves.
const SYSTEMCTL: &str = r#"#!/bin/sh
command=; units=; now=
for word; do
    case $word in
    --now) now=yes ;;
    -*) ;;
    *) if [ -z "$command" ]; then command=$word; else units="$units ${word%.service}"; fi ;;
    esac
done
serves() { ss -lnuH | grep -q :3478; }
for unit in $units; do
    pidfile=/run/$unit.pid
    start() {
        for directory in /etc/systemd/system /lib/systemd/system; do
            [ -f "$directory/$unit.service" ] && file=$directory/$unit.service && break
        done
        line=$(sed -n 's/^ExecStart=//p' "$file") || exit 5
        setsid $line > "/var/log/$unit.journal" 2>&1 &
        echo $! > "$pidfile"
        for _ in $(seq 100); do serves && return; sleep 0.1; done
        cat "/var/log/$unit.journal"; exit 1
    }
    stop() {
        [ -f "$pidfile" ] || return 0
        kill "$(cat "$pidfile")"
        for _ in $(seq 100); do serves || break; sleep 0.1; done
        rm "$pidfile"
    }
    case $command in
    start) start ;;
    stop) stop ;;
    enable) [ -z "$now" ] || start ;;
    disable) [ -z "$now" ] || stop ;;
    is-active)
        kill -0 "$(cat "$pidfile" 2> /dev/null)" 2> /dev/null && echo active && continue
        echo inactive; exit 3 ;;
    *) echo "systemctl $command?"; exit 1 ;;
    esac
done
"#;

#[test]
fn the_guide_puts_our_server_in_the_place_of_a_running_coturn_and_takes_it_back() {
    inside_root(
        "the_guide_puts_our_server_in_the_place_of_a_running_coturn_and_takes_it_back",
        &HOST,
        || {
            let sources = sources();
            let page = fs::read_to_string(sources.join("docs/coturn.md")).unwrap();
            debian_with_coturn(&sources);
            relays("coturn");

            let start = Instant::now();
            // "a binary that was built elsewhere does as well"
            let release = Path::new("/srv/turnserver");
            copy_sources(&sources, release);
            for step in ["install", "import", "replace", "verify"] {
                run(&page, step, release);
            }
            relays("ours");
            let there = start.elapsed();
            run(&page, "back", release);
            relays("coturn again");
            let back = start.elapsed() - there;
            eprintln!("there in {there:.1?}, back in {back:.1?}");
            assert!(there < TEN_MINUTES && back < TEN_MINUTES, "{there:?} {back:?}");
            let untouched = fs::read_to_string("/etc/turnserver.conf").unwrap();
            assert_eq!(untouched, synapse(&sources), "coturn's file is as it was");
            sh("systemctl stop coturn", Path::new("/")).expect("coturn stops");
        },
    );
}

/// Installs Debian's package without its service manager, and configures and starts it.
fn debian_with_coturn(sources: &Path) {
    let tree = sources.join("target/foreign/coturn");
    for directory in ["usr", "lib", "etc"] {
        let copy = format!("cp -a {}/{directory}/. /{directory}/", tree.display());
        sh(&copy, Path::new("/")).expect("Debian's package can be copied");
    }
    write_program("/usr/local/bin/systemctl", SYSTEMCTL);
    // As the package's scripts do it.
    let account =
        "getent passwd turnserver > /dev/null || useradd --system --no-create-home turnserver";
    sh(account, Path::new("/")).expect("an account can be made");
    let leaf = Authority::new(KeyKind::Ecdsa).leaf(&["turn.example.org"]);
    fs::create_dir_all("/etc/turnserver").unwrap();
    fs::write("/etc/turnserver/fullchain.pem", leaf.certificate).unwrap();
    fs::write("/etc/turnserver/privkey.pem", leaf.key).unwrap();
    fs::write("/etc/turnserver.conf", synapse(sources)).unwrap();
    sh("systemctl enable --now coturn", Path::new("/")).expect("coturn starts");
}

/// What a person has who follows the guide: the sources with a built binary.
fn copy_sources(sources: &Path, release: &Path) {
    fs::create_dir_all(release.join("target/release")).unwrap();
    fs::copy(built_binary("turnserver"), release.join("target/release/turnserver")).unwrap();
    let copy = format!("cp -a {}/systemd {}", sources.display(), release.display());
    sh(&copy, Path::new("/")).expect("the units can be copied");
}

/// Runs the commands of a step, as the page has them.
fn run(page: &str, step: &str, directory: &Path) {
    let marker = format!("<!-- step: {step} -->\n```sh\n");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("no step {step}"));
    let (commands, _) = rest.split_once("\n```").unwrap();
    let start = Instant::now();
    let output = sh(&format!("set -e\n{commands}"), directory);
    let output = output.unwrap_or_else(|output| panic!("{step}: {commands}\n{output}"));
    eprintln!("{step}: {:.1?}\n{output}", start.elapsed());
    if step == "verify" {
        assert!(output.contains("Total lost packets 0"), "{output}");
    }
}

/// A user of Synapse relays.
fn relays(whose: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expiry = UnixSeconds(now + 3_600);
    let credentials = Credentials::time_limited(b"north", Some("@ann:example.org"), expiry);
    let mut client = connect("10.20.0.5:3478".parse().unwrap(), credentials);
    let allocation = client.allocate(&AllocateOptions::default());
    allocation.unwrap_or_else(|error| panic!("{whose}: {error}"));
    let peer = Echo::on("8.8.8.8:5000".parse().unwrap());
    client.create_permission(&[peer.address()]).unwrap();
    client.send_to(peer.address(), whose.as_bytes()).unwrap();
    assert_eq!(peer.echo(), whose.as_bytes());
    assert_eq!(client.receive(Duration::from_secs(5)).unwrap().data, whose.as_bytes());
    client.refresh(Duration::ZERO).unwrap();
}

fn synapse(sources: &Path) -> String {
    let path = sources.join("crates/coturn/tests/fixtures/synapse.conf");
    fs::read_to_string(path).unwrap()
}

/// Runs a script as the page's reader would; what it wrote, as an error where it failed.
fn sh(script: &str, directory: &Path) -> Result<String, String> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("cd {} && {script}", directory.display())]);
    // The script of systemctl leaves servers behind, which are stopped by it too.
    let finished = Running::start(&mut command).finish(Duration::from_secs(60));
    if finished.exit == Some(0) { Ok(finished.output) } else { Err(finished.output) }
}

fn write_program(path: &str, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
