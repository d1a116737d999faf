//! Commands on stores, credentials without a running server, probes: what they print and how they
//! fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use turn_credentials::shared_secret_password;

/// A directory with a configuration, and a home where nothing is kept.
struct Host(TempDir);

impl Host {
    fn new(config: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let config = config.replace("DIRECTORY", host.0.path().to_str().unwrap());
        std::fs::write(host.path("turnserver.toml"), config).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnserver"));
        let line = line.replace("DIRECTORY", self.0.path().to_str().unwrap());
        command.args(line.split_whitespace()).arg("-c").arg(self.path("turnserver.toml"));
        command.env_clear().env("HOME", self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str, input: &str) -> Output {
        let mut child = self.command(line).spawn().unwrap();
        // A command that needs no input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn done(&self, line: &str, input: &str) -> String {
        let output = self.run(line, input);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn refused(&self, line: &str, input: &str) -> String {
        let output = self.run(line, input);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", text(&output.stdout));
        text(&output.stderr)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const STORE: &str = "realm = 'r'\n[auth]\nstores = ['sqlite://DIRECTORY/users.db']\n";

#[test]
fn users_are_added_changed_listed_and_deleted() {
    let host = Host::new(STORE);
    host.done("users add ann", "north wind\n");
    host.done("users add bob --realm b", "0x00112233445566778899aabbccddeeff\n");
    assert_eq!(host.done("users list", ""), "b\tbob\nr\tann\n");
    assert_eq!(host.done("users list --realm b", ""), "b\tbob\n");
    host.done("users passwd ann", "south wind\n");
    assert!(host.refused("users passwd cid", "a password\n").contains("no cid of realm r"));
    host.done("users delete ann", "");
    assert!(host.refused("users delete ann", "").contains("no ann of realm r"));
    assert_eq!(host.done("users list", ""), "b\tbob\n");
    let file = host.path("pw");
    std::fs::write(&file, "east wind\n").unwrap();
    host.done(
        "users add dan --password-file DIRECTORY/pw --store sqlite://DIRECTORY/2.db --realm x",
        "",
    );
    assert_eq!(host.done("users list --store sqlite://DIRECTORY/2.db", ""), "x\tdan\n");
}

#[test]
fn secrets_are_added_listed_and_deleted() {
    let host = Host::new(STORE);
    host.done("secrets add", "the first secret\n");
    host.done("secrets add", "the second secret\n");
    host.done("secrets add --realm b", "of b\n");
    assert_eq!(host.done("secrets list --realm r", "").lines().count(), 2);
    host.done("secrets delete", "the first secret\n");
    assert_eq!(host.done("secrets list --realm r", ""), "r\tthe second secret\n");
    host.done("secrets delete --all", "");
    assert_eq!(host.done("secrets list", ""), "b\tof b\n");
    assert!(host.refused("secrets delete --all", "").contains("no such secret of realm r"));
}

#[test]
fn what_a_store_command_cannot_do_says_what_to_do_and_repeats_no_secret() {
    let host = Host::new("realm = 'r'\n[auth]\nstores = ['https://app.example/auth']\n");
    for (line, input, why) in [
        ("users add ann", "hunter2\n", "stores = [\"sqlite:///var/lib/turnserver/users.db\"]"),
        ("users add ann --store postgres://u:hunter2@h/d", "", "--store-file"),
        ("users add ann --store sqlite://DIRECTORY/a.db", "\n", "is not empty"),
        ("users add ann --store sqlite://DIRECTORY/a.db", "0xhunter2\n", "32 hexadecimal digits"),
        ("users add ann --store sqlite://DIRECTORY/a.db", "a\tb\n", "control characters"),
        ("users list --store sqlite://DIRECTORY/none.db", "", "none.db"),
    ] {
        let error = host.refused(line, input);
        assert!(error.contains(why) && !error.contains("hunter2"), "{line}: {error}");
    }
}

#[test]
fn credentials_are_made_from_the_secret_and_the_listeners_of_the_file() {
    let host = Host::new(
        "realm = 'r'\n[[listen]]\naddress = '127.0.0.1:3500'\n[relay]\naddresses = ['127.0.0.1']\n\
         [auth]\nsecrets = ['of nobody', { secret = 'of app', tenant = 'app' }]\n",
    );
    let printed = host.done("credentials --user alice --ttl 10m --tenant app", "");
    let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let turn = value.pointer("/iceServers/1").unwrap();
    let username = turn.get("username").unwrap().as_str().unwrap();
    assert!(username.ends_with(":alice"), "{printed}");
    let password = shared_secret_password(b"of app", username);
    assert_eq!(turn.get("credential").unwrap().as_str(), Some(password.as_str()));
    assert_eq!(
        turn.get("urls").unwrap(),
        &serde_json::json!([
            "turn:127.0.0.1:3500?transport=udp",
            "turn:127.0.0.1:3500?transport=tcp"
        ])
    );
    assert_eq!(value.get("ttl").unwrap(), 600);
    let rest: serde_json::Value =
        serde_json::from_str(&host.done("credentials --format rest --tag web", "")).unwrap();
    assert!(rest.get("username").unwrap().as_str().unwrap().ends_with("#web"));
    assert!(host.done("credentials --format link", "").starts_with("Link: <stun:127.0.0.1:3500>"));
    assert!(host.refused("credentials --user a#b", "").contains("no \"#\""));
    assert!(host.refused("credentials --realm x", "").contains("no such realm"));
}

#[test]
fn without_a_secret_the_server_is_asked_and_its_absence_is_said() {
    let host =
        Host::new("[admin]\nsocket = 'DIRECTORY/none.sock'\n[auth]\nusers = { ann = 'pw' }\n");
    let error = host.refused("credentials", "");
    assert!(error.contains("none.sock") && error.contains("auth.secrets"), "{error}");
    let error = host.refused("accounts list", "");
    assert!(error.contains("none.sock"), "{error}");
    assert!(host.refused("usage", "").contains("none.sock"));
}

#[test]
fn a_probe_finds_nobody_within_seconds_and_records_name_the_listeners() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let host = Host::new(&format!("[[listen]]\naddress = '127.0.0.1:{port}'\n"));
    let start = std::time::Instant::now();
    // Bound, and silent.
    let error = host.refused("probe", "");
    assert!(error.contains(&format!("udp 127.0.0.1 port {port}")), "{error}");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    assert!(host.refused("probe --url http://h", "").contains("--url"));
    let zone = host.done("dns --host turn.example.org", "");
    assert!(
        zone.contains(&format!("_turn._tcp.example.org. 3600 IN SRV 10 0 {port} turn")),
        "{zone}"
    );
    assert!(host.refused("dns", "").contains("--host"));
}
