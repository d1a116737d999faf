//! Managed credentials and usage of the real server: an SQLite store, two shards, and an operator who
//! asks over the admin socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod amount;
mod life;
mod names;
mod usage;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use turn_client::{AllocateOptions, Allocation, Client, Credentials, Error};
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, HttpRequest, HttpResponse, connect};

const SECOND: Duration = Duration::from_secs(1);

const REALM: &str = "example.org";

/// A server that keeps credentials and usage.
struct Keeper {
    daemon: Daemon,
    server: SocketAddr,
    socket: PathBuf,
    directory: TempDir,
}

/// A credential that was made.
struct Account {
    username: String,
    password: String,
}

impl Keeper {
    /// With a store that nobody has written to, and more lines of `[usage]`.
    fn start(usage: &str) -> Self {
        Self::with("stores = [\"sqlite://DIRECTORY/users.db\"]", usage)
    }

    /// With these lines of `[auth]` and `[usage]`; DIRECTORY is the test's own.
    fn with(auth: &str, usage: &str) -> Self {
        // In memory where there is such a place: the second in which a call ends is that of the
        // server, not of a busy disk.
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let server = SocketAddr::new(IPV4, free_port(IPV4));
        let toml = format!(
            "realm = \"{REALM}\"\nshards = 2\n\
             [[listen]]\naddress = \"{server}\"\ntransports = [\"udp\", \"tcp\"]\n\
             [relay]\naddresses = [\"{IPV4}\"]\n\
             [auth]\n{auth}\nusers = {{ ann = \"secret\" }}\n\
             [usage]\n{usage}\n{}\
             [admin]\nsocket = \"DIRECTORY/admin.sock\"\n[lab]\nloopback_peers = true\n",
            if usage.contains("path") { "" } else { "path = \"DIRECTORY/usage.db\"\n" },
        );
        let toml = toml.replace("DIRECTORY", &directory.path().display().to_string());
        fs::write(directory.path().join("turnserver.toml"), toml).unwrap();
        let daemon = run(&directory);
        Self { daemon, server, socket: directory.path().join("admin.sock"), directory }
    }

    /// Ends by a signal and starts again with everything that it has kept.
    fn again(self, signal: &str) -> Self {
        self.daemon.stop(signal);
        Self { daemon: run(&self.directory), ..self }
    }

    fn ask(&self, request: &HttpRequest) -> HttpResponse {
        request.to_socket(&self.socket).unwrap()
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = self.ask(&HttpRequest::get(path));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    #[track_caller]
    fn create(&self, body: &Value) -> Account {
        let answer = self.ask(&HttpRequest::post("/api/v1/credentials", body));
        assert_eq!(answer.status, 201, "{body}: {answer:?}");
        let text = |name| text(&answer.json(), name).unwrap();
        Account { username: text("username"), password: text("password") }
    }

    /// Something that is done to a credential, as `disable`.
    #[track_caller]
    fn tell(&self, account: &Account, verb: &str) -> Value {
        let path = format!("/api/v1/credentials/{}/{verb}", account.username);
        let answer = self.ask(&HttpRequest::new("POST", path));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn client(&self, account: &Account) -> Client {
        connect(self.server, account.credentials())
    }

    fn client_tcp(&self, account: &Account) -> Client {
        let local = SocketAddr::new(IPV4, 0);
        Client::connect_tcp(local, self.server, account.credentials()).unwrap()
    }

    #[track_caller]
    fn allocated(&self, account: &Account) -> (Client, Allocation) {
        let mut client = self.client(account);
        let allocation = client.allocate(&AllocateOptions::default());
        let allocation = allocation.unwrap_or_else(|error| panic!("no allocation: {error}"));
        (client, allocation)
    }

    /// The code that a new client of this credential gets for its Allocate request.
    fn refusal(&self, account: &Account) -> Option<u16> {
        code(self.client(account).allocate(&AllocateOptions::default()))
    }

    /// Rows of usage.
    #[track_caller]
    fn usage(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/usage?{query}"));
        answer.get("rows").and_then(Value::as_array).unwrap().clone()
    }
}

impl Account {
    fn credentials(&self) -> Credentials {
        Credentials::password(self.username.as_str(), self.password.as_str())
    }
}

fn run(directory: &TempDir) -> Daemon {
    let file = directory.path().join("turnserver.toml");
    Daemon::with(Daemon::command().arg("--config").arg(file))
}

/// The code of a refusal; nothing where it is none.
fn code<T>(result: Result<T, Error>) -> Option<u16> {
    match result {
        Ok(_) => None,
        Err(error) => Some(error.code().unwrap_or_else(|| panic!("no answer: {error}")).get()),
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The body of a request for a credential with a label.
fn labelled(label: &str) -> Value {
    json!({ "label": label })
}
