//! The signals that the server heeds.
//!
//! | signal | what it asks for |
//! |---|---|
//! | SIGHUP | reload the configuration and the certificates, open the log file anew |
//! | SIGUSR1 | drain, then end |
//! | SIGUSR2 | look at the certificates, as coturn does |
//! | SIGTERM, SIGINT | stop within `drain.on_term`; the second one: at once |
//!
//! Invariant: from [`Signals::heed`] on none of them ends the process by itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Stop; the signal's name.
    Stop(&'static str),
    /// Reload everything.
    Reload,
    /// Drain.
    Drain,
    /// Reload the certificates.
    Certificates,
}

impl Signals {
    /// Begins to listen; within a runtime.
    ///
    /// # Errors
    /// The kernel gives no handler.
    pub fn heed() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for one that stops, and gives its name; others wait for [`Signals::next`].
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for the next one. Dropping the future loses none.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload,
            _ = self.user_1.recv() => Wish::Drain,
            _ = self.user_2.recv() => Wish::Certificates,
        }
    }
}
