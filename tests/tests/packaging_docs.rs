//! docs/operations.md: its examples are what they say, and its sample lines of the log are those that
//! the server writes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use turn_client::{AllocateOptions, Client, Credentials};
use turn_tests::foreign::free_port;
use turn_tests::foreign::promtool::check_config;
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, Echo, channel, configured, connect, user};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn every_toml_block_is_a_configuration() {
    let blocks = blocks("toml");
    assert!(!blocks.is_empty());
    for block in blocks {
        configured(&block);
    }
}

#[test]
fn the_scrape_configuration_is_one() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("prometheus.yml");
    let blocks = blocks("yaml");
    let [block] = blocks.as_slice() else { panic!("{blocks:?}") };
    let rules = file("dashboards/alerts.yaml").display().to_string();
    fs::write(&path, block.replace("/etc/prometheus/turnserver-alerts.yaml", &rules)).unwrap();
    assert_eq!(check_config(&path), [""; 0]);
}

#[test]
fn h33_one_line_tells_the_life_of_an_allocation() {
    let server = server("");
    let peer = Echo::on(SocketAddr::new(IPV4, 0));
    let mut client = connect(server.address(), user());
    let relayed = client.allocate(&AllocateOptions::default()).unwrap().relayed;
    client.bind_channel(channel(0), peer.address()).unwrap();
    client.send_channel(channel(0), b"twelve bytes").unwrap();
    peer.receive().unwrap();
    peer.send(relayed, b"eleven byte");
    client.receive(SOON).unwrap();
    client.refresh(Duration::ZERO).unwrap();
    let line = wait_for_line(&server, "allocation ended");
    let local = client.local_addr().unwrap();
    let said = [
        "user=\"ann\"".to_owned(),
        format!("client={local}"),
        "transport=\"udp\"".to_owned(),
        relayed.to_string(),
        "peers=\"127.0.0.1\"".to_owned(),
        "up_packets=1 up_bytes=12 down_packets=1 down_bytes=11".to_owned(),
        "reason=\"deleted\"".to_owned(),
        "used=true".to_owned(),
    ];
    for part in said {
        assert!(line.contains(&part), "no {part} in {line}");
    }
    expect_documented(&line, "allocation ended");
}

#[test]
fn a_failure_of_authentication_is_told_with_its_reason() {
    let server = server("");
    for (name, reason) in [("ann", "wrong_password"), ("eve", "unknown_user")] {
        let wrong = Credentials::password(name, "a guess");
        let local = SocketAddr::new(IPV4, 0);
        let mut client = Client::connect(local, server.address(), wrong).unwrap();
        client.allocate(&AllocateOptions::default()).unwrap_err();
        let line = wait_for_line(&server, &format!("reason=\"{reason}\""));
        let said = [format!("user=\"{name}\""), format!("client={}", client.local_addr().unwrap())];
        assert!(said.iter().all(|part| line.contains(part)), "{line}");
        assert!(!line.contains("a guess"), "{line}");
        expect_documented(&line, "authentication failed");
    }
}

#[test]
fn what_is_personal_is_hashed_or_left_out_where_the_log_says_so() {
    for (policy, user, client) in
        [("hashed", None, None), ("off", Some("user=\"-\""), Some("client=-"))]
    {
        let server = server(&format!("[log]\nusers = \"{policy}\"\naddresses = \"{policy}\"\n"));
        let mut client_of = connect(server.address(), self::user());
        client_of.allocate(&AllocateOptions::default()).unwrap();
        client_of.refresh(Duration::ZERO).unwrap();
        let line = wait_for_line(&server, "allocation ended");
        let local = client_of.local_addr().unwrap().to_string();
        assert!(!line.contains("ann") && !line.contains(&local), "{line}");
        assert!([user, client].into_iter().flatten().all(|part| line.contains(part)), "{line}");
    }
}

/// A server with a user and without doors for operators.
fn server(log: &str) -> Daemon {
    let address = SocketAddr::new(IPV4, free_port(IPV4));
    Daemon::with_file(&format!(
        "shards = 1\n[[listen]]\naddress = \"{address}\"\ntransports = [\"udp\"]\n\
         [relay]\naddresses = [\"127.0.0.1\"]\n[auth]\nusers = {{ ann = \"secret\" }}\n\
         [metrics]\naddress = \"off\"\n[admin]\nsocket = \"off\"\n\
         [lab]\nloopback_peers = true\n{log}"
    ))
}

/// The first line of the log with this in it.
#[track_caller]
fn wait_for_line(server: &Daemon, part: &str) -> String {
    let output = server.wait_for_output(SOON, |output| output.contains(part));
    output.lines().find(|line| line.contains(part)).unwrap().to_owned()
}

/// The sample on the page has the fields of the line, but for those that are there only sometimes.
#[track_caller]
fn expect_documented(line: &str, message: &str) {
    let page = fs::read_to_string(file("docs/operations.md")).unwrap();
    let sample = page.lines().find(|line| line.contains(message) && line.contains('='));
    let sample = sample.unwrap_or_else(|| panic!("the page has no sample of: {message}"));
    let sometimes = ["tenant"];
    let of = |line: &str| -> Vec<String> {
        fields(line).into_iter().filter(|name| !sometimes.contains(&name.as_str())).collect()
    };
    assert_eq!(of(sample), of(line), "{line}");
}

/// The names of `name=value` in a line, in order.
fn fields(line: &str) -> Vec<String> {
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    let names = pairs.map(|(name, _)| name.to_owned());
    names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).collect()
}

/// The fenced blocks of a language on the page.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(file("docs/operations.md")).unwrap();
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts.map(|part| part.split_once("```").unwrap().0.to_owned()).collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}
