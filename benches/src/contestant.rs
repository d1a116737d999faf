//! A TURN server as a process on a core of its own: ours, or coturn's.
//!
//! Both listen on loopback on one port over UDP, TCP and TLS, with one thread for packets, long-term
//! credentials, the same certificate and a log in a file, and let clients reach loopback peers.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use turn_client::{Client, Schedule};

use crate::{Credentials, OurConfig, pinned};

/// A server that can be started again and again.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// Whose it is, and how it runs.
    pub kind: Kind,
    /// Its program.
    pub binary: PathBuf,
}

/// Whose server, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's, with the default configuration.
    Ours,
    /// The same with `latency_budget = "off"`.
    OursWithoutNap,
    /// The same as `Ours` with two shards, which share the core.
    OursTwoShards,
    /// coturn.
    Coturn,
    /// coturn 4.17 with one relay socket for all allocations and with GSO.
    CoturnMux,
}

/// A server that answers; dropped, it is stopped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    /// Its configuration and its output.
    directory: TempDir,
}

/// How long a server may take until it answers; coturn 4.17 needs two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server says.
const OUTPUT: &str = "output";

/// A port on loopback that nothing is bound to at this moment, neither over UDP nor over TCP.
///
/// # Errors
/// There is none.
pub fn free_address() -> io::Result<SocketAddr> {
    let mut tries = 0;
    loop {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if tries == 100 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

impl Kind {
    /// What [`CoturnMux`](Self::CoturnMux) needs beyond the others.
    pub const MUX_OPTIONS: [&str; 2] = ["--multiplex-peer", "--udp-gso"];

    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursWithoutNap => "ours-no-nap",
            Self::OursTwoShards => "ours-2",
            Self::Coturn => "coturn",
            Self::CoturnMux => "coturn-mux",
        }
    }

    fn our_config(self, places: &Places<'_>) -> Option<OurConfig> {
        let ours = OurConfig { tls: true, ..OurConfig::at(places.address) };
        match self {
            Self::Ours => Some(ours),
            Self::OursWithoutNap => Some(OurConfig { naps: false, ..ours }),
            Self::OursTwoShards => {
                Some(OurConfig { shards: Some(2), metrics: places.metrics, ..ours })
            }
            Self::Coturn | Self::CoturnMux => None,
        }
    }
}

/// Where a server is.
struct Places<'a> {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    directory: &'a Path,
}

impl Contestant {
    /// How it is started.
    fn command(&self, core: u32, places: &Places<'_>) -> anyhow::Result<Command> {
        let Places { address, directory, .. } = *places;
        let mut command = pinned(core, &self.binary);
        if let Some(config) = self.kind.our_config(places) {
            let path = directory.join("turnserver.toml");
            fs::write(&path, config.to_toml())?;
            command.arg("--config").arg(path);
            return Ok(command);
        }
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        command.args(["-n", "-L", &ip, "-E", &ip, "-p", &port, "--lt-cred-mech", "-u"]);
        command.arg(format!("{}:{}", Credentials::USERNAME, Credentials::PASSWORD));
        command.args(["-r", Credentials::REALM, "--allow-loopback-peers"]);
        command.args(["--relay-threads", "1", "--no-dtls"]);
        command.args(["--tls-listening-port", &free_address()?.port().to_string()]);
        command.arg("--cert").arg(directory.join(OurConfig::CERTIFICATE));
        command.arg("--pkey").arg(directory.join(OurConfig::KEY));
        command.arg("--log-file").arg(directory.join("log"));
        command.args(["--simple-log", "--pidfile"]).arg(directory.join("pid"));
        match self.kind {
            Kind::CoturnMux => command.args(Kind::MUX_OPTIONS),
            // Off by default in later versions.
            Kind::Coturn => command.arg("--no-cli"),
            Kind::Ours | Kind::OursWithoutNap | Kind::OursTwoShards => &mut command,
        };
        Ok(command)
    }

    /// What decides about the comparison, to be printed with its result.
    ///
    /// # Errors
    /// No free port.
    pub fn describe(&self, core: u32) -> anyhow::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3478));
        let places = Places { address, metrics: None, directory: Path::new(".") };
        if let Some(config) = self.kind.our_config(&places) {
            return Ok(config.to_toml());
        }
        let command = self.command(core, &places)?;
        let words = command.get_args().map(|word| word.to_string_lossy());
        Ok(words.skip(3).collect::<Vec<_>>().join(" "))
    }

    /// Starts it on a core and waits until it answers.
    ///
    /// # Errors
    /// It does not start, ends, or does not answer in time; with what it said.
    pub fn start(&self, core: u32) -> anyhow::Result<Running> {
        anyhow::ensure!(self.binary.is_file(), "{} is not there", self.binary.display());
        let directory = TempDir::new()?;
        write_certificate(directory.path())?;
        let address = free_address()?;
        // Their default address may be another process's.
        let metrics = match self.kind {
            Kind::OursTwoShards => Some(free_address()?),
            Kind::Ours | Kind::OursWithoutNap | Kind::Coturn | Kind::CoturnMux => None,
        };
        let places = Places { address, metrics, directory: directory.path() };
        let output = File::create(directory.path().join(OUTPUT))?;
        let child = self
            .command(core, &places)?
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start taskset")?;
        let mut running = Running { child, address, metrics, directory };
        running.wait_for_an_answer()?;
        Ok(running)
    }
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its metrics are, for two shards of ours.
    pub const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join(OUTPUT)).unwrap_or_default()
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
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a certificate that nobody has to believe, as both servers read it.
fn write_certificate(directory: &Path) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed([Credentials::REALM.to_owned()])?;
    fs::write(directory.join(OurConfig::CERTIFICATE), made.cert.pem())?;
    fs::write(directory.join(OurConfig::KEY), made.signing_key.serialize_pem())?;
    Ok(())
}
