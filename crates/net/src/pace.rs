//! When to nap before the next look at the sockets.
//!
//! At media rates half of a packet's cost is sleeping and waking for it. A nap
//! of at most `latency_budget` lets several packets collect for one wake-up. It
//! is off when idle, where nobody would gain, and at saturation, where batches
//! fill by themselves and a closed loop would nap itself down.
//!
//! The packet task naps itself, after a turn. Connections have a task each, of
//! which none knows when all have had their turn; for them the runtime naps,
//! before it waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use turn_udp::nap;

use crate::clock;
use crate::net_counters::NetCounters;

/// Measures the packet rate and decides.
#[derive(Debug)]
pub(crate) struct Pace {
    budget: Option<Duration>,
    since: Instant,
    packets: u64,
    is_media_rate: bool,
}

const WINDOW: Duration = Duration::from_millis(250);

/// Packets a second between which a nap pays.
const MEDIA_RATES: std::ops::Range<u64> = 5_000..100_000;

/// A visit that served this many had no need of a nap.
pub(crate) const FULL_VISIT: usize = 24;

/// The one pace of a shard: of its packet task, which naps itself, and of its streams, for which
/// the runtime naps before it waits.
#[derive(Debug)]
pub(crate) struct Napper {
    counters: Arc<NetCounters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    /// Frames of streams at the last look.
    frames: u64,
    /// The packet task has napped since the runtime last waited.
    has_napped: bool,
}

impl Napper {
    pub(crate) fn new(budget: Option<Duration>, counters: Arc<NetCounters>) -> Self {
        let pace = Pace::new(budget, clock::now().mono);
        Self { counters, state: Mutex::new(State { pace, frames: 0, has_napped: false }) }
    }

    /// After a visit to sockets that served `packets` and left some: no nap.
    pub(crate) fn count(&self, packets: usize) {
        self.lock().pace.after(packets, clock::now().mono);
    }

    /// After a visit to sockets that served `packets`: naps, if that pays.
    pub(crate) fn after(&self, packets: usize) {
        let mut state = self.lock();
        let budget = state.pace.after(packets, clock::now().mono);
        state.has_napped = budget.is_some();
        drop(state);
        self.nap(budget);
    }

    /// Before the runtime waits: many streams are then served by one wake-up. Where the packet task
    /// has napped for them, what came meanwhile is not kept waiting for longer.
    pub(crate) fn before_waiting(&self) {
        let frames = self.counters.stream_frames.get();
        let mut state = self.lock();
        let served = frames.wrapping_sub(std::mem::replace(&mut state.frames, frames));
        let has_napped = std::mem::take(&mut state.has_napped);
        if served == 0 {
            return;
        }
        let served = usize::try_from(served).unwrap_or(usize::MAX);
        let budget = state.pace.after(served, clock::now().mono).filter(|_| !has_napped);
        drop(state);
        self.nap(budget);
    }

    fn nap(&self, budget: Option<Duration>) {
        if let Some(budget) = budget {
            self.counters.naps.add(1);
            nap(budget);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    pub(crate) const fn new(budget: Option<Duration>, now: Instant) -> Self {
        Self { budget, since: now, packets: 0, is_media_rate: false }
    }

    /// How long to nap after a visit that served `packets`.
    pub(crate) fn after(&mut self, packets: usize, now: Instant) -> Option<Duration> {
        let budget = self.budget?;
        self.packets += packets as u64;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            self.is_media_rate = MEDIA_RATES.contains(&(self.packets * 1_000 / millis));
            self.packets = 0;
            self.since = now;
        }
        (self.is_media_rate && packets < FULL_VISIT).then_some(budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_micros(200);

    /// Whether the last visit of a second of `rate` packets in visits of
    /// `visit` is followed by a nap.
    fn naps(rate: u64, visit: usize) -> bool {
        let start = Instant::now();
        let mut pace = Pace::new(Some(BUDGET), start);
        let visits = rate / visit as u64;
        (1..=visits)
            .map(|at| {
                pace.after(
                    visit,
                    start
                        + Duration::from_secs(1) * u32::try_from(at).unwrap_or(0)
                            / u32::try_from(visits).unwrap_or(1),
                )
            })
            .last()
            .flatten()
            .is_some()
    }

    #[test]
    fn naps_at_media_rates_only() {
        assert!(!naps(1_000, 1));
        assert!(naps(30_000, 1));
        assert!(naps(30_000, 10));
        assert!(!naps(200_000, 20));
    }

    #[test]
    fn full_visit_is_not_followed_by_a_nap() {
        assert!(!naps(48_000, 24));
    }

    #[test]
    fn streams_do_not_make_a_second_nap_of_the_packet_tasks() {
        let counters = Arc::new(NetCounters::default());
        let napper = Napper::new(Some(BUDGET), Arc::clone(&counters));
        napper.lock().pace.is_media_rate = true;
        napper.after(1);
        assert_eq!(counters.naps.get(), 1);
        for naps in [1, 2] {
            counters.stream_frames.add(1);
            napper.before_waiting();
            assert_eq!(counters.naps.get(), naps);
        }
    }

    #[test]
    fn no_budget_no_nap() {
        let mut pace = Pace::new(None, Instant::now());
        assert_eq!(pace.after(1, Instant::now()), None);
    }
}
