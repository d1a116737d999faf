//! Another host at the other end of a cable: a network namespace beside that of the test.

use std::process::Command;
use std::time::Duration;

use crate::foreign::{Running, until};

/// A host that lives until this value is dropped.
#[derive(Debug)]
pub struct Neighbour {
    process: Running,
}

impl Neighbour {
    /// Makes one, moves an interface of this namespace there, such as one end of a veth pair, and gives
    /// it an address, as `203.0.113.8/24`.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn new(interface: &str, address: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo made; exec sleep 600"]);
        let this = Self { process: Running::start(&mut command) };
        let made = until(Duration::from_secs(5), || this.process.output().contains("made"));
        made.expect("a network namespace can be made");
        let id = this.process.id();
        run(Command::new("ip").args(["link", "set", interface, "netns", &id.to_string()]));
        let script = format!(
            "ip link set lo up && ip address add {address} dev {interface} && \
             ip link set {interface} up"
        );
        run(this.command("sh").args(["-c", &script]));
        this
    }

    /// A program that runs there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.process.id().to_string(), program]);
        command
    }

    /// `GET` of a path from there, with all of the answer; empty where nobody answers.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn http_get(&self, host: &str, port: u16, path: &str) -> String {
        let script = format!(
            "exec 3<>/dev/tcp/{host}/{port} && \
             printf 'GET {path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n' >&3 \
             && cat <&3"
        );
        let finished = Running::start(self.command("bash").args(["-c", &script]))
            .finish(Duration::from_secs(10));
        finished.output
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
