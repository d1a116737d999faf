//! `systemd/`: what systemd thinks of the unit, and the server at work in the sandbox that the unit
//! asks for.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use turn_client::{Client, TlsOptions};
use turn_tests::foreign::built_binary;
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Authority, Choir, Daemon, KeyKind, NotifySocket, PemFiles, Sandbox, http_get, inside_root, user,
};

const SOON: Duration = Duration::from_secs(5);

/// The signal of a system call that the filter refuses.
const SIGSYS: i32 = 31;

/// The most that the unit may expose, in tenths, as `systemd-analyze security` counts.
const MOST_EXPOSURE: u32 = 15;

/// The name of the certificate.
const NAME: &str = "turn.example.org";

#[test]
fn the_unit_exposes_one_and_a_half_at_most() {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager"]);
    let analyze =
        analyze.arg(format!("--threshold={MOST_EXPOSURE}")).arg(file("turnserver.service"));
    let output = analyze.output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot start systemd-analyze: {error}; run: cargo xtask tools")
    });
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}\n{}", text(&output.stderr));
    let (_, score) = table.rsplit_once("turnserver.service: ").unwrap();
    let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
    assert!(score > 0.0 && score <= f64::from(MOST_EXPOSURE) / 10.0, "{score}");
}

#[test]
fn the_unit_and_the_account_are_understood_by_systemd() {
    inside_root("the_unit_and_the_account_are_understood_by_systemd", &[], || {
        install();
        let unit = "/etc/systemd/system/turnserver.service";
        fs::copy(file("turnserver.service"), unit).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let output = verify.args(["verify", "--man=no", unit]).output().unwrap();
        // Other units of the machine may have faults of their own.
        let complaints = text(&output.stderr) + &text(&output.stdout);
        let ours: Vec<_> = complaints.lines().filter(|line| line.contains("turnserver")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
        let account = run(&["getent", "passwd", "turnserver"]);
        assert!(account.trim_end().ends_with("nologin"), "{account}");
    });
}

#[test]
fn the_server_does_all_its_work_in_the_sandbox_of_the_unit() {
    inside_root("the_server_does_all_its_work_in_the_sandbox_of_the_unit", &[], || {
        install();
        let authority = Authority::new(KeyKind::Ecdsa);
        configure(&authority);
        let unit = unit();
        let systemd = NotifySocket::bind_below(Path::new("/run"));
        let mut command = unit.command(&words(unit.value("ExecStart")));
        systemd.supervise(&mut command, Duration::from_secs(2));
        let server = Daemon::with(&mut command);
        systemd.wait_for("READY=1", SOON);

        for (port, how) in [(3478, How::Udp), (443, How::Udp), (443, How::Tcp), (443, How::Tls)] {
            let mut choir = Choir::of(2, || how.connect(SocketAddr::new(IPV4, port), &authority));
            let sung = choir.sing_for(Duration::from_millis(200), Duration::from_millis(10));
            assert!(sung.sent > 10 && sung.lost == 0, "{how:?}: {sung:?}");
        }
        let metrics = http_get("127.0.0.1:9641".parse().unwrap(), "/metrics").unwrap();
        assert!(metrics.status == 200 && metrics.body.contains("turn_"), "{metrics:?}");

        let process = format!("/proc/{}", server.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000400"] {
            assert!(status.contains(line), "no {line} in:\n{status}");
        }
        assert!(status.contains("CapBnd:\t0000000000000400"), "{status}");
        assert!(!status.contains("Uid:\t0"), "{status}");

        // As systemd reloads: as the unit's user, where the server is.
        let reload = within(&server, &unit, &words(unit.value("ExecReload")));
        assert!(reload.status.success(), "{}", text(&reload.stderr));
        systemd.wait_for("READY=1", SOON);
        systemd.wait_for("WATCHDOG=1", SOON);
        let status = within(&server, &unit, &["/usr/local/bin/turnserver", "status"]);
        assert!(status.status.success(), "{}", text(&status.stderr));

        let log = format!("{process}/root/var/log/turnserver/turnserver.log");
        let log = fs::read_to_string(&log).unwrap_or_else(|error| panic!("{log}: {error}"));
        let stopped = server.stop("TERM");
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
        systemd.wait_for("STOPPING=1", SOON);
        let said = log + &stopped.output;
        for refusal in ["ermission denied", "not permitted", "Read-only", "EACCES", "EPERM"] {
            assert!(!said.contains(refusal), "{said}");
        }
    });
}

#[test]
fn the_sandbox_refuses_what_the_unit_refuses() {
    inside_root("the_sandbox_refuses_what_the_unit_refuses", &[], || {
        install();
        let unit = unit();
        let passes = [
            "true",
            "touch /run/turnserver/a /var/lib/turnserver/a /var/log/turnserver/a /tmp/a",
            "test \"$(id -un)\" = turnserver",
            "test -e /proc/self/status && ! test -e /proc/sys && ! ls /proc/1 2>/dev/null",
            "perl -MSocket -e 'socket(S, $_, SOCK_DGRAM, 0) or die for AF_UNIX, AF_INET'",
        ];
        for script in passes {
            let output = unit.command(&["sh", "-c", script]).output().unwrap();
            assert!(output.status.success(), "{script}: {output:?}");
        }
        let refused = [
            "touch /usr/bin/a",
            "touch /etc/a",
            "ls /root",
            "cat /dev/mem",
            "cat /etc/shadow",
            "perl -MSocket -e 'bind(S, 0) if socket(S, 17, SOCK_RAW, 0) or die'",
        ];
        for script in refused {
            let output = unit.command(&["sh", "-c", script]).output().unwrap();
            assert!(!output.status.success(), "{script}: {output:?}");
        }
        let killed: [&[&str]; 3] = [
            &["nice", "-n", "5", "true"],
            &["perl", "-e", "chown 0, 0, '/tmp'"],
            &["perl", "-e", "socket(S, 17, 2, 0)"],
        ];
        for program in killed {
            let output = unit.command(program).output().unwrap();
            assert_eq!(output.status.signal(), Some(SIGSYS), "{program:?}: {output:?}");
        }
    });
}

/// A way in.
#[derive(Debug, Clone, Copy)]
enum How {
    Udp,
    Tcp,
    Tls,
}

impl How {
    fn connect(self, server: SocketAddr, authority: &Authority) -> Client {
        let local = SocketAddr::new(IPV4, 0);
        let client = match self {
            Self::Udp => Client::connect(local, server, user()),
            Self::Tcp => Client::connect_tcp(local, server, user()),
            Self::Tls => {
                let options = TlsOptions::new(NAME, vec![authority.der()]);
                Client::connect_tls(local, server, &options, user())
            }
        };
        client.unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// Puts binary and account where a package would.
fn install() {
    fs::create_dir_all("/usr/local/bin").unwrap();
    fs::copy(built_binary("turnserver"), "/usr/local/bin/turnserver").unwrap();
    let accounts = file("turnserver.sysusers");
    run(&["systemd-sysusers", accounts.to_str().unwrap()]);
}

/// A configuration as an operator has it: readable by the service's group and nobody else.
fn configure(authority: &Authority) {
    fs::create_dir_all("/etc/turnserver").unwrap();
    let pair = authority.leaf(&[NAME]).write_to(Path::new("/etc/turnserver"), "server");
    let configuration = format!(
        "shards = 2\n\
         [[listen]]\naddress = \"127.0.0.1:3478\"\ntransports = [\"udp\", \"tcp\"]\n\
         [[listen]]\naddress = \"127.0.0.1:443\"\n\
         transports = [\"udp\", \"tcp\", \"tls\", \"dtls\"]\n\
         [relay]\naddresses = [\"127.0.0.1\"]\n\
         [auth]\nusers = {{ ann = \"secret\" }}\n\
         [log]\ntarget = \"/var/log/turnserver/turnserver.log\"\n\
         [lab]\nloopback_peers = true\n{}",
        PemFiles::table(&[pair])
    );
    fs::write("/etc/turnserver.toml", configuration).unwrap();
    run(&["chown", "-R", "root:turnserver", "/etc/turnserver", "/etc/turnserver.toml"]);
    run(&["chmod", "-R", "u=rwX,g=rX,o=", "/etc/turnserver", "/etc/turnserver.toml"]);
}

/// Runs a program as the unit's user among the mounts of a server.
fn within(server: &Daemon, unit: &Sandbox, program: &[&str]) -> Output {
    let mut command = Command::new("nsenter");
    command.args(["--target", &server.id().to_string(), "--mount", "--root", "--", "setpriv"]);
    command.arg(format!("--reuid={}", unit.value("User")));
    command.arg(format!("--regid={}", unit.value("Group")));
    command.args(["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]);
    command.args(program).output().unwrap()
}

fn unit() -> Sandbox {
    Sandbox::of(&fs::read_to_string(file("turnserver.service")).unwrap())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(name)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
