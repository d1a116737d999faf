//! The man page and the shell completions that the binary prints: they know everything that `--help`
//! knows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::TempDir;
use turn_tests::foreign::built_binary;

#[test]
fn every_flag_and_every_command_of_help_stands_in_the_man_page() {
    let page = turnserver(&["man"]);
    assert!(page.contains(".TH turnserver 1"), "{page}");
    let commands = commands();
    let known = ["check", "config", "import", "reload", "drain", "status", "allocations", "man"];
    assert!(known.iter().all(|name| commands.contains(*name)), "{commands:?}");
    // A hyphen that is typed is written `\-` in roff.
    let page = page.replace("\\-", "-");
    for command in &commands {
        assert!(page.contains(command.as_str()), "the man page says nothing of {command}");
        for flag in flags(&turnserver(&[command, "--help"])) {
            assert!(page.contains(&flag), "the man page says nothing of {command} {flag}");
        }
    }
    let flags = flags(&turnserver(&["--help"]));
    assert!(flags.contains("--config") && flags.contains("--self-signed"), "{flags:?}");
    for flag in flags {
        assert!(page.contains(&flag), "the man page says nothing of {flag}");
    }
}

#[test]
fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = turnserver(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not know {command}");
        }
        assert!(script.contains("self-signed"), "{shell}");
    }
}

#[test]
fn bash_completes_a_command_and_a_flag() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("turnserver");
    fs::write(&script, turnserver(&["completions", "bash"])).unwrap();
    for (begun, whole) in [("allo", "allocations"), ("--self", "--self-signed")] {
        let ask = "source \"$0\"; COMP_WORDS=(turnserver \"$1\"); COMP_CWORD=1\n\
                   _turnserver turnserver \"$1\" turnserver; echo \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", ask]).arg(&script).arg(begun).output().unwrap();
        let completed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(completed.trim(), whole, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The names below `Commands:` in `--help`.
fn commands() -> BTreeSet<String> {
    let help = turnserver(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The long flags in the text of a `--help`.
fn flags(help: &str) -> BTreeSet<String> {
    let words = help.split(|c: char| c.is_whitespace() || "[],=`'\"()".contains(c));
    let words = words.map(|word| word.trim_end_matches(['.', ':', ';']));
    words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
}

fn turnserver(arguments: &[&str]) -> String {
    let output = Command::new(built_binary("turnserver")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
