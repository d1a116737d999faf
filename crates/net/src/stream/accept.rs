//! The accept task of a TCP listener: one at a time, no faster than `accepts`
//! allows, and without spinning when descriptors run out `[R8]`.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::clock;
use crate::stream::context::{Entrance, StreamContext};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Well below the second within which a listener recovers `[R8]`.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a rate is waited for before it is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long to stay away from a listener that cannot accept.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

/// Accepts for as long as the shard lives.
pub(crate) async fn accept(context: Rc<StreamContext>, listener: TcpListener, entrance: Entrance) {
    let mut pause = Pause::default();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                pause = Pause::default();
                context.wait_for_turn().await;
                context.take_in(stream, client, &entrance);
            }
            Err(error) => pause.after(&context, &error).await,
        }
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pause {
    /// Waits where another try would meet the same error.
    pub(crate) async fn after(&mut self, context: &StreamContext, error: &io::Error) {
        if is_of_the_connection(error) {
            return;
        }
        context.note_accept_error(error);
        // [R8] What waits in the backlog waits on; live relays are not disturbed.
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

impl StreamContext {
    /// Waits for one unit of `accepts`; the backlog holds the rest `[H15]`.
    async fn wait_for_turn(&self) {
        loop {
            let rate = self.core.borrow().host.engine.settings().limits.accepts;
            let Err(wait) = self.admission.take_accept(rate, clock::now().mono) else { return };
            self.core.borrow().host.meet_limit("accepts");
            // A reload may have brought another rate meanwhile.
            sleep(wait.min(LONGEST_WAIT)).await;
        }
    }

    fn note_accept_error(&self, error: &io::Error) {
        let core = self.core.borrow();
        core.host.counters.accept_errors.add(1);
        if is_exhausted(error) && self.admission.is_first_exhaustion() {
            core.host.observer.out_of_descriptors(core.host.shard, error);
        }
    }
}

/// accept(2): errors of the connection that waited; the next one may be well.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn is_of_the_connection(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::Interrupted
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::PermissionDenied => true,
        // EPROTO, ENONET, ENOPROTOOPT, EOPNOTSUPP, EHOSTDOWN.
        _ => matches!(error.raw_os_error(), Some(71 | 64 | 92 | 95 | 112)),
    }
}

/// ENOMEM, ENFILE, EMFILE, ENOBUFS.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_only_errors_that_the_next_accept_would_meet_too_make_a_pause() {
        for (errno, is_passing, is_want) in [
            (103, true, false), // ECONNABORTED
            (71, true, false),  // EPROTO
            (113, true, false), // EHOSTUNREACH
            (1, true, false),   // EPERM: a firewall
            (24, false, true),  // EMFILE
            (23, false, true),  // ENFILE
            (12, false, true),  // ENOMEM
            (105, false, true), // ENOBUFS
            (22, false, false), // EINVAL: it would come again and again
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!((is_of_the_connection(&error), is_exhausted(&error)), (is_passing, is_want));
        }
    }
}
