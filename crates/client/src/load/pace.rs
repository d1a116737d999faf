//! When the next packet leaves, and how late it is.

/// How packets follow one another. Times are nanoseconds since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A fixed number is on its way; each that arrives lets another one go.
    Closed {
        /// How many.
        window: u64,
    },
    /// Evenly spread, whatever comes back.
    Open {
        /// Packets a second.
        rate: u32,
    },
}

const SECOND: u128 = 1_000_000_000;

impl Pace {
    /// How many have to leave now.
    pub(crate) fn due(self, elapsed: u64, sent: u64, on_their_way: u64) -> u64 {
        match self {
            Self::Closed { window } => window.saturating_sub(on_their_way),
            Self::Open { .. } => self.planned(elapsed).saturating_sub(sent),
        }
    }

    /// How many should have left by now; in a closed loop none has to.
    pub(crate) fn planned(self, elapsed: u64) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            // The first one leaves at the start.
            Self::Open { rate } => {
                let periods = u128::from(elapsed) * u128::from(rate) / SECOND;
                u64::try_from(periods + 1).unwrap_or(u64::MAX)
            }
        }
    }

    /// For how long the packet after `sent` others has been due; `None` where none is late by
    /// nature, or where it is not due yet.
    pub(crate) fn late(self, elapsed: u64, sent: u64) -> Option<u64> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { rate } => {
                let due = (u128::from(sent) * SECOND).div_ceil(u128::from(rate.max(1)));
                elapsed.checked_sub(u64::try_from(due).ok()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn open_loop_sends_what_the_clock_says_and_no_more() {
        let pace = Pace::Open { rate: 1_000 };
        assert_eq!(pace.due(0, 0, 0), 1);
        assert_eq!(pace.due(MS - 1, 1, 0), 0);
        assert_eq!(pace.due(MS, 1, 500), 1);
        assert_eq!(pace.due(10 * MS, 2, 0), 9);
        assert_eq!(pace.planned(1_000 * MS), 1_001);
        // A schedule that has run ahead waits.
        assert_eq!(pace.due(10 * MS, 20, 0), 0);
    }

    #[test]
    fn lateness_is_measured_from_when_a_packet_was_due() {
        let pace = Pace::Open { rate: 1_000 };
        assert_eq!(pace.late(0, 0), Some(0));
        assert_eq!(pace.late(5 * MS, 3), Some(2 * MS));
        assert_eq!(pace.late(5 * MS, 6), None);
        assert_eq!(Pace::Closed { window: 8 }.late(5 * MS, 0), None);
    }

    #[test]
    fn due_and_lateness_agree_at_every_rate() {
        for rate in [1, 3, 7, 999, 30_000, 1_000_000, u32::MAX] {
            let pace = Pace::Open { rate };
            for elapsed in [0, 1, 999, 12_345, 1_000_000_007] {
                let planned = pace.planned(elapsed);
                assert!(pace.late(elapsed, planned - 1).is_some(), "{rate} at {elapsed}");
                assert!(pace.late(elapsed, planned).is_none(), "{rate} at {elapsed}");
            }
        }
    }

    #[test]
    fn closed_loop_fills_its_window() {
        let pace = Pace::Closed { window: 8 };
        assert_eq!((pace.due(0, 0, 0), pace.due(0, 100, 7), pace.due(0, 9, 9)), (8, 1, 0));
        assert_eq!(pace.planned(MS), 0);
    }
}
