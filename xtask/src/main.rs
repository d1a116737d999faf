//! The project's own commands: `cargo xtask test [--long] | tools | lint | instructions | rfc-status`.
//!
//! `test` is the second command of the README and all that CI runs. It installs or builds what it
//! needs on a fresh Debian machine; what cannot be had is an error with the line that fixes it,
//! never a test left out.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

mod command;
mod counts;
mod foreign;
mod foreign_programs;
mod instructions;
mod lint;
mod metadata;
mod mutants;
mod no_io;
mod policy;
mod python;
mod rfc_status;
mod rust_source;
mod steps;
mod tags;
mod tally;
mod test;
mod tools;
mod walls;

use std::env;
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--long]  install what is missing, lint, count instructions, run every test, write
                 docs/rfc-status.md; --long adds the checks that take hours
  tools          install what the tests need and nothing else
  lint           formatting, clippy, docs, walls between the crates, dependency policy
  instructions [--bless]
                 count the instructions of the packet path and hold them against
                 benches/instructions/counts.toml; --bless writes that file
  rfc-status     write docs/rfc-status.md from the tests that the last `test` ran";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome: Result<bool> = match *words {
        ["test"] => Ok(test::run(test::Extent::Usual)),
        ["test", "--long"] => Ok(test::run(test::Extent::Long)),
        ["tools"] => tools::install().map(|()| true),
        ["lint"] => Ok(lint::run()),
        ["instructions"] => instructions::run(instructions::Purpose::Check).map(|()| true),
        ["instructions", "--bless"] => {
            instructions::run(instructions::Purpose::Bless).map(|()| true)
        }
        ["rfc-status"] => rfc_status::from_last_run().map(|()| true),
        _ => {
            println!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
