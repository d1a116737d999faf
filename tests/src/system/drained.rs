//! Our server while it is to go: with calls on, and with both of its HTTP listeners.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_client::AllocateOptions;

use super::choir::{Choir, Sung};
use super::daemon::{Daemon, Stopped};
use super::http::{http_get, http_unix};
use super::scripted::{connect, user};
use crate::foreign::free_port;
use crate::lab::IPV4;

/// A running server; dropped, it is stopped.
#[derive(Debug)]
pub struct Drained {
    daemon: Daemon,
    server: SocketAddr,
    metrics: SocketAddr,
    socket: PathBuf,
    _directory: TempDir,
}

const SECOND: Duration = Duration::from_secs(1);

/// How many calls are on.
const CALLS: u32 = 100;

/// How often each call sends a message, which comes back.
const INTERVAL: Duration = Duration::from_millis(50);

impl Drained {
    /// Starts one with these lines of `[drain]`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(drain: &str) -> Self {
        let [server, metrics] = [(); 2].map(|()| SocketAddr::new(IPV4, free_port(IPV4)));
        let directory = TempDir::new().expect("a temporary directory can be made");
        let socket = directory.path().join("admin.sock");
        let daemon = Daemon::with_file(&format!(
            "shards = 2\n[[listen]]\naddress = \"{server}\"\n[relay]\naddresses = [\"{IPV4}\"]\n\
             [auth]\nusers = {{ ann = \"secret\" }}\n[drain]\n{drain}\n\
             [metrics]\naddress = \"{metrics}\"\n[admin]\nsocket = \"{}\"\n\
             [lab]\nloopback_peers = true\n",
            socket.display()
        ));
        Self { daemon, server, metrics, socket, _directory: directory }
    }

    /// `turnserver drain`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn drain(&self) {
        let drained = Daemon::run(["drain".as_ref(), "--socket".as_ref(), self.socket.as_os_str()]);
        assert_eq!(drained.exit, Some(0), "{}", drained.output);
    }

    /// The status of `/readyz`.
    fn ready(&self) -> u16 {
        http_get(self.metrics, "/readyz").expect("metrics").status
    }

    /// Asserts that within a second of the start, load balancers and new clients are told while it still lives.
    ///
    /// # Panics
    /// When that is not so.
    pub fn takes_no_new_calls(&self, start: Instant) {
        while self.ready() != 503 {
            assert!(start.elapsed() < SECOND, "still ready: {}", self.daemon.output());
            thread::sleep(SECOND / 50);
        }
        let mut client = connect(self.server, user());
        let refused = client.allocate(&AllocateOptions::default()).expect_err("no new calls");
        assert_eq!(refused.code().map(|code| code.get()), Some(508), "{refused:?}");
        assert!(start.elapsed() < SECOND, "told after {:?}", start.elapsed());
        assert_eq!(http_get(self.metrics, "/healthz").expect("metrics").status, 200);
        let status = http_unix(&self.socket, "GET", "/drain").expect("the socket");
        assert_eq!(status.status, 200, "{status:?}");
    }
    /// Drains while a hundred calls are on, the first and the last of which end so long after; nothing
    /// of any of them is lost, and the server is gone within two seconds of the last.
    ///
    /// # Panics
    /// When that is not so.
    pub fn ends_with_its_calls(self, first: Duration, last: Duration) {
        let mut choir = Choir::new(self.server, CALLS as usize);
        assert_eq!(choir.sing().lost, 0);
        assert_eq!(self.ready(), 200);
        let start = Instant::now();
        self.drain();
        self.takes_no_new_calls(start);
        let mut sung = Sung::default();
        while choir.size() > 0 {
            let round = choir.sing();
            sung.add(round);
            let gone = CALLS - u32::try_from(choir.size()).unwrap_or(CALLS);
            // From the first to the last in even steps.
            if start.elapsed() >= first + (last - first) * gone / (CALLS - 1) {
                choir.leave();
            } else {
                thread::sleep(INTERVAL.saturating_sub(round.slowest));
            }
        }
        eprintln!("{sung:?}");
        assert!(sung.lost == 0 && sung.sent > 2_000, "{sung:?}");
        self.expect_end(2 * SECOND);
    }

    /// Asserts that it ends well by itself within a time.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect_end(self, limit: Duration) {
        let Stopped { exit, took, output, .. } = self.daemon.wait(limit);
        eprintln!("it was gone after {took:?}");
        assert_eq!(exit, Some(0), "{output}");
    }

    /// Sends a signal by name and waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(self, signal: &str) -> Stopped {
        self.daemon.stop(signal)
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Where clients find it, over UDP.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Its admin socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}
