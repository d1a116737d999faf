//! Other programs as values: run within a time, or stopped when dropped.
//!
//! Each gets a process group of its own, so that its children end with it, and writes into a file,
//! so that no pipe can fill up and stop it.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How often a program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A program that runs until it ends or this value is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    directory: TempDir,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub exit: Option<i32>,
    /// Whether it was stopped because its time was over.
    pub timed_out: bool,
    /// What it wrote to standard output and standard error.
    pub output: String,
}

impl Running {
    /// Starts a program in a new temporary directory.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        Self::start_in(directory, command)
    }

    /// Starts a program in a directory that is removed when it ends.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_in(directory: TempDir, command: &mut Command) -> Self {
        Self::spawn(directory, command.stdin(Stdio::null()))
    }

    /// Starts a program in a new temporary directory with an [`input`](Self::input).
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn with_input(command: &mut Command) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        Self::spawn(directory, command.stdin(Stdio::piped()))
    }

    /// The standard input of a program that was started with one.
    ///
    /// # Panics
    /// When it was not.
    pub(crate) fn input(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().expect("it was started with an input")
    }

    /// Closes its input.
    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Waits for its end, at most this long, and stops it then.
    pub fn finish(mut self, limit: Duration) -> Finished {
        let ended = self.wait(limit);
        if ended.is_none() {
            self.stop();
        }
        Finished {
            exit: ended.and_then(|status| status.code()),
            timed_out: ended.is_none(),
            output: self.output(),
        }
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output_bytes()).into_owned()
    }

    /// The same, where it is no text.
    pub(crate) fn output_bytes(&self) -> Vec<u8> {
        fs::read(output_file(&self.directory)).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name, as `TERM` or `USR1`, to the program and its children.
    pub fn signal(&self, name: &str) {
        // The group lives for as long as the child has not been waited for.
        let line = format!("kill -{name} -{}", self.child.id());
        let _ = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status();
    }

    /// Waits for its end, at most this long; `None` when it still runs.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn spawn(directory: TempDir, command: &mut Command) -> Self {
        let output = File::create(output_file(&directory)).expect("the output file can be made");
        let errors = output.try_clone().expect("the output file can be shared");
        let child = command
            .current_dir(directory.path())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, directory }
    }

    fn stop(&mut self) {
        if !self.is_running() {
            return;
        }
        self.signal("TERM");
        if self.wait(GRACE).is_none() {
            self.signal("KILL");
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A binary of this workspace that was built with the profile of the running test.
///
/// # Panics
/// When it is not there: plain `cargo test` of one package does not build another's binary.
pub fn built_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let binary = profile.join(name);
    assert!(
        binary.is_file(),
        "{} is missing; run: cargo xtask test, or: cargo build --profile checked --workspace --bins",
        binary.display()
    );
    binary
}

/// A program of Debian's coturn package.
pub(crate) fn coturn(program: &str) -> Command {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/coturn/usr/bin");
    let path = tree.join(program);
    assert!(path.is_file(), "coturn's {program} is missing; run: cargo xtask tools");
    Command::new(path)
}

/// Waits until something holds.
///
/// # Errors
/// When it does not hold in time.
pub(crate) fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn output_file(directory: &TempDir) -> PathBuf {
    directory.path().join("output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_stopped_when_its_time_is_over() {
        let start = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 60; echo done"]);
        let finished = Running::start(&mut command).finish(Duration::from_millis(300));
        assert!(finished.timed_out && start.elapsed() < Duration::from_secs(10));
        assert_eq!(finished.output, "begun\n");
    }

    #[test]
    fn a_program_that_ends_tells_its_exit_code() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 7"]);
        let finished = Running::start(&mut command).finish(Duration::from_secs(10));
        assert_eq!((finished.exit, finished.timed_out), (Some(7), false));
        assert_eq!(finished.output, "out\nerr\n");
    }
}
