//! A TURN server as a process on a core of its own: ours, or coturn's.
//!
//! Both listen on loopback over UDP, with one thread for packets, long-term
//! credentials, no TLS and no log, and let clients reach loopback peers.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use turn_client::{Client, Schedule};

use crate::pinned;

/// Whose server.
#[derive(Clone, Debug)]
pub enum Contestant {
    /// This project's, by the path of its binary.
    Ours(PathBuf),
    /// coturn, by the path of its binary.
    Coturn(PathBuf),
}

/// The one user of both servers.
#[derive(Clone, Copy, Debug)]
pub struct Credentials;

/// A server that answers; dropped, it is stopped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
    /// Its configuration and its output.
    directory: TempDir,
}

/// How long a server may take until it answers; coturn 4.17 needs two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Beyond so many allocations from one address, limits of ours are in the way.
const WITHIN_LIMITS: usize = 1_000;

impl Credentials {
    /// The user name.
    pub const USERNAME: &str = "bench";
    /// The password.
    pub const PASSWORD: &str = "password";
    /// The realm.
    pub const REALM: &str = "bench.example";

    /// As a client takes them.
    pub fn of_client() -> turn_client::Credentials {
        turn_client::Credentials::password(Self::USERNAME, Self::PASSWORD)
    }
}

/// The configuration of our server. Up to 1,000 allocations every limit has its
/// default; beyond, the two that count one address are off.
pub fn our_config(address: SocketAddr, allocations: usize) -> String {
    let (name, password) = (Credentials::USERNAME, Credentials::PASSWORD);
    let mut text = format!(
        "realm = \"{}\"\nshards = 1\n\n[[listen]]\naddress = \"{address}\"\ntransports = \
         [\"udp\"]\n\n[relay]\naddresses = [\"{}\"]\n\n[auth]\nusers = {{ {name} = \
         \"{password}\" }}\n\n[lab]\nloopback_peers = true\n\n[log]\nlevel = \"warn\"\n",
        Credentials::REALM,
        address.ip(),
    );
    if allocations > WITHIN_LIMITS {
        text.push_str("\n[limits]\nallocations_per_source = \"off\"\nchallenges = \"off\"\n");
    }
    text
}

/// An address on loopback that nothing is bound to at this moment.
///
/// # Errors
/// There is none.
pub fn free_address() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Contestant {
    /// One word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "ours",
            Self::Coturn(_) => "coturn",
        }
    }

    /// How it is started at an address, for so many allocations, with its
    /// configuration in a directory.
    fn command(
        &self,
        core: u32,
        address: SocketAddr,
        allocations: usize,
        directory: &Path,
    ) -> anyhow::Result<Command> {
        match self {
            Self::Ours(binary) => {
                let config = directory.join("turnserver.toml");
                fs::write(&config, our_config(address, allocations))?;
                let mut command = pinned(core, binary);
                command.arg("--config").arg(config);
                Ok(command)
            }
            Self::Coturn(binary) => {
                let mut command = pinned(core, binary);
                let (ip, port) = (address.ip().to_string(), address.port().to_string());
                command.args(["-n", "-L", &ip, "-E", &ip, "-p", &port, "--lt-cred-mech", "-u"]);
                command.arg(format!("{}:{}", Credentials::USERNAME, Credentials::PASSWORD));
                command.args(["-r", Credentials::REALM, "--allow-loopback-peers"]);
                command.args(["--relay-threads", "1", "--no-tls", "--no-dtls", "--no-cli"]);
                command.args(["--log-file", "/dev/null", "--pidfile"]);
                command.arg(directory.join("pid"));
                Ok(command)
            }
        }
    }

    /// What decides about the comparison, to be printed with its result.
    ///
    /// # Errors
    /// No temporary directory.
    pub fn describe(&self, core: u32, allocations: usize) -> anyhow::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3478));
        match self {
            Self::Ours(_) => Ok(our_config(address, allocations)),
            Self::Coturn(_) => {
                let command = self.command(core, address, allocations, Path::new("/tmp"))?;
                let words = command.get_args().map(|word| word.to_string_lossy());
                Ok(words.skip(3).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// Starts it on a core and waits until it answers.
    ///
    /// # Errors
    /// It does not start, ends, or does not answer in time; with what it said.
    pub fn start(&self, core: u32, allocations: usize) -> anyhow::Result<Running> {
        let (Self::Ours(binary) | Self::Coturn(binary)) = self;
        anyhow::ensure!(binary.is_file(), "{} is not there", binary.display());
        let directory = TempDir::new()?;
        let address = free_address()?;
        let output = File::create(directory.path().join("output"))?;
        let child = self
            .command(core, address, allocations, directory.path())?
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .context("cannot start taskset")?;
        let mut running = Running { child, address, directory };
        running.wait_for_an_answer()?;
        Ok(running)
    }
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for_an_answer(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut client = Client::connect(local, self.address, Credentials::of_client())?;
        client.set_schedule(Schedule::once(Duration::from_millis(50)));
        while client.binding().is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}): {}", self.said());
            }
            if Instant::now() > until {
                bail!("no answer from {}: {}", self.address, self.said());
            }
            // A port that nobody listens on refuses at once.
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
