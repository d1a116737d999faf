//! The steps of a command: each is announced, timed and counted.

use std::time::Instant;

use anyhow::Result;

/// What the steps so far came to.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    failed: Vec<String>,
}

impl Steps {
    /// Runs one step. A failure is printed and counted, and the next step may still run.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!("==> {name}: ok, {seconds:.1} s");
                true
            }
            Err(error) => {
                println!("==> {name}: FAILED, {seconds:.1} s\n    {error:#}");
                self.failed.push(name.to_owned());
                false
            }
        }
    }

    /// The names of the steps that failed.
    pub(crate) fn failed(&self) -> &[String] {
        &self.failed
    }
}
