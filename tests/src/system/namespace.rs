//! A test in a network namespace of its own.
//!
//! The test binary starts itself again under `unshare`, for this one test; the namespace, with
//! every interface and address in it, ends with that process.

use std::process::Command;
use std::time::Duration;

use crate::foreign::Running;

/// Names the test that is to run inside.
const INSIDE: &str = "TURN_TESTS_INSIDE";

/// What every namespace needs.
const LOOPBACK: &str = "ip link set lo up";

const LIMIT: Duration = Duration::from_secs(120);

/// Runs a test's body in a network namespace with loopback and what `commands` add to it, such as
/// `ip address add 192.0.2.1/24 dev lo`. `test` is the test's own name.
///
/// # Panics
/// When no namespace can be made, and when the body panics.
pub fn inside(test: &str, commands: &[&str], body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        return body();
    }
    let mut script = vec!["set -e", LOOPBACK];
    script.extend(commands);
    script.push("exec \"$0\" \"$@\"");
    let binary = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", &script.join("\n")]).arg(binary);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    let inner = Running::start(command.env(INSIDE, test)).finish(LIMIT);
    eprint!("{}", inner.output);
    assert!(!inner.timed_out, "{test} hangs in its network namespace");
    assert!(
        inner.exit == Some(0) && inner.output.contains("test result: ok. 1 passed"),
        "{test} fails in its network namespace; if that could not be made at all, run as root: \
         sudo env PATH=\"$PATH\" cargo xtask test"
    );
}

/// Whether this process is root, and need not become so in a user namespace.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.starts_with(b"0"))
}
