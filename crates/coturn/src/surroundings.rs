//! What the import has to know about the host.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

/// Files and names of the host; [`ThisHost`] is the real one.
pub trait Host {
    /// The first mebibyte of a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The addresses of a host name; none where it is not known.
    fn addresses_of(&self, name: &str) -> Vec<IpAddr>;
}

/// Where coturn would run with the configuration.
#[derive(Clone)]
pub struct Surroundings<'h> {
    /// Every address of this host, loopback included.
    pub addresses: Vec<IpAddr>,
    /// The NIS domain name, coturn's realm where none is configured; [`ThisHost::domain`].
    pub domain: Option<String>,
    /// Where relative paths are looked for first: the directory of the configuration file.
    pub directory: PathBuf,
    /// Files and names.
    pub host: &'h dyn Host,
}

/// The host that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl ThisHost {
    /// The domain name that `domainname` prints; nothing where it is not set.
    pub fn domain() -> Option<String> {
        let name = std::fs::read_to_string("/proc/sys/kernel/domainname").ok()?;
        let name = name.trim();
        (!name.is_empty() && !name.eq_ignore_ascii_case("(none)")).then(|| name.to_owned())
    }
}

impl Host for ThisHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        let found = (name, 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
    }
}

/// A store of users can have any size.
const MOST: u64 = 1 << 20;
