//! The signals that the server heeds.
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
    user_2: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Stop; the signal's name.
    Stop(&'static str),
    /// Reload; the signal's name.
    Reload(&'static str),
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
            // coturn reloads its certificates on it.
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one. Dropping the future loses none.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload("SIGHUP"),
            _ = self.user_2.recv() => Wish::Reload("SIGUSR2"),
        }
    }
}
