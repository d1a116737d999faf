//! examples/call: two browsers call each other through the relay, started by the commands of its README
//! on a fresh machine: a network namespace with one address, a default route and an empty home.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use turn_tests::foreign::{Running, Visitor, built_binary};
use turn_tests::guide::HOST;
use turn_tests::system::{Daemon, inside};

/// Two browsers start on a busy machine.
const LIMIT: Duration = Duration::from_secs(80);

/// The link of the README that joins at once, with *Relay only*.
const LINK: &str = "https://localhost:3443/?room=blue&relay";

#[test]
fn commands_of_the_readme_make_a_call_that_is_relayed() {
    inside("commands_of_the_readme_make_a_call_that_is_relayed", HOST, || {
        let home = TempDir::new().unwrap();
        let [server, page] = commands();
        let server = Daemon::with(&mut started(&server, home.path()));
        let mut page = Running::start(&mut started(&page, home.path()));
        wait(&mut page, "Relay: turn:203.0.113.7:3478?transport=udp", 1);
        assert!(page.output().contains("https://localhost:3443/\n"), "{}", page.output());
        assert!(readme().contains(LINK));

        let mut ann = Visitor::open(LINK);
        let mut bob = Visitor::open(LINK);
        // Over UDP or TCP: the browsers take what answers first.
        let connected = "room blue: connected, Relay to Relay over";
        wait_with(&mut page, connected, 2, &mut [&mut ann, &mut bob]);
        for line in page.output().lines().filter(|line| line.contains(connected)) {
            let report = Report::of(line);
            assert_eq!(report.picture, "640x480", "{line}");
            assert!(report.received > 10_000 && report.sent > 10_000, "{line}");
            assert!(report.candidates > 0, "{line}");
        }
        // What has flowed until one leaves: some 60 kB a second of picture and sound each way.
        std::thread::sleep(Duration::from_secs(6));
        drop(bob);
        wait(&mut page, "room blue: somebody left after", 1);
        drop(ann);
        wait(&mut page, "room blue: somebody left after", 2);
        for line in page.output().lines().filter(|line| line.contains("somebody left")) {
            let report = Report::of(line);
            assert!(report.received > 100_000 && report.sent > 100_000, "{line}");
        }
        // Not only the browsers say so.
        let stopped = server.stop("TERM");
        let counted = |name: &str| stopped.counters.get(name).copied().unwrap_or_default();
        assert!(counted("relayed_up_bytes") > 200_000, "{:?}", stopped.counters);
        assert!(counted("relayed_inside") > 0, "{:?}", stopped.counters);
    });
}

#[test]
fn without_a_camera_a_drawn_picture_is_sent() {
    inside("without_a_camera_a_drawn_picture_is_sent", HOST, || {
        let home = TempDir::new().unwrap();
        let [server, page] = commands();
        let server = Daemon::with(&mut started(&server, home.path()));
        // The JSON that the server prints, as the README says.
        let file = home.path().join("ice.json");
        fs::write(&file, printed(&server.output())).unwrap();
        let mut command = started(&page, home.path());
        let mut page = Running::start(command.arg("--ice-servers").arg(&file));
        wait(&mut page, "Relay: turn:203.0.113.7:3478", 1);
        let mut ann = Visitor::without_camera(LINK);
        let mut bob = Visitor::without_camera(LINK);
        let connected = "room blue: connected, Relay to Relay";
        wait_with(&mut page, connected, 2, &mut [&mut ann, &mut bob]);
        for line in page.output().lines().filter(|line| line.contains(connected)) {
            assert_eq!(Report::of(line).picture, "640x480", "{line}");
        }
    });
}

