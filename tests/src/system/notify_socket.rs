//! What a service tells systemd (sd_notify(3)), received as systemd does: datagrams on a Unix socket
//! whose path is in `NOTIFY_SOCKET`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A socket in systemd's place.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    directory: TempDir,
}

/// One datagram, and when it came.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its arrival.
    pub at: Instant,
    /// Its lines, each `NAME=value`.
    pub lines: Vec<String>,
}

impl NotifySocket {
    /// Binds one.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn bind() -> Self {
        Self::bind_below(&std::env::temp_dir())
    }

    /// Binds one in a new directory below this one, open to every user as systemd's is.
    ///
    /// # Panics
    /// As [`bind`](Self::bind).
    pub fn bind_below(parent: &Path) -> Self {
        let directory = TempDir::new_in(parent).expect("a temporary directory can be made");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a Unix socket can be bound");
        for (path, mode) in [(directory.path(), 0o755), (&path, 0o777)] {
            let opened = fs::set_permissions(path, Permissions::from_mode(mode));
            opened.expect("what was made can be opened");
        }
        Self { socket, directory }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("notify")
    }

    /// Puts a program under it, with a watchdog of this period unless it is zero.
    pub fn supervise(&self, command: &mut Command, watchdog: Duration) {
        command.env("NOTIFY_SOCKET", self.path());
        if !watchdog.is_zero() {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
    }

    /// The next notice, if one comes within this time.
    ///
    /// # Panics
    /// When the socket fails or a notice is no text.
    pub fn next(&self, limit: Duration) -> Option<Notice> {
        // Zero would mean to wait for ever.
        let limit = limit.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(limit)).expect("a read can be limited");
        let mut datagram = [0; 4096];
        let length = self.socket.recv(&mut datagram).ok()?;
        let text = datagram.get(..length).expect("a length within the buffer");
        let text = std::str::from_utf8(text).expect("a notice is text");
        Some(Notice { at: Instant::now(), lines: text.lines().map(str::to_owned).collect() })
    }

    /// The next notice with a line, and all that came before it.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for(&self, line: &str, limit: Duration) -> (Notice, Vec<Notice>) {
        let deadline = Instant::now() + limit;
        let mut before = Vec::new();
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match self.next(left) {
                Some(notice) if notice.says(line) => return (notice, before),
                Some(notice) => before.push(notice),
                None => break,
            }
        }
        panic!("no {line} within {limit:?}, but {before:?}");
    }
}

impl Notice {
    /// Whether it has this line.
    pub fn says(&self, line: &str) -> bool {
        self.lines.iter().any(|found| found == line)
    }

    /// The value of a line by its name.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.lines.iter().filter_map(|line| line.split_once('='));
        pairs.find_map(|(found, value)| (found == name).then_some(value))
    }
}
