//! Our server as its users run it: the binary, with a file or without.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::swarm::limit_descriptors;
use crate::foreign::{Finished, Running, built_binary};

/// A running `turnserver`; dropped, it is stopped.
#[derive(Debug)]
pub struct Daemon {
    process: Running,
}

/// How a `turnserver` ended.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit code; `None` when a signal killed it.
    pub exit: Option<i32>,
    /// How long it took from the signal to the end.
    pub took: Duration,
    /// Everything that it wrote.
    pub output: String,
    /// The totals of its last line.
    pub counters: HashMap<String, u64>,
}

/// How long it may take until it is ready. It takes some milliseconds; the machine may be busy.
const START: Duration = Duration::from_secs(20);

/// How long it may take to end.
const END: Duration = Duration::from_secs(10);

impl Daemon {
    /// Starts it with a configuration file and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn with_file(toml: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        fs::write(directory.path().join("turnserver.toml"), toml).expect("a file can be written");
        let mut command = Self::command();
        command.args(["--config", "turnserver.toml"]);
        Self::start(Running::start_in(directory, &mut command))
    }

    /// Starts it with arguments of the test's own, in a directory of its own, and waits until it is
    /// ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn with(command: &mut Command) -> Self {
        Self::start(Running::start(command))
    }

    /// The binary, for more arguments or another environment.
    pub fn command() -> Command {
        Command::new(built_binary("turnserver"))
    }

    /// Runs the binary for another command of its, as `drain`, until that ends.
    ///
    /// # Panics
    /// When it does not end.
    pub fn run<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Finished {
        let finished = Running::start(Self::command().args(arguments)).finish(START);
        assert!(!finished.timed_out, "it does not end: {}", finished.output);
        finished
    }

    /// Runs it with a configuration file until it ends by itself.
    ///
    /// # Panics
    /// When it does not end.
    pub fn refused(toml: &str, arguments: &[&str]) -> Finished {
        Self::ends(toml, arguments, START)
    }

    /// Runs it with a configuration file until it ends by itself, which may take this long.
    ///
    /// # Panics
    /// When it does not end.
    pub fn refused_after(toml: &str, limit: Duration) -> Finished {
        Self::ends(toml, &[], limit)
    }

    fn ends(toml: &str, arguments: &[&str], limit: Duration) -> Finished {
        let directory = TempDir::new().expect("a temporary directory can be made");
        fs::write(directory.path().join("turnserver.toml"), toml).expect("a file can be written");
        let mut command = Self::command();
        command.args(["--config", "turnserver.toml"]).args(arguments);
        let finished = Running::start_in(directory, &mut command).finish(limit);
        assert!(!finished.timed_out, "it runs: {}", finished.output);
        finished
    }

    /// The first address that it says it listens on.
    ///
    /// # Panics
    /// When it says none.
    pub fn address(&self) -> SocketAddr {
        self.listening("udp")
    }

    /// The first address that it says it listens on over a transport, as `tls`.
    ///
    /// # Panics
    /// When it says none.
    pub fn listening(&self, transport: &str) -> SocketAddr {
        let output = self.output();
        let label = format!(" {transport} ");
        let mut lines = output.lines().skip_while(|line| !line.contains("listening on  "));
        let line = lines.find_map(|line| line.split_once(&label));
        let (_, rest) = line.expect("it says where it listens");
        let address = rest.lines().next().expect("a line has an end");
        address.parse().unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Memory of its that is resident now, in bytes.
    pub fn resident(&self) -> u64 {
        1_024 * self.figure("status", "VmRSS:")
    }

    /// How many descriptors it may have open.
    pub fn descriptors(&self) -> u64 {
        self.figure("limits", "Max open files")
    }

    /// Sets how many descriptors it may have open, while it runs.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn limit_descriptors(&self, count: u64) {
        let count = u32::try_from(count).expect("a number of descriptors");
        limit_descriptors(self.process.id(), count);
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// When it has ended.
    pub fn open_descriptors(&self) -> u64 {
        let directory = fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        directory.expect("the kernel tells of a process").count() as u64
    }

    /// The names of its threads.
    ///
    /// # Panics
    /// When it has ended.
    pub fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let tasks = tasks.expect("the kernel tells of a process").filter_map(Result::ok);
        tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect()
    }

    /// How long it has been on a processor, over all threads; known to 10 ms.
    ///
    /// # Panics
    /// When it has ended.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.expect("the kernel tells of a process");
        let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
        // `utime` and `stime`, fields 14 and 15 of proc(5), in hundredths of a second on every
        // Linux that we serve.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Sends a signal by name.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Waits until it has written something that holds, and returns all that it has written.
    ///
    /// # Panics
    /// When it does not in time; with what it wrote.
    #[track_caller]
    pub fn wait_for_output(&self, limit: Duration, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + limit;
        loop {
            let output = self.output();
            if holds(&output) {
                return output;
            }
            assert!(Instant::now() < deadline, "it never says so: {output}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal by name and waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(self, signal: &str) -> Stopped {
        self.process.signal(signal);
        self.wait(END)
    }

    /// Waits for an end that it comes to by itself.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Stopped {
        let start = Instant::now();
        let status = self.process.wait(limit);
        let took = start.elapsed();
        let output = self.process.output();
        let status = status.unwrap_or_else(|| panic!("it does not end: {output}"));
        Stopped { exit: status.code(), took, counters: counters(&output), output }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// The first number of a line of `/proc`.
    fn figure(&self, file: &str, line: &str) -> u64 {
        let path = format!("/proc/{}/{file}", self.process.id());
        let text = fs::read_to_string(path).expect("the kernel tells of a process");
        let rest = text.lines().find_map(|found| found.strip_prefix(line)).expect("a known line");
        let number = rest.split_whitespace().next().expect("a number");
        number.parse().unwrap_or_else(|error| panic!("{line} {number}: {error}"))
    }

    fn start(process: Running) -> Self {
        let mut this = Self { process };
        let deadline = Instant::now() + START;
        // The banner is written as a whole; the firewall or the relay is its last line.
        while !this.output().contains("\nNext:\n") {
            assert!(this.process.is_running(), "it has ended: {}", this.output());
            assert!(Instant::now() < deadline, "it is not ready: {}", this.output());
            std::thread::sleep(Duration::from_millis(5));
        }
        this
    }
}

/// Reads `stopped counters="a=1 b=2"`.
fn counters(output: &str) -> HashMap<String, u64> {
    let list = output.rsplit_once("stopped counters=\"").and_then(|(_, rest)| rest.split_once('"'));
    let pairs = list.map_or("", |(list, _)| list).split_whitespace();
    pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}
