//! A test in a network namespace of its own, and where it wants so on a root of its own.
//!
//! The test binary starts itself again under `unshare`, for this one test; the namespace, with
//! every interface, address and file in it, ends with that process.

use std::process::Command;
use std::time::Duration;

use crate::foreign::Running;

/// Names the test that is to run inside.
const INSIDE: &str = "TURN_TESTS_INSIDE";

/// What every namespace needs.
const LOOPBACK: &str = "ip link set lo up";

/// What a root of its own needs: this machine's files, over which everything is written into memory,
/// an empty /run, and a /dev without the machine's log. Temporary files are shared with the machine,
/// whose owner removes them.
const ROOT: &str = "\
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for directory in proc sys tmp; do mount --rbind /$directory /mnt/root/$directory; done
mount -t tmpfs tmpfs /mnt/root/run
mount -t tmpfs tmpfs /mnt/root/dev
for node in null zero full random urandom tty; do
    touch /mnt/root/dev/$node
    mount --bind /dev/$node /mnt/root/dev/$node
done
ln -s /proc/self/fd /mnt/root/dev/fd
mkdir /mnt/root/dev/shm
exec chroot /mnt/root \"$0\" \"$@\"";

const LIMIT: Duration = Duration::from_secs(120);

/// Runs a test's body in a network namespace with loopback and what `commands` add to it, such as
/// `ip address add 192.0.2.1/24 dev lo`. `test` is the test's own name.
///
/// # Panics
/// When no namespace can be made, and when the body panics.
pub fn inside(test: &str, commands: &[&str], body: impl FnOnce()) {
    again(test, &["--net"], commands, "exec \"$0\" \"$@\"", body);
}

/// The same on a root of its own: it may write to every path that a configuration of a real machine
/// names, and nothing of it stays.
///
/// # Panics
/// As [`inside`]; and when the test is not root's.
pub fn inside_root(test: &str, commands: &[&str], body: impl FnOnce()) {
    again(test, &["--net", "--mount"], commands, ROOT, body);
}

/// Runs this test again in new namespaces, and its body where that has been done.
fn again(test: &str, namespaces: &[&str], commands: &[&str], last: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        return body();
    }
    let mut script = vec!["set -e", LOOPBACK];
    script.extend(commands);
    script.push(last);
    let binary = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(namespaces);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", &script.join("\n")]).arg(binary);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    let inner = Running::start(command.env(INSIDE, test)).finish(LIMIT);
    eprint!("{}", inner.output);
    assert!(!inner.timed_out, "{test} hangs in its namespace");
    assert!(
        inner.exit == Some(0) && inner.output.contains("test result: ok. 1 passed"),
        "{test} fails in its namespace; if that could not be made at all, run as root: \
         sudo env PATH=\"$PATH\" cargo xtask test"
    );
}

/// Whether this process is root, and need not become so in a user namespace.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.starts_with(b"0"))
}
