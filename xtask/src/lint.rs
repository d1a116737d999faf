//! `cargo xtask lint`: formatting, clippy, docs, the walls, the dependency policy; and the source
//! files over 500 lines, as places to look.

use std::fs;

use anyhow::Result;

use crate::command::{self, cargo, cargo_build, root};
use crate::metadata::Metadata;
use crate::rust_source::files;
use crate::steps::Steps;
use crate::tags;
use crate::walls::{self, relative};
use crate::{no_io, policy};

/// A file longer than this probably holds a second noun.
const LONG_FILE: usize = 500;

/// Where source files are looked for.
pub(crate) const SOURCES: [&str; 5] = ["crates", "examples", "tests", "benches", "xtask"];

/// Runs all of it and tells whether all of it passed.
pub(crate) fn run() -> bool {
    let mut steps = Steps::default();
    steps_of_lint(&mut steps);
    steps.failed().is_empty()
}

/// The steps, for `test` to count with its own. One that fails does not stop the next.
pub(crate) fn steps_of_lint(steps: &mut Steps) {
    steps.run("lint: formatting", || command::run(cargo("fmt").args(["--all", "--", "--check"])));
    steps.run("lint: clippy", || {
        let mut command = cargo_build("clippy");
        command.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        command::run(&mut command)
    });
    steps.run("lint: docs", || {
        let mut command = cargo_build("doc");
        command.args(["--quiet", "--workspace", "--no-deps"]);
        command::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("lint: walls", || walls::check(&Metadata::read()?));
    steps.run("lint: crates without I/O", || no_io::check(&Metadata::read()?));
    steps.run("lint: row tags", tags::check);
    steps.run("lint: dependency policy", policy::check);
    steps.run("lint: file lengths", print_long_files);
}

fn print_long_files() -> Result<()> {
    for directory in SOURCES {
        for file in files(&root().join(directory))? {
            let lines = fs::read_to_string(&file)?.lines().count();
            if lines > LONG_FILE {
                println!("look: {} has {lines} lines", relative(&file).display());
            }
        }
    }
    Ok(())
}
