//! The kernel's system calls by name, systemd's sets of them, and filters made of both.
//!
//! A filter is a program of classic BPF over `struct seccomp_data` (seccomp(2)): what is on the list
//! passes, `socket` for the address families of a second list only, and everything else kills the
//! process.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The names and numbers of this machine's architecture.
#[derive(Debug, Clone)]
pub(crate) struct SystemCalls {
    numbers: BTreeMap<String, u32>,
}

/// `AUDIT_ARCH_*` of linux/audit.h.
const ARCHITECTURE: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// `SECCOMP_RET_ALLOW`, `SECCOMP_RET_KILL_PROCESS`.
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// A program of classic BPF as it is written.
#[derive(Debug, Default)]
struct Program {
    bytes: Vec<u8>,
}

impl SystemCalls {
    /// Asks the kernel's header.
    ///
    /// # Panics
    /// When there is no C compiler or no such header.
    pub(crate) fn of_this_machine() -> Self {
        let script = "echo '#include <asm/unistd.h>' | cc -E -dM -";
        let defines = output(Command::new("sh").args(["-c", script]));
        let defines: BTreeMap<&str, &str> = defines
            .lines()
            .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
            .collect();
        let mut numbers = BTreeMap::new();
        for (name, value) in &defines {
            // Some architectures define one by another.
            let value = defines.get(value).unwrap_or(value);
            if let (Some(name), Ok(number)) = (name.strip_prefix("__NR_"), value.parse()) {
                numbers.insert(name.to_owned(), number);
            }
        }
        assert!(numbers.len() > 250, "asm/unistd.h has few system calls: {}", numbers.len());
        Self { numbers }
    }

    /// The number of a system call.
    ///
    /// # Panics
    /// When this machine does not have it.
    pub(crate) fn number(&self, name: &str) -> u32 {
        *self.numbers.get(name).unwrap_or_else(|| panic!("no system call {name}"))
    }

    /// The program that lets pass what the values of `SystemCallFilter=` let pass, in hexadecimal.
    ///
    /// # Panics
    /// When the values are no allow list of systemd's sets.
    pub(crate) fn filter(&self, values: &[&str], families: &[u32]) -> String {
        let mut passing = members("@default");
        for value in values {
            let (names, is_removed) = match value.strip_prefix('~') {
                Some(names) => (names, true),
                None => (*value, false),
            };
            for name in names.split_whitespace().flat_map(members) {
                if is_removed {
                    passing.remove(&name);
                } else {
                    passing.insert(name);
                }
            }
        }
        assert!(passing.contains("socket") && !passing.contains("mount"), "{passing:?}");
        // Not every name exists on every architecture.
        let numbers = passing.iter().filter(|name| *name != "socket");
        let numbers: Vec<u32> =
            numbers.filter_map(|name| self.numbers.get(name).copied()).collect();
        let mut program = Program::default();
        program.load(ARCH);
        program.unless_equal(ARCHITECTURE, KILL);
        program.load(NUMBER);
        for number in numbers {
            program.if_equal(number, ALLOW);
        }
        program.unless_equal(self.number("socket"), KILL);
        program.load(FIRST_ARGUMENT);
        for &family in families {
            program.if_equal(family, ALLOW);
        }
        program.end(KILL);
        program.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Program {
    fn load(&mut self, offset: u32) {
        self.instruction(LOAD, [0, 0], offset);
    }

    fn if_equal(&mut self, value: u32, verdict: u32) {
        self.instruction(JUMP_IF_EQUAL, [0, 1], value);
        self.end(verdict);
    }

    fn unless_equal(&mut self, value: u32, verdict: u32) {
        self.instruction(JUMP_IF_EQUAL, [1, 0], value);
        self.end(verdict);
    }

    fn end(&mut self, verdict: u32) {
        self.instruction(RETURN, [0, 0], verdict);
    }

    /// One `struct sock_filter`: code, where to go if true and if false, a number.
    fn instruction(&mut self, code: u16, jumps: [u8; 2], number: u32) {
        self.bytes.extend(code.to_ne_bytes());
        self.bytes.extend(jumps);
        self.bytes.extend(number.to_ne_bytes());
    }
}

/// The number of an address family by its name in a unit.
///
/// # Panics
/// When no unit of ours names it.
pub(crate) fn address_family(name: &str) -> u32 {
    match name {
        "AF_UNIX" => 1,
        "AF_INET" => 2,
        "AF_INET6" => 10,
        "AF_NETLINK" => 16,
        _ => panic!("RestrictAddressFamilies= has {name}, which is not known here"),
    }
}

/// The system calls of a set of systemd's, sets within it included, or the one of this name.
fn members(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let mut analyze = Command::new("systemd-analyze");
    let listed = output(analyze.args(["--no-pager", "syscall-filter", name]));
    let lines = listed.lines().skip(1).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(members).collect()
}

fn output(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot start {command:?}: {error}; run: cargo xtask tools")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_taken_apart_to_their_members() {
        let service = members("@system-service");
        assert!(
            ["read", "socket", "epoll_wait", "futex"].iter().all(|&name| service.contains(name))
        );
        assert!(!service.contains("mount") && service.iter().all(|name| !name.starts_with('@')));
    }

    #[test]
    fn a_removed_set_is_not_in_the_filter() {
        let calls = SystemCalls::of_this_machine();
        let instruction = |name: &str| {
            let mut program = Program::default();
            program.if_equal(calls.number(name), ALLOW);
            program.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let whole = calls.filter(&["@system-service"], &[1]);
        let less = calls.filter(&["@system-service", "~@privileged"], &[1]);
        assert!(whole.contains(&instruction("chown")) && !less.contains(&instruction("chown")));
        assert!(less.contains(&instruction("sendmmsg")));
    }
}
