//! docs/guides/synapse.md: Synapse from PyPI with the guide's lines, and a registered user whose
//! credentials allocate on a server that runs the guide's lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use turn_tests::foreign::Running;
use turn_tests::guide::{Guide, GuideHost, HOST, python};
use turn_tests::system::inside_root;

/// Synapse makes keys and a database at its first start.
const LIMIT: Duration = Duration::from_secs(90);

/// Logs in and asks as the guide's curl does.
const CLIENT: &str = r#"
import json, urllib.request

def ask(path, body=None, token=None):
    request = urllib.request.Request("http://127.0.0.1:8008/_matrix/client/v3" + path)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    if body is not None:
        request.data = json.dumps(body).encode()
    return json.load(urllib.request.urlopen(request, timeout=20))

login = ask("/login", {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "alice"},
    "password": "wonderland",
})
print(json.dumps(ask("/voip/turnServer", token=login["access_token"])))
"#;

const LOGGING: &str = "\
version: 1
handlers: { console: { class: logging.StreamHandler } }
root: { level: WARNING, handlers: [console] }
";

#[test]
fn synapse_gives_a_user_credentials_that_allocate() {
    inside_root("synapse_gives_a_user_credentials_that_allocate", HOST, || {
        let guide = Guide::open("synapse.md");
        let host = GuideHost::start(&guide.block("toml", "[auth]"));
        let directory = TempDir::new().unwrap();
        let home = directory.path();
        let generated = home.join("homeserver.yaml").display().to_string();
        run(
            home,
            &[
                "-m",
                "synapse.app.homeserver",
                "--generate-config",
                "--server-name=example.org",
                "--report-stats=no",
                &format!("--config-path={generated}"),
                &format!("--data-directory={}", home.display()),
            ],
        );
        // As Debian's /etc/matrix-synapse/conf.d.
        let ours = home.join("turn.yaml").display().to_string();
        fs::write(&ours, guide.block("yaml", "turn_uris")).unwrap();
        // What it has to say, where the test finds it.
        let logging = home.join("logging.yaml").display().to_string();
        fs::write(&logging, LOGGING).unwrap();
        let tests = home.join("test.yaml").display().to_string();
        fs::write(&tests, format!("log_config: {logging}\n")).unwrap();
        let mut command = Command::new(python());
        command.args(["-m", "synapse.app.homeserver"]);
        for file in [&generated, &ours, &tests] {
            command.args(["--config-path", file]);
        }
        let mut synapse = Running::start(&mut command);
        wait(&mut synapse);

        run(
            home,
            &[
                "-m",
                "synapse._scripts.register_new_matrix_user",
                "--config",
                &generated,
                "--user",
                "alice",
                "--password",
                "wonderland",
                "--no-admin",
                "http://127.0.0.1:8008",
            ],
        );
        let answer = run(home, &["-c", CLIENT]);
        let answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{error}: {answer}\n{}", synapse.output()));
        let of = |name: &str| answer.get(name).and_then(Value::as_str).unwrap();
        let (username, password) = (of("username"), of("password"));
        assert!(username.ends_with(":@alice:example.org"), "{username}");
        assert_eq!(answer.get("ttl"), Some(&3600.into()));
        let uris = answer.get("uris").and_then(Value::as_array).unwrap();
        assert_eq!(uris.len(), 3);
        for uri in uris {
            host.expect_url(uri.as_str().unwrap(), username, password);
        }
        let uri = uris.first().and_then(Value::as_str).unwrap();
        let another = username.replace("@alice", "@bob");
        assert!(host.try_url(uri, &another, password).is_err());
    });
}

/// Runs Python to its end and returns what it wrote.
fn run(home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(python());
    // Its own messages would stand between the JSON.
    command.args(["-W", "ignore"]).args(arguments).env("HOME", home);
    let finished = Running::start(&mut command).finish(LIMIT);
    assert_eq!(finished.exit, Some(0), "{arguments:?}: {}", finished.output);
    finished.output
}

fn wait(synapse: &mut Running) {
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, 8008)).is_err() {
        assert!(synapse.is_running(), "Synapse has ended: {}", synapse.output());
        assert!(Instant::now() < deadline, "Synapse does not listen: {}", synapse.output());
        std::thread::sleep(Duration::from_millis(50));
    }
}
