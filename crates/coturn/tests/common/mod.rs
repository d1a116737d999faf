//! The host of the fixtures.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use turn_coturn::{Host, Surroundings};

/// A host at 203.0.113.7, 10.20.0.5 and 2001:db8::7 with a certificate in `/etc/turnserver`.
pub(crate) struct FixtureHost;

impl Host for FixtureHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let files = ["/etc/turnserver/fullchain.pem", "/etc/turnserver/privkey.pem"];
        if files.map(Path::new).contains(&path) {
            return Ok(b"-----BEGIN".to_vec());
        }
        if path == Path::new("/etc/turnserver/users.db") {
            return Ok(include_bytes!("../fixtures/user.turndb").to_vec());
        }
        // A socket cannot be opened as a file.
        let is_syslog = path == Path::new("/dev/log");
        Err(if is_syslog { io::ErrorKind::Other } else { io::ErrorKind::NotFound }.into())
    }

    fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        if name == "turn.example.org" { vec![[203, 0, 113, 7].into()] } else { Vec::new() }
    }
}

pub(crate) fn surroundings() -> Surroundings<'static> {
    let addresses = ["127.0.0.1", "::1", "203.0.113.7", "10.20.0.5", "2001:db8::7"];
    Surroundings {
        addresses: addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        domain: None,
        directory: PathBuf::from("/etc"),
        host: &FixtureHost,
    }
}
