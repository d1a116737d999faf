//! A timer that is a descriptor.
//!
//! Whoever waits for sockets with a deadline sets a timer of the kernel up and
//! takes it down at each wait. This one is set up once for good, so that a
//! runtime with nothing else to wake for waits without a deadline.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::Duration,
};

use super::nap::timespec;

/// Fires again and again, on the monotonic clock.
#[derive(Debug)]
pub struct Ticker {
    fd: OwnedFd,
}

impl Ticker {
    /// Fires every `interval`, for the first time after one; zero is taken for
    /// a nanosecond.
    ///
    /// # Errors
    /// What `timerfd_create` and `timerfd_settime` say.
    pub fn every(interval: Duration) -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the call takes two integers and touches no memory.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A timer of zero would be none.
        let period = timespec(interval.max(Duration::from_nanos(1)));
        let times = libc::itimerspec { it_interval: period, it_value: period };
        // SAFETY: `times` is readable for the length of the call, and a null
        // pointer asks for no former value.
        let set =
            unsafe { libc::timerfd_settime(fd.as_raw_fd(), 0, &raw const times, ptr::null_mut()) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { fd }) }
    }

    /// How many times it has fired since it was last asked.
    ///
    /// # Errors
    /// What `read` says; never that there is nothing to read, which is zero.
    pub fn fired(&self) -> io::Result<u64> {
        let mut count = 0u64;
        // SAFETY: `count` is writable for its eight bytes for the length of
        // the call.
        let read = unsafe {
            libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), size_of_val(&count))
        };
        if read < 0 {
            let error = io::Error::last_os_error();
            let passes =
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if passes { Ok(0) } else { Err(error) };
        }
        Ok(count)
    }
}

impl AsRawFd for Ticker {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::time::Instant;

    use super::*;

    #[test]
    fn it_counts_what_nobody_has_asked_for() {
        let interval = Duration::from_millis(10);
        let before = Instant::now();
        let ticker = Ticker::every(interval).unwrap();
        std::thread::sleep(interval * 5);
        let fired = ticker.fired().unwrap();
        assert!(fired >= 4, "{fired}");
        assert!(u128::from(fired) <= before.elapsed().as_nanos() / interval.as_nanos());
    }

    #[test]
    fn nothing_to_read_is_no_error() {
        let ticker = Ticker::every(Duration::from_secs(3_600)).unwrap();
        assert_eq!(ticker.fired().unwrap(), 0);
    }

    #[test]
    fn zero_is_an_interval_too() {
        let ticker = Ticker::every(Duration::ZERO).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(ticker.fired().unwrap() > 0);
    }
}
