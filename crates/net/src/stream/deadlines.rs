//! How long a connection may take for each step, looked at by one sweep a
//! second over all connections of a shard `[H15] [H17]`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use turn_engine::Now;

use crate::host::Host;
use crate::stream::lane::{Lane, Standing};

/// How long a shard waits for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a PROXY header and a TLS handshake, from the accept on.
    pub handshake: Duration,
    /// For the first complete message, from the accept or the handshake on.
    pub first_message: Duration,
    /// Between two messages of a client that has no allocation.
    pub idle: Duration,
    /// Without the kernel taking a byte of what waits for a client.
    pub progress: Duration,
    /// For what a client still sends after the end of its data connection.
    pub leaving: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            first_message: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            progress: Duration::from_secs(30),
            leaving: Duration::from_secs(10),
        }
    }
}

impl Patience {
    /// Time between two sweeps: a second, less where less is waited for.
    pub(crate) fn sweep_interval(&self) -> Duration {
        let shortest = [self.handshake, self.first_message, self.idle, self.progress, self.leaving]
            .into_iter()
            .min()
            .unwrap_or_default();
        (shortest / 2).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

impl Host {
    /// Ends what has taken too long, and takes back what is not used.
    pub(crate) fn sweep(&mut self, now: Now, patience: &Patience) {
        let mut late = Vec::new();
        for lane in self.streams.iter() {
            lane.give_back();
            if is_late(lane, now.mono, patience) {
                late.push(Rc::clone(lane));
            }
        }
        for lane in late {
            // An allocation or a data connection may be idle for as long as it lives.
            let is_idle = matches!(lane.standing(), Standing::Stranger | Standing::Proven);
            let is_stalled = is_stalled(&lane, now.mono, patience);
            if is_idle && !is_stalled && self.serves(now, &lane) {
                lane.touch(now.mono);
            } else if self.streams.close(&lane) {
                self.counters.connections_timed_out.add(1);
            }
        }
    }
}

impl Host {
    /// Tells every connection to end.
    pub(crate) fn close_streams(&mut self) {
        let all: Vec<Rc<Lane>> = self.streams.iter().cloned().collect();
        for lane in all {
            self.streams.close(&lane);
        }
    }
}

fn is_late(lane: &Lane, now: Instant, patience: &Patience) -> bool {
    if lane.is_closing() {
        return false;
    }
    // [H15]
    let limit = match lane.standing() {
        Standing::Handshaking => patience.handshake,
        Standing::Silent => patience.first_message,
        Standing::Stranger | Standing::Proven => patience.idle,
        Standing::Leaving => patience.leaving,
    };
    now.saturating_duration_since(lane.since()) >= limit || is_stalled(lane, now, patience)
}

fn is_stalled(lane: &Lane, now: Instant, patience: &Patience) -> bool {
    // [H17]
    lane.stalled_since()
        .is_some_and(|since| now.saturating_duration_since(since) >= patience.progress)
}
