//! docs/guides/browser.md: its Node, Python and PHP programs as they stand there, and what they give
//! allocates on a server that runs the guide's lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use turn_tests::foreign::Running;
use turn_tests::guide::{Guide, GuideHost, HOST, PUBLIC};
use turn_tests::system::{HttpResponse, http, http_get, inside_root};

const SECRET: &str = "a long random text";

/// Where each program listens.
const BACKEND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The listener of the guide.
const CREDENTIALS: SocketAddr = SocketAddr::new(PUBLIC, 8443);

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn node_program_gives_credentials_that_allocate() {
    inside_root("node_program_gives_credentials_that_allocate", HOST, || {
        backend("js", "// ice-servers.mjs", "ice-servers.mjs", &["node"]);
    });
}

#[test]
fn python_program_gives_credentials_that_allocate() {
    inside_root("python_program_gives_credentials_that_allocate", HOST, || {
        backend("python", "def ice_servers", "ice_servers.py", &["python3"]);
    });
}

#[test]
fn php_program_gives_credentials_that_allocate() {
    inside_root("php_program_gives_credentials_that_allocate", HOST, || {
        let php = php().display().to_string();
        backend("php", "<?php", "ice-servers.php", &[&php, "-S", "127.0.0.1:8080"]);
    });
}

#[test]
fn credentials_listener_serves_backend_and_page_as_the_guide_says() {
    inside_root("credentials_listener_serves_backend_and_page_as_the_guide_says", HOST, || {
        let guide = Guide::open("browser.md");
        let host = GuideHost::start(&guide.block("toml", "[credentials]"));
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("backend.mjs");
        fs::write(&file, guide.block("js", "// backend.mjs")).unwrap();
        let run = |key: &str| {
            let mut command = Command::new("node");
            command.arg(&file).env("NODE_EXTRA_CA_CERTS", host.authority_file());
            Running::start(command.env("TURN_KEY", key)).finish(LIMIT)
        };
        let finished = run("a-long-random-key-for-the-backend");
        let answer: Value = serde_json::from_str(&finished.output)
            .unwrap_or_else(|error| panic!("{error}: {}", finished.output));
        let name = answer.pointer("/iceServers/1/username").and_then(Value::as_str).unwrap();
        assert!(name.ends_with(":alice#web"), "{name}");
        expect_servers(&host, &answer, 3);
        assert!(!run("another key").output.contains("credential\""));

        // The page, as its browser sends it; a page of somebody else gets nothing.
        let script = "const [origin] = process.argv.slice(1); \
            const answer = await fetch('https://turn.example.org:8443/v1/credentials?apiKey=web-key-1', \
            { headers: { Origin: origin } }); \
            console.log(JSON.stringify({ status: answer.status, text: await answer.text() }))";
        let fetch = |origin: &str| -> Value {
            let mut command = Command::new("node");
            command.args(["--input-type=module", "--eval", script, origin]);
            let command = command.env("NODE_EXTRA_CA_CERTS", host.authority_file());
            let finished = Running::start(command).finish(LIMIT);
            serde_json::from_str(&finished.output)
                .unwrap_or_else(|error| panic!("{error}: {}", finished.output))
        };
        let own = fetch("https://app.example");
        assert_eq!(own.pointer("/status"), Some(&200.into()), "{own}");
        let answer = own.pointer("/text").and_then(Value::as_str).unwrap();
        expect_servers(&host, &serde_json::from_str(answer).unwrap(), 3);
        for foreign in ["https://evil.example", "https://app.example.evil", "http://app.example"] {
            let answer = fetch(foreign);
            assert_eq!(answer.pointer("/status"), Some(&403.into()), "{foreign}: {answer}");
            assert!(!answer.to_string().contains("username"), "{answer}");
        }
        // TLS it is: nobody answers without.
        assert!(http(CREDENTIALS, "GET", "/v1/credentials", &[]).is_err());
    });
}

/// Starts a program of the guide, asks it as the page does, and uses what it answers.
fn backend(language: &str, with: &str, name: &str, words: &[&str]) {
    let guide = Guide::open("browser.md");
    let toml = guide.block("toml", "[auth]");
    assert!(toml.contains(SECRET) && !toml.contains("[credentials]"), "{toml}");
    let host = GuideHost::start(&toml);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, guide.block(language, with)).unwrap();
    let [program, arguments @ ..] = words else { panic!("no program") };
    let mut command = Command::new(program);
    command.args(arguments).arg(&file).env("TURN_SECRET", SECRET).env_remove("TURN_HOST");
    let mut process = Running::start(&mut command);
    let answer = ask(&mut process);
    assert_eq!(answer.status, 200, "{answer:?}");
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("application/json") && head.contains("no-store"), "{answer:?}");
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let username = answer.pointer("/iceServers/1/username").and_then(Value::as_str).unwrap();
    assert!(username.ends_with(":alice"), "{username}");
    expect_servers(&host, &answer, 2);
    // And nothing else does.
    let url = "turn:turn.example.org:3478?transport=udp";
    assert!(host.try_url(url, username, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_err());
}

/// Waits until the program serves.
fn ask(process: &mut Running) -> HttpResponse {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Ok(answer) = http_get(BACKEND, "/ice-servers") {
            return answer;
        }
        assert!(process.is_running(), "it has ended: {}", process.output());
        assert!(Instant::now() < deadline, "it does not serve: {}", process.output());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Uses every URL of an answer; so many are relays.
fn expect_servers(host: &GuideHost, answer: &Value, relays: usize) {
    let mut used = 0;
    for server in answer.get("iceServers").and_then(Value::as_array).unwrap() {
        let of = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default();
        for url in server.get("urls").and_then(Value::as_array).unwrap() {
            let url = url.as_str().unwrap();
            host.expect_url(url, of("username"), of("credential"));
            used += usize::from(url.starts_with("turn"));
        }
    }
    assert_eq!(used, relays, "{answer}");
}

fn php() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/php/usr/bin/php");
    assert!(path.is_file(), "PHP is missing; run: cargo xtask tools");
    path
}
