//! A start that waits for an address can be stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn whoever_stops_a_start_that_waits_does_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.toml");
    // RFC 5737: nobody has this address.
    let text = "[[listen]]\naddress = '203.0.113.9:3478'\n[metrics]\naddress = 'off'\n[admin]\nsocket = 'off'\n";
    std::fs::write(&path, text).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_turnserver"))
        .arg("-c")
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let waits = log.lines().map_while(Result::ok).any(|line| line.contains("waiting for it"));
    assert!(waits);
    let start = Instant::now();
    let killed = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(server.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
