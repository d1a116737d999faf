//! What the server tells systemd, received in systemd's place: ready, reloading, stopping, and that it
//! is alive for as long as every shard turns.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_tests::foreign::{Running, free_port};
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, NotifySocket, allocated, inside};

const SOON: Duration = Duration::from_secs(10);

/// The period of the watchdog in these tests; the unit's is 30 s.
const WATCHDOG: Duration = Duration::from_secs(2);

#[test]
fn systemd_is_told_of_ready_of_each_reload_and_of_the_stop() {
    let systemd = NotifySocket::bind();
    let site = Site::new();
    let server = site.start(&systemd, Duration::ZERO);
    let (_, before) = systemd.wait_for("READY=1", SOON);
    assert!(before.iter().all(|notice| notice.value("STOPPING").is_none()), "{before:?}");
    // Ready means that clients are served.
    allocated(site.address);

    let wrong = site.configuration.replace("shards", "shrads");
    for configuration in [&site.configuration, &wrong, &site.configuration] {
        site.write(configuration);
        server.signal("HUP");
        let (reloading, _) = systemd.wait_for("RELOADING=1", SOON);
        let since: u64 = reloading.value("MONOTONIC_USEC").unwrap().parse().unwrap();
        assert!(since > 0, "{reloading:?}");
        // A refused file ends the reload, too: systemd would wait for it.
        systemd.wait_for("READY=1", SOON);
        allocated(site.address);
    }
    // Without WATCHDOG_USEC there is no watchdog.
    server.signal("TERM");
    let (_, before) = systemd.wait_for("STOPPING=1", SOON);
    assert!(before.iter().all(|notice| notice.value("WATCHDOG").is_none()), "{before:?}");
    assert_eq!(server.stop("TERM").exit, Some(0));
}

#[test]
fn r21_the_watchdog_is_fed_only_while_every_shard_turns() {
    // In a namespace, a test may trace a process that is not its child's.
    inside("r21_the_watchdog_is_fed_only_while_every_shard_turns", &[], || {
        let systemd = NotifySocket::bind();
        let site = Site::new();
        let server = site.start(&systemd, WATCHDOG);
        systemd.wait_for("READY=1", SOON);
        let mut last = systemd.wait_for("WATCHDOG=1", SOON).0.at;
        for _ in 0..3 {
            let fed = systemd.wait_for("WATCHDOG=1", WATCHDOG).0.at;
            assert!(fed - last < WATCHDOG * 3 / 4, "{:?}", fed - last);
            last = fed;
        }
        // Each time that this thread waits for packets it hangs instead.
        let shard = thread_of(server.id(), "shard-1");
        let mut strace = Command::new("strace");
        let hang = "inject=epoll_wait,epoll_pwait,epoll_pwait2:delay_enter=20s";
        strace.args(["-qq", "-o", "/dev/null", "-e", hang, "-p", &shard.to_string()]);
        let hanging = Running::start(&mut strace);
        thread::sleep(WATCHDOG / 2);
        while systemd.next(Duration::ZERO).is_some() {}
        let unfed = systemd.next(2 * WATCHDOG);
        assert!(unfed.is_none(), "{unfed:?}\n{}", hanging.output());
        drop(hanging);
        systemd.wait_for("WATCHDOG=1", SOON);
        assert_eq!(server.stop("TERM").exit, Some(0));
    });
}

#[test]
fn r20_after_kill_9_it_is_ready_within_a_second_and_clients_recover() {
    let systemd = NotifySocket::bind();
    let site = Site::new();
    let mut server = site.start(&systemd, Duration::ZERO);
    systemd.wait_for("READY=1", SOON);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let (mut client, _) = allocated(site.address);
        server.signal("KILL");
        drop(server);
        let start = Instant::now();
        server = site.start(&systemd, Duration::ZERO);
        let (ready, _) = systemd.wait_for("READY=1", SOON);
        slowest = slowest.max(ready.at - start);
        // 438 and 437 inside of these: the nonce and the allocation were the old process's.
        let gone = client.refresh(Duration::from_secs(600)).unwrap_err();
        assert_eq!(gone.code().map(turn_codec::StatusCode::get), Some(437), "{gone:?}");
        client.allocate(&turn_client::AllocateOptions::default()).unwrap();
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(server.stop("TERM").exit, Some(0));
}

/// A configuration with two shards and an admin socket, in a directory of its own.
struct Site {
    directory: TempDir,
    address: SocketAddr,
    configuration: String,
}

impl Site {
    fn new() -> Self {
        let address = SocketAddr::new(IPV4, free_port(IPV4));
        let configuration = format!(
            "shards = 2\n\
             [[listen]]\naddress = \"{address}\"\ntransports = [\"udp\", \"tcp\"]\n\
             [relay]\naddresses = [\"127.0.0.1\"]\n\
             [auth]\nusers = {{ ann = \"secret\" }}\n\
             [metrics]\naddress = \"off\"\n\
             [admin]\nsocket = \"./admin.sock\"\n\
             [lab]\nloopback_peers = true\n"
        );
        let site = Self { directory: TempDir::new().unwrap(), address, configuration };
        site.write(&site.configuration);
        site
    }

    fn write(&self, configuration: &str) {
        fs::write(self.directory.path().join("turnserver.toml"), configuration).unwrap();
    }

    fn start(&self, systemd: &NotifySocket, watchdog: Duration) -> Daemon {
        let mut command = Daemon::command();
        command.arg("--config").arg(self.directory.path().join("turnserver.toml"));
        systemd.supervise(&mut command, watchdog);
        Daemon::with(&mut command)
    }
}

/// The id of a thread of a process by its name.
fn thread_of(process: u32, name: &str) -> u32 {
    let mut tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(Result::unwrap);
    let task = tasks.find(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    task.and_then(|task| task.file_name().to_str()?.parse().ok()).unwrap()
}
