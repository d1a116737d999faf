//! Records for syslog: one datagram each to the socket of the local daemon.
//!
//! `<PRI>turnserver[PID]: text`, the form that the C library sends (RFC 3164 section 4.1) without
//! its timestamp: every daemon puts its own in when there is none, and ours would have to know the
//! local time. Nothing here waits: a record that the daemon has no room for is lost and counted.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::Level;

/// Where the local daemon listens.
pub(super) const SOCKET: &str = "/dev/log";

/// Longest text of one record; what is longer is cut. Daemons take 8 KiB at least (RFC 5424
/// section 6.1 asks for 2 KiB).
const LONGEST: usize = 8_000;

/// Facilities by their usual names (RFC 5424 section 6.2.1).
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The local syslog daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    socket: UnixDatagram,
    facility: u8,
    lost: u64,
}

impl Syslog {
    /// Connects to the daemon at `path`, as `facility`; a name that is none is `daemon`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn connect(path: &Path, facility: &str) -> io::Result<Self> {
        let socket = open(path)?;
        Ok(Self { path: path.to_owned(), socket, facility: facility_code(facility), lost: 0 })
    }

    /// Sends under another facility from now on.
    pub(super) fn set_facility(&mut self, facility: &str) {
        self.facility = facility_code(facility);
    }

    /// Sends one record.
    pub(super) fn write(&mut self, level: Level, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.get(..LONGEST).unwrap_or(text);
        let priority = u16::from(self.facility) * 8 + severity(level);
        let mut record = format!("<{priority}>turnserver[{}]: ", std::process::id()).into_bytes();
        record.extend_from_slice(text);
        match self.send(&record) {
            Ok(()) => {
                if self.lost > 0 {
                    let lost = std::mem::take(&mut self.lost);
                    let notice = format!(
                        "<{priority}>turnserver[{}]: {lost} records lost, syslog had no room",
                        std::process::id()
                    );
                    // It is no worse than those that were lost.
                    let _ = self.send(notice.as_bytes());
                }
            }
            Err(_) => self.lost += 1,
        }
    }

    /// A daemon that was restarted has a new socket at the same place.
    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        match self.socket.send(record) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            Err(_) => {
                self.socket = open(&self.path)?;
                self.socket.send(record).map(|_| ())
            }
        }
    }
}

fn open(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn facility_code(name: &str) -> u8 {
    FACILITIES.iter().find(|(known, _)| *known == name).map_or(3, |(_, code)| *code)
}

/// RFC 5424 section 6.2.1: err, warning, info, debug.
fn severity(level: Level) -> u16 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_record_bears_facility_severity_and_process() {
        let world = World::new();
        let mut syslog = Syslog::connect(&world.path, "local3").unwrap();
        syslog.write(Level::WARN, b"a limit\n");
        assert_eq!(world.receive(), format!("<156>turnserver[{}]: a limit", std::process::id()));
        syslog.set_facility("no such");
        syslog.write(Level::INFO, b"x");
        assert!(world.receive().starts_with("<30>turnserver["));
    }

    #[test]
    fn a_daemon_that_comes_back_is_found_again() {
        let mut world = World::new();
        let mut syslog = Syslog::connect(&world.path, "daemon").unwrap();
        std::fs::remove_file(&world.path).unwrap();
        world.daemon = UnixDatagram::bind(world.directory.path().join("other")).unwrap();
        syslog.write(Level::INFO, b"lost");
        world.daemon = UnixDatagram::bind(&world.path).unwrap();
        syslog.write(Level::INFO, b"found");
        assert!(world.receive().ends_with(": found"));
        assert!(world.receive().contains("1 records lost"));
    }

    #[test]
    fn a_daemon_that_reads_nothing_keeps_nobody_waiting() {
        let world = World::new();
        let mut syslog = Syslog::connect(&world.path, "daemon").unwrap();
        for _ in 0..10_000 {
            syslog.write(Level::INFO, &[b'x'; 2_000]);
        }
        assert!(syslog.lost > 0);
    }

    #[test]
    fn a_long_text_is_cut() {
        let world = World::new();
        let mut syslog = Syslog::connect(&world.path, "daemon").unwrap();
        syslog.write(Level::INFO, &[b'x'; 3 * LONGEST]);
        assert!(world.receive().len() < LONGEST + 100);
    }

    struct World {
        directory: tempfile::TempDir,
        path: PathBuf,
        daemon: UnixDatagram,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            let daemon = UnixDatagram::bind(&path).unwrap();
            Self { directory, path, daemon }
        }

        fn receive(&self) -> String {
            let mut buffer = vec![0; 65_536];
            self.daemon.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            let length = self.daemon.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        }
    }
}
