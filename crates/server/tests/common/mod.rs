//! A server in the test's own process, started from a file as the binary starts it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use turn_client::{AllocateOptions, Allocation, Client, Credentials, Error};
use turn_config::Environment;
use turnserver::arguments::Arguments;
use turnserver::doors::Doors;
use turnserver::logging;
use turnserver::running::Running;
use turnserver::source::Source;
use turnserver::surroundings::Surroundings;

/// A running server and its file.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) running: Arc<Running>,
    pub(crate) doors: Option<Doors>,
    runtime: tokio::runtime::Runtime,
}

/// What every file here begins with: loopback, ports that the kernel and chance choose.
pub(crate) fn head(port: u16) -> String {
    format!(
        "shards = 2
         [[listen]]
         address = '127.0.0.1:{port}'
         [relay]
         addresses = ['127.0.0.1']
         [lab]
         loopback_peers = true
         [metrics]
         address = 'off'
         [admin]
         socket = './admin.sock'\n"
    )
}

/// A port that nobody has at this moment, neither over UDP nor over TCP.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Site {
    pub(crate) fn start(text: &str) -> Self {
        Self::with_name("turnserver.toml", text)
    }

    pub(crate) fn with_name(name: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        let line = ["turnserver".to_owned(), "-c".to_owned(), path.display().to_string()];
        let arguments = Arguments::parse(&line).unwrap();
        let source = Source::new(&arguments, Environment::default()).unwrap();
        let configured = source.load(&Surroundings::find().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (running, doors) = runtime.block_on(async {
            let logger = logging::start(&configured.config.log).unwrap();
            Running::start(configured, source, None, logger).unwrap()
        });
        Self { directory, path, running, doors: Some(doors), runtime }
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.server().listening().first().unwrap().address
    }

    pub(crate) fn run<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime.block_on(question)
    }

    pub(crate) fn reload(&self) -> Result<turn_admin::ReloadReport, Vec<String>> {
        self.run(self.running.reload_for("a test"))
    }

    pub(crate) fn allocate(
        &self,
        user: &str,
        password: &str,
    ) -> Result<(Client, Allocation), Error> {
        allocate(self.address(), Credentials::password(user, password))
    }
}

pub(crate) fn allocate(
    server: SocketAddr,
    credentials: Credentials,
) -> Result<(Client, Allocation), Error> {
    let local = "127.0.0.1:0".parse().unwrap();
    let mut client = Client::connect(local, server, credentials)?;
    let allocation = client.allocate(&AllocateOptions::default())?;
    Ok((client, allocation))
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that fails already needs no second reason.
        let _ = self.running.stop();
    }
}

/// Until something is so, for at most five seconds.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}
