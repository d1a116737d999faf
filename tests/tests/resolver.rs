//! No name is ever looked up: a resolver that fails or lies is none of the server's business.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, allocated};

const SOON: Duration = Duration::from_secs(10);

/// What the C library opens before it looks up a name, and the port that is asked.
const TRACES: [&str; 4] = ["/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts", "htons(53)"];

#[test]
fn r15_no_name_is_looked_up_at_start_at_work_or_at_a_reload() {
    let directory = TempDir::new().unwrap();
    let (calls, file) = (directory.path().join("calls"), directory.path().join("turnserver.toml"));
    let address = SocketAddr::new(IPV4, free_port(IPV4));
    let configuration = format!(
        "realm = \"turn.example.org\"\nshards = 1\n[[listen]]\naddress = \"{address}\"\n\
         [relay]\naddresses = [\"127.0.0.1\"]\n[auth]\nusers = {{ ann = \"secret\" }}\n\
         [metrics]\naddress = \"off\"\n[admin]\nsocket = \"off\"\n[lab]\nloopback_peers = true\n"
    );
    fs::write(&file, configuration).unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=openat,connect,sendto,sendmmsg", "-o"]).arg(&calls);
    strace.arg(Daemon::command().get_program()).arg("--config").arg(&file);
    let server = Daemon::with(&mut strace);
    allocated(server.address());
    let before = opened(&calls, &file);
    server.signal("HUP");
    server.wait_for_output(SOON, |_| opened(&calls, &file) > before);
    allocated(server.address());
    assert_eq!(server.stop("TERM").exit, Some(0));
    let calls = fs::read_to_string(&calls).unwrap();
    let lookups: Vec<_> =
        calls.lines().filter(|line| TRACES.iter().any(|trace| line.contains(trace))).collect();
    assert!(lookups.is_empty(), "{lookups:#?}");
}

/// How often the configuration has been opened.
fn opened(calls: &Path, file: &Path) -> usize {
    let calls = fs::read_to_string(calls).unwrap();
    calls.matches(&file.display().to_string()).count()
}
