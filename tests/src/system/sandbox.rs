//! A program inside the sandbox that a systemd unit asks for, without systemd: what the unit's lines
//! say is done with `unshare`, `mount`, `setpriv` and a system-call filter of the kernel's.
//!
//! Done: user, bounding and ambient capabilities, `NoNewPrivileges`, `ProtectSystem=strict` with the
//! unit's runtime, state and log directories, `ProtectHome`, `PrivateTmp`, `PrivateDevices`,
//! `ProcSubset`, `ProtectProc`, `UMask`, `LimitNOFILE`, `LimitCORE`, `MemoryDenyWriteExecute` where
//! the kernel has it, `RestrictAddressFamilies` and `SystemCallFilter`. Stricter than the unit: a
//! refused system call does not fail, it kills.

use std::process::Command;

use super::system_calls::{SystemCalls, address_family};

/// What a unit asks for.
#[derive(Debug, Clone)]
pub struct Sandbox {
    unit: Vec<(String, String)>,
}

/// Sets the mounts up in a namespace of its own, as root, and goes on. Everything is read-only but
/// for the directories of the unit and /tmp.
const MOUNTS: &str = r#"
set -e
mount --make-rprivate /
owner=$1; shift
writable=$1; shift
umask 077
devices=/mnt/devices
mkdir -p $devices
mount -t tmpfs -o mode=0755 tmpfs $devices
for device in null zero full random urandom; do
    touch $devices/$device
    mount --bind /dev/$device $devices/$device
done
for directory in $writable; do
    mkdir -p $directory
    chown $owner $directory
    chmod 0750 $directory
    mount --bind $directory $directory
done
mount --rbind $devices /dev
findmnt --raw --noheadings --output TARGET | while read -r target; do
    case " $writable " in *" $target "*) continue;; esac
    case "$target" in /proc/*|/sys/*) continue;; esac
    mount -o remount,bind,ro "$target" 2>/dev/null || true
done
mount -t proc -o subset=pid,hidepid=invisible,ro proc /proc
for directory in /tmp /var/tmp; do
    mount -t tmpfs -o mode=1777 tmpfs $directory
done
for directory in /home /root; do
    mount -t tmpfs -o mode=000,ro tmpfs $directory
done
umask "$1"; shift
ulimit -c "$1"; shift
# Beyond what it may have already, not even root may everywhere.
ulimit -n "$1" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; shift
cd /
exec "$@"
"#;

/// Puts a filter upon itself and becomes the program: `prctl(PR_SET_MDWE)`, which old kernels do not
/// have, then `prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &struct sock_fprog)`. The numbers come as
/// arguments.
const LOADER: &str = r#"
my ($prctl, $filter) = splice @ARGV, 0, 2;
syscall $prctl + 0, 65, 1, 0, 0, 0;
my $program = pack "H*", $filter;
my $header = pack "S x![P] P", length($program) / 8, $program;
syscall($prctl + 0, 22, 2, $header) == 0 or die "no filter: $!\n";
exec @ARGV or die "$ARGV[0]: $!\n";
"#;

impl Sandbox {
    /// Reads a unit.
    pub fn of(unit: &str) -> Self {
        let lines = unit.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
        let pairs = lines.filter_map(|line| line.split_once('='));
        let unit = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Self { unit: unit.collect() }
    }

    /// The values of a directive, in order.
    pub fn values(&self, key: &str) -> Vec<&str> {
        let pairs = self.unit.iter().filter(|(found, _)| found == key);
        pairs.map(|(_, value)| value.as_str()).collect()
    }

    /// The last value of a directive.
    ///
    /// # Panics
    /// When the unit has none.
    pub fn value(&self, key: &str) -> &str {
        let value = self.values(key).pop();
        value.unwrap_or_else(|| panic!("the unit has no {key}="))
    }

    /// Runs a program as the unit's user in the unit's sandbox. For root, on a root of the test's own
    /// ([`inside_root`](super::inside_root)).
    ///
    /// # Panics
    /// When a line of the unit is not understood, or systemd's sets of system calls cannot be had.
    pub fn command(&self, program: &[&str]) -> Command {
        let (user, group) = (self.value("User"), self.value("Group"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", MOUNTS, "sandbox"]);
        command.arg(format!("{user}:{group}")).arg(self.writable().join(" "));
        command.args(["UMask", "LimitCORE", "LimitNOFILE"].map(|key| self.value(key)));
        command.arg("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        command.args(["--clear-groups", "--no-new-privs"]);
        let bounding = capabilities(self.value("CapabilityBoundingSet"));
        let ambient = capabilities(self.value("AmbientCapabilities"));
        command.arg(format!("--bounding-set={bounding}"));
        command.args([format!("--inh-caps={ambient}"), format!("--ambient-caps={ambient}")]);
        let calls = SystemCalls::of_this_machine();
        let families: Vec<u32> =
            self.value("RestrictAddressFamilies").split_whitespace().map(address_family).collect();
        let filter = calls.filter(&self.values("SystemCallFilter"), &families);
        command.args(["perl", "-e", LOADER, "--"]);
        command.arg(calls.number("prctl").to_string()).arg(filter);
        command.args(program);
        // What systemd tells of the directories.
        let [state] = self.directories("StateDirectory", "/var/lib");
        command.env("STATE_DIRECTORY", state);
        command
    }

    /// The directories that the program may write to.
    fn writable(&self) -> Vec<String> {
        let kinds = [
            ("RuntimeDirectory", "/run"),
            ("StateDirectory", "/var/lib"),
            ("LogsDirectory", "/var/log"),
        ];
        kinds.into_iter().flat_map(|(key, parent)| self.directories(key, parent)).collect()
    }

    fn directories(&self, key: &str, parent: &str) -> [String; 1] {
        [format!("{parent}/{}", self.value(key))]
    }
}

/// `CAP_NET_BIND_SERVICE` as setpriv has it: `-all,+net_bind_service`.
fn capabilities(list: &str) -> String {
    let mut words = vec!["-all".to_owned()];
    let names = list.split_whitespace().map(|name| name.trim_start_matches("CAP_"));
    words.extend(names.map(|name| format!("+{}", name.to_lowercase())));
    words.join(",")
}
