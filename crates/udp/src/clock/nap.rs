//! Sleeps of some microseconds, which let packets collect so that one wake-up
//! serves many.
//!
//! A sleep is as precise as the timer slack of its thread, 50 µs unless
//! [`set_timer_slack`] says otherwise.

use std::{io, mem, ptr, time::Duration};

/// Sleeps once for about `duration`; a signal ends it early.
///
/// For the latency budget of a shard, not for pacing: the thread does nothing
/// else meanwhile.
pub fn nap(duration: Duration) {
    let wanted = timespec(duration);
    // SAFETY: `wanted` is a valid timespec for the length of the call, and a
    // null pointer asks for no remaining time.
    unsafe { libc::nanosleep(&raw const wanted, ptr::null_mut()) };
}

/// Sets how late the kernel may wake this thread from a sleep or a wait.
///
/// # Errors
/// What `prctl(PR_SET_TIMERSLACK)` says, for example under a strict seccomp
/// filter.
pub fn set_timer_slack(slack: Duration) -> io::Result<()> {
    // Zero would mean "back to the default".
    let nanoseconds =
        libc::c_ulong::try_from(slack.as_nanos()).unwrap_or(libc::c_ulong::MAX).max(1);
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(super) fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: a timespec is integers only (and padding on some targets), for
    // which all zeroes is a value.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    time.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    time.tv_nsec = duration.subsec_nanos() as _;
    time
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_nap_lasts_at_least_its_duration() {
        let before = Instant::now();
        nap(Duration::from_millis(2));
        assert!(before.elapsed() >= Duration::from_millis(2));
    }

    #[test]
    fn timer_slack_can_be_lowered() {
        set_timer_slack(Duration::from_micros(1)).unwrap();
        set_timer_slack(Duration::ZERO).unwrap();
    }
}
