//! Waiting on a socket for no longer than was said.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The moment when a timeout that starts now is over; one of more than a day is a day.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(86_400))
}

/// Tries until it works or the deadline has passed, at least once; `None` when the time is
/// over. `attempt` is told how long it may block, which is never zero: to a socket, a timeout of
/// zero means to wait for ever.
pub(crate) fn until<T>(
    deadline: Instant,
    mut attempt: impl FnMut(Duration) -> io::Result<T>,
) -> io::Result<Option<T>> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match attempt(left.max(Duration::from_micros(1))) {
            Ok(done) => return Ok(Some(done)),
            Err(error) if is_timeout(&error) => {
                if Instant::now() >= deadline {
                    return Ok(None);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether a blocking call has only used up its time.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_taken_after_the_deadline_too() {
        let past = Instant::now();
        assert_eq!(until(past, |_| Ok(7)).unwrap(), Some(7));
        let mut tries = 0;
        let interrupted = until(past, |_| {
            tries += 1;
            if tries == 1 { Err(ErrorKind::Interrupted.into()) } else { Ok(tries) }
        });
        assert_eq!(interrupted.unwrap(), Some(2));
    }

    #[test]
    fn timeouts_end_with_the_deadline_and_errors_at_once() {
        let end = deadline(Duration::from_millis(5));
        let silence = until::<()>(end, |left| {
            assert!(!left.is_zero());
            Err(ErrorKind::WouldBlock.into())
        });
        assert!(silence.unwrap().is_none() && Instant::now() >= end);
        let reset =
            until::<()>(deadline(Duration::MAX), |_| Err(ErrorKind::ConnectionReset.into()));
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