#[test]
fn what_went_wrong_is_said_in_words() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/call/page/candidates.js");
    let program = "import { readFileSync } from 'node:fs'; \
        const text = readFileSync(process.argv[1], 'utf8'); \
        const { explain } = await import('data:text/javascript,' + encodeURIComponent(text)); \
        const url = 'turn:turn.example.org:3478'; \
        const codes = [300, 400, 401, 403, 437, 441, 486, 500, 508, 701, 999]; \
        const said = codes.map((errorCode) => explain({ errorCode, errorText: 'Why', url })); \
        console.log(JSON.stringify(said));";
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", program]).arg(&script);
    let finished = Running::start(&mut command).finish(LIMIT);
    let said: Vec<String> = serde_json::from_str(&finished.output)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.output));
    assert_eq!(said.len(), 11);
    for text in &said {
        assert!(text.starts_with("turn:turn.example.org:3478: "), "{text}");
        assert!(text.len() > 60 || text.contains("999"), "{text}");
    }
    let of = |code: &str| said.iter().find(|text| text.contains(code)).unwrap();
    assert!(of("401").contains("password") && of("486").contains("allocations_per_user"));
    assert!(of("firewall").contains("running"), "{said:?}");
}

/// What a line of the terminal tells of a call.
#[derive(Debug)]
struct Report {
    received: u64,
    sent: u64,
    picture: String,
    candidates: u64,
}

impl Report {
    fn of(line: &str) -> Self {
        let before = |mark: &str| {
            let (text, _) = line.split_once(mark).unwrap_or_else(|| panic!("{line}"));
            text.rsplit(' ').next().unwrap().to_owned()
        };
        let after = |mark: &str| {
            let (_, text) = line.split_once(mark).unwrap_or_else(|| panic!("{line}"));
            text.split(',').next().unwrap().to_owned()
        };
        Self {
            received: before(" bytes received").parse().unwrap(),
            sent: before(" sent").parse().unwrap(),
            picture: after("picture "),
            candidates: after("candidates: ").parse().unwrap(),
        }
    }
}

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/call/README.md");
    fs::read_to_string(path).unwrap()
}

/// The two commands of the README: the TURN server's and the page's.
fn commands() -> [String; 2] {
    let readme = readme();
    let blocks = readme.split("```sh\n").skip(1);
    let commands: Vec<&str> = blocks.map(|rest| rest.split("\n```").next().unwrap()).collect();
    let [server, page] = commands[..] else { panic!("{commands:?}") };
    [server, page].map(str::to_owned)
}

/// A command of the README with the binary that cargo has built already, in a home of its own.
fn started(command: &str, home: &Path) -> Command {
    let arguments = command.strip_prefix("cargo run --release").unwrap();
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let (package, words) = match &words[..] {
        ["-p", package, words @ ..] => (*package, words),
        words => ("turnserver", words),
    };
    let words = words.strip_prefix(&["--"]).unwrap_or(words);
    let mut command = Command::new(built_binary(package));
    command.args(words).env("HOME", home);
    command.env_remove("XDG_STATE_HOME").env_remove("STATE_DIRECTORY");
    command
}

/// The JSON that `turnserver` prints at its start, which begins and ends on lines of its own.
fn printed(output: &str) -> String {
    let (_, rest) = output.split_once("\n{\n").unwrap();
    let (json, _) = rest.split_once("\n}\n").unwrap();
    let json = format!("{{{json}}}");
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
    json
}

fn wait(page: &mut Running, line: &str, times: usize) {
    wait_with(page, line, times, &mut []);
}

/// Waits until a line has come so many times.
fn wait_with(page: &mut Running, line: &str, times: usize, visitors: &mut [&mut Visitor]) {
    let deadline = Instant::now() + LIMIT;
    while page.output().matches(line).count() < times {
        let words = || {
            let browsers = visitors.iter().map(|visitor| visitor.last_words());
            browsers.collect::<Vec<_>>().join("\n")
        };
        assert!(page.is_running(), "turn-call has ended: {}", page.output());
        assert!(Instant::now() < deadline, "{line}\n{}\n{}", page.output(), words());
        for visitor in &mut *visitors {
            assert!(visitor.is_there(), "a browser has ended: {}", visitor.last_words());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
