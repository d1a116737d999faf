//! What systemd is told (`sd_notify(3)`); where nobody asked, nothing is.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// The server serves.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd 253 and later tells by the time which reload this is.
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "systemd is not told of the reload"),
    }
}

/// One line for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// The server stops, which may take this long.
pub fn stopping(patience: Duration) {
    notify(&[NotifyState::Stopping, NotifyState::Custom(&extended(patience))]);
}

/// The library's own form of it ends at 71 minutes.
fn extended(patience: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", (patience + MARGIN).as_micros())
}

/// Every shard has turned since the last time.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be called: twice as often as systemd asks, if it does.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 2)
}

/// What closing everything may take beyond a drain.
const MARGIN: Duration = Duration::from_secs(10);

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_a_stop_of_a_week_is_given_a_week() {
        let week = Duration::from_secs(7 * 86_400);
        assert_eq!(extended(week), "EXTEND_TIMEOUT_USEC=604810000000");
    }
}
