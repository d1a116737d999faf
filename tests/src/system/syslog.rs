//! The log of a machine: what programs send to /dev/log, on a root of the test's own.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What has been logged; it listens until the process ends.
#[derive(Debug)]
pub struct Syslog {
    text: Arc<Mutex<String>>,
}

impl Syslog {
    /// Listens on /dev/log, inside of [`inside_root`](super::inside_root).
    ///
    /// # Panics
    /// When somebody else does.
    pub fn start() -> Self {
        let socket = UnixDatagram::bind("/dev/log");
        let socket = socket.unwrap_or_else(|error| panic!("/dev/log: {error}"));
        let text = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&text);
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { text }
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
