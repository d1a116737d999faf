//! The binary as its operators meet it: what it says when something is wrong, what it warns of, how
//! it ends, and that no user writes into its log.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use turn_client::{AllocateOptions, Client, Credentials, Wire};
use turn_codec::attribute::{Nonce, Realm, RequestedTransport};
use turn_codec::{AttributeType, Class, Message, MessageWriter, Method, TransactionId};
use turn_tests::foreign::{Finished, Running, free_port};
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, bare_allocate, inside};

const SOON: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn mistakes_of_the_file_are_named_by_line_and_caret_with_what_would_be_right() {
    let mistakes = [
        ("relam = \"example.org\"", 1, "^^^^^", "did you mean `realm`?"),
        ("shards = 2\n[auth]\nanonymous = \"yes\"", 3, "^^^^^", "write true or false"),
        ("[relay]\nports = \"60000-50000\"", 2, "^^^^^^^^^^^^^", "write \"50000-60000\""),
        ("[limits]\nallocations = 0", 2, "^", "from 1 to 4294967295, or \"off\""),
        ("[peers]\nallow = [\"10.0.0.0/33\"]", 2, "^^^", ""),
        ("realm = \"example.org", 1, "^", ""),
    ];
    for (toml, line, caret, help) in mistakes {
        for arguments in [&[][..], &["check"]] {
            let Finished { exit, output, .. } = Daemon::refused(toml, arguments);
            assert_eq!(exit, Some(1), "{output}");
            let place = format!("--> turnserver.toml:{line}:");
            for part in ["error: ", &place, caret, "= help: ", help] {
                assert!(output.contains(part), "no {part} in:\n{output}");
            }
            assert!(!output.contains("is ready"), "{output}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut command = Daemon::command();
    let finished = run(command.args(["--config", "/nowhere/turnserver.toml"]));
    assert_eq!(finished.exit, Some(1));
    assert!(finished.output.contains("/nowhere/turnserver.toml"), "{}", finished.output);
}

#[test]
fn check_prints_what_is_in_force_and_keeps_secrets_to_itself() {
    let toml = "realm = \"example.org\"\n[auth]\nusers = { ann = \"hunter2\" }\n\
                secrets = [\"hunter3 is the shared secret\"]\n[limits]\nnew_peers = \"5/s burst 9\"";
    let Finished { exit, output, .. } = Daemon::refused(toml, &["check"]);
    assert_eq!(exit, Some(0), "{output}");
    for part in ["realm = \"example.org\"", "ann", "new_peers = \"5/s burst 9\"", "max_lifetime"] {
        assert!(output.contains(part), "no {part} in:\n{output}");
    }
    assert!(!output.contains("hunter"), "{output}");
    // The file holds secrets and the whole host can read it.
    assert!(output.contains("warning: ") && output.contains("chmod"), "{output}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let stranger = UdpSocket::bind((IPV4, 0)).unwrap();
    let server = Daemon::with_file(&listening(free_port(IPV4), USER));
    // A second server would otherwise get half of the first one's packets.
    for port in [stranger.local_addr().unwrap().port(), server.address().port()] {
        let finished = Daemon::refused(&listening(port, USER), &[]);
        assert_eq!(finished.exit, Some(1), "{}", finished.output);
        let error = format!("error: cannot listen on 127.0.0.1:{port}: ");
        let question = format!("ss -lntup 'sport = :{port}'");
        for part in [error.as_str(), "another process has the port", &question] {
            assert!(finished.output.contains(part), "no {part} in:\n{}", finished.output);
        }
    }
}

#[test]
fn a_privileged_port_without_the_privilege_is_named_with_what_to_do() {
    // In a namespace of its own, where net.ipv4.ip_unprivileged_port_start is what it usually is.
    inside("a_privileged_port_without_the_privilege_is_named_with_what_to_do", &[], || {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("turnserver.toml");
        fs::write(&file, listening(443, USER)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all"]);
        command.arg(Daemon::command().get_program()).arg("--config").arg(&file);
        let finished = run(&mut command);
        assert_eq!(finished.exit, Some(1), "{}", finished.output);
        for part in ["cannot listen on 127.0.0.1:443", "CAP_NET_BIND_SERVICE", "setcap"] {
            assert!(finished.output.contains(part), "no {part} in:\n{}", finished.output);
        }
    });
}

#[test]
fn realtime_an_address_that_no_interface_has_is_waited_for_and_then_named() {
    let toml = listening(free_port(IPV4), USER).replace("127.0.0.1:", "192.0.2.77:");
    let start = Instant::now();
    let finished = Daemon::refused_after(&toml, Duration::from_secs(45));
    assert_eq!(finished.exit, Some(1), "{}", finished.output);
    assert!(start.elapsed() > Duration::from_secs(29), "an interface may come up later");
    assert!(finished.output.contains("no interface has this address"), "{}", finished.output);
}

#[test]
fn without_ipv6_the_default_configuration_starts() {
    let commands =
        ["sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1"];
    inside("without_ipv6_the_default_configuration_starts", &commands, || {
        let (server, _state) = trial(&["--allow-loopback-peers"]);
        let servers = ice_servers(&server.output());
        relays(&server, &servers);
        let stopped = server.stop("TERM");
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
    });
}

#[test]
fn ice_servers_are_printed_within_a_second_and_work() {
    inside("ice_servers_are_printed_within_a_second_and_work", &[], || {
        let start = Instant::now();
        let (server, state) = trial(&["--allow-loopback-peers"]);
        let took = start.elapsed();
        assert!(took < SECOND, "{took:?}");
        let servers = ice_servers(&server.output());
        relays(&server, &servers);
        // The lab switch is announced at each start, and the credentials are kept for the next.
        let output = server.stop("INT").output;
        assert!(output.contains("WARN") && output.contains("loopback"), "{output}");
        let mut command = Daemon::command();
        let again = Daemon::with(command.env("STATE_DIRECTORY", state.path()));
        assert_eq!(ice_servers(&again.output()), servers);
        assert!(!again.output().contains("lab."), "{}", again.output());
    });
}

#[test]
fn where_no_state_can_be_kept_credentials_are_for_this_run_and_it_says_so() {
    inside("where_no_state_can_be_kept_credentials_are_for_this_run_and_it_says_so", &[], || {
        let mut command = Daemon::command();
        command.env_remove("HOME").env_remove("XDG_STATE_HOME");
        command.env("STATE_DIRECTORY", "/proc/no-such-directory");
        let server = Daemon::with(command.arg("--allow-loopback-peers"));
        relays(&server, &ice_servers(&server.output()));
        let output = server.stop("TERM").output;
        let warning =
            output.lines().find(|line| line.contains("WARN") && line.contains("this run"));
        assert!(warning.is_some_and(|line| line.contains("/proc/no-such-directory")), "{output}");
        assert!(output.contains("user and shared secret are for this run only"), "{output}");
    });
}

#[test]
fn too_few_descriptors_are_warned_of_and_the_soft_limit_is_raised() {
    let toml = listening(free_port(IPV4), USER);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("turnserver.toml");
    fs::write(&file, toml).unwrap();
    let start = |limit: &str| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg(Daemon::command().get_program());
        Daemon::with(command.arg("--config").arg(&file))
    };
    let output = start("64:64").stop("TERM").output;
    let warning = output.lines().find(|line| line.contains("WARN") && line.contains("descriptors"));
    let parts = ["limit=64", "LimitNOFILE=", "ulimit -Hn"];
    assert!(warning.is_some_and(|line| parts.iter().all(|part| line.contains(part))), "{output}");

    let server = start("64:512");
    assert_eq!(server.descriptors(), 512, "the soft limit is the hard one now");
    assert_eq!(server.stop("TERM").exit, Some(0));
}

#[test]
fn without_users_it_answers_stun_only_and_says_so() {
    let server = Daemon::with_file(&listening(free_port(IPV4), ""));
    let mut client = Client::connect(any(), server.address(), Credentials::anonymous()).unwrap();
    assert_eq!(client.binding().unwrap(), client.local_addr().unwrap());
    for credentials in [Credentials::anonymous(), Credentials::password("ann", "secret")] {
        let mut client = Client::connect(any(), server.address(), credentials).unwrap();
        let refused = client.allocate(&AllocateOptions::default()).unwrap_err();
        assert_eq!(refused.code().unwrap().get(), 401);
    }
    let output = server.stop("TERM").output;
    assert!(output.contains("no users and no secrets"), "{output}");
    assert!(output.contains("WARN") && !output.contains("\"turn:"), "{output}");
}

#[test]
fn an_open_relay_is_announced_loudly() {
    let server = Daemon::with_file(&listening(free_port(IPV4), "anonymous = true"));
    let mut client = Client::connect(any(), server.address(), Credentials::anonymous()).unwrap();
    client.allocate(&AllocateOptions::default()).unwrap();
    let output = server.stop("TERM").output;
    let warns = |line: &str| line.contains("WARN") && line.contains("anonymous");
    assert!(output.lines().any(warns), "{output}");
    assert!(output.contains("OPEN RELAY"), "{output}");
}

#[test]
fn the_lab_switch_is_announced_at_each_start() {
    let toml = format!("{}\n[lab]\nloopback_peers = true", listening(free_port(IPV4), USER));
    let output = Daemon::with_file(&toml).stop("TERM").output;
    let warns = |line: &str| line.contains("WARN") && line.contains("loopback_peers");
    assert!(output.lines().any(warns), "{output}");
}

#[test]
fn both_signals_end_it_cleanly_within_a_second() {
    for signal in ["TERM", "INT"] {
        let server = Daemon::with_file(&listening(free_port(IPV4), USER));
        let mut clients: Vec<_> = (0..20).map(|_| ann(&server)).collect();
        for client in &mut clients {
            client.allocate(&AllocateOptions::default()).unwrap();
        }
        let stopped = server.stop(signal);
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
        assert!(stopped.took < SECOND, "SIG{signal} took {:?}", stopped.took);
        assert!(stopped.output.contains(&format!("stopping signal=\"SIG{signal}\"")));
        assert_eq!(stopped.counters.get("allocations_created"), Some(&20), "{}", stopped.output);
    }
}

#[test]
fn h29_names_never_write_into_the_log() {
    let user = "[auth]\nusers = { 'ann\" code=200 x=\"\\n' = \"secret\" }";
    let toml = listening(free_port(IPV4), "").replace("[auth]", user);
    let toml = format!("{toml}\n[log]\nlevel = \"trace\"");
    let server = Daemon::with_file(&toml);
    // A name that is legal, and would look like fields of a record.
    let legal = Credentials::password("ann\" code=200 x=\"\\n", "secret");
    let mut client = Client::connect(any(), server.address(), legal).unwrap();
    client.allocate(&AllocateOptions::default()).unwrap();
    // Names that are not.
    let names = [
        "ann\nERROR the disk is on fire",
        "ann\r\nERROR the disk is on fire",
        "\u{1b}[2J\u{1b}[31mERROR the disk is on fire",
        "ann\0\u{7f}\u{85}\u{2028}ERROR the disk is on fire",
        "9999999999:ann\nERROR the disk is on fire",
    ];
    for name in names {
        assert_eq!(allocate_as(server.address(), name), 401, "{name:?}");
    }
    let stopped = server.stop("TERM");
    let output = stopped.output;
    let record = |line: &&str| line.contains("allocation created");
    let created: Vec<_> = output.lines().filter(record).collect();
    assert_eq!(created.len(), 1, "{output}");
    assert!(created[0].contains(r#"user="ann\" code=200 x=\"\\n""#), "{}", created[0]);
    assert!(!output.contains("disk"), "{output}");
    let controls = |c: char| c.is_control() && c != '\n' || c == '\u{2028}';
    assert!(!output.contains(controls), "{output:?}");
}

/// Starts without a file, as a newcomer does, with a state directory of the test's own.
fn trial(arguments: &[&str]) -> (Daemon, TempDir) {
    let state = TempDir::new().unwrap();
    let mut command = Daemon::command();
    command.env("STATE_DIRECTORY", state.path()).args(arguments);
    (Daemon::with(&mut command), state)
}

/// The `iceServers` JSON, as it would be pasted.
fn ice_servers(output: &str) -> Value {
    let start = output.find("\n{\n").unwrap_or_else(|| panic!("no JSON in {output}"));
    let end = output.find("\n}\n").unwrap();
    serde_json::from_str(&output[start..end + 3]).unwrap()
}

/// What was printed is enough to be relayed.
fn relays(server: &Daemon, ice_servers: &Value) {
    let turn = &ice_servers["iceServers"][1];
    let text = |key: &str| turn[key].as_str().unwrap();
    let url = turn["urls"][0].as_str().unwrap();
    let address = url.strip_prefix("turn:").and_then(|url| url.strip_suffix("?transport=udp"));
    let address: SocketAddr = address.unwrap_or_else(|| panic!("{url}")).parse().unwrap();
    let credentials = Credentials::password(text("username"), text("credential"));
    let mut client = Client::connect(any(), address, credentials).unwrap();
    let relayed = client.allocate(&AllocateOptions::default()).unwrap().relayed;
    // To itself, by its own relayed address.
    client.create_permission(&[relayed]).unwrap();
    client.send_to(relayed, b"hello").unwrap();
    let received =
        client.receive(SOON).unwrap_or_else(|error| panic!("{error} {}", server.output()));
    assert_eq!(received.data, b"hello");
}

/// Sends an Allocate request with this name and a made-up integrity; returns the error code.
fn allocate_as(server: SocketAddr, name: &str) -> u16 {
    let wire = Wire::connect(any(), server).unwrap();
    wire.send(&bare_allocate(1)).unwrap();
    let challenge = wire.receive(SOON).unwrap().expect("a challenge");
    let challenge = Message::parse(&challenge).unwrap();
    let Realm(realm) = challenge.get().unwrap().unwrap();
    let Nonce(nonce) = challenge.get().unwrap().unwrap();

    let mut buffer = [0; 1_024];
    let id = TransactionId::new([9; 12]);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::ALLOCATE, id).unwrap();
    writer.push(&RequestedTransport::UDP).unwrap();
    writer.push_raw(AttributeType::USERNAME, name.as_bytes()).unwrap();
    writer.push(&Realm(realm)).unwrap();
    writer.push(&Nonce(nonce)).unwrap();
    writer.integrity(b"no key at all").unwrap();
    wire.send(writer.finish()).unwrap();
    let reply = wire.receive(SOON).unwrap().expect("an answer");
    let reply = Message::parse(&reply).unwrap();
    let code: turn_codec::attribute::ErrorCode<'_> = reply.get().unwrap().unwrap();
    code.code.get()
}

const USER: &str = "users = { ann = \"secret\" }";

fn ann(server: &Daemon) -> Client {
    let credentials = Credentials::password("ann", "secret");
    Client::connect(any(), server.address(), credentials).unwrap()
}

/// A configuration on loopback with these lines under `[auth]`.
fn listening(port: u16, auth: &str) -> String {
    format!(
        "shards = 2\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n\
         [relay]\naddresses = [\"127.0.0.1\"]\n[auth]\n{auth}"
    )
}

fn run(command: &mut Command) -> Finished {
    let finished = Running::start(command).finish(Duration::from_secs(20));
    assert!(!finished.timed_out, "it runs: {}", finished.output);
    finished
}

fn any() -> SocketAddr {
    SocketAddr::new(IPV4, 0)
}
