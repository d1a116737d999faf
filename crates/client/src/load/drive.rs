//! The loop of every load: what is due leaves, what has arrived is counted.

use std::time::Duration;

use super::pace::Pace;
use super::stamp::Clock;
use super::tally::Tally;
use super::{CpuTime, LoadError, ServerProcess};

/// Something that is sent and comes back, over and over.
pub(crate) trait Exchange {
    /// Sends at most `count`, and says how many have left.
    fn send(&mut self, count: u64, tally: &mut Tally) -> Result<u64, LoadError>;

    /// Counts what has arrived, without waiting.
    fn receive(&mut self, tally: &mut Tally) -> Result<(), LoadError>;
}

/// For how long and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drive<'a> {
    pub(crate) pace: Pace,
    /// Packets in a row, which are not parted.
    pub(crate) train: u64,
    pub(crate) clock: Clock,
    pub(crate) server: &'a ServerProcess,
}

/// The most that leave before the next look at what has arrived: what leaves last was stamped that
/// many packets ago.
const AT_ONCE: u64 = 64;

/// In a closed loop, what has not come back by then is lost.
const STALL: u64 = 200_000_000;

/// Behind the measurement, for so long after the last arrival more is waited for.
const STRAGGLERS: u64 = 300_000_000;

impl Drive<'_> {
    /// Sends for so long, and counts.
    pub(crate) fn run(
        &self,
        exchange: &mut impl Exchange,
        duration: Duration,
    ) -> Result<Tally, LoadError> {
        let duration = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let before = self.books()?;
        let start = self.clock.now();
        let mut tally = Tally::since(start);
        let (mut last_turn, mut last_arrival) = (start, start);
        // Settled and given up.
        let mut gone = 0;
        let mut was_idle = false;
        loop {
            let now = self.clock.now();
            let elapsed = now - start;
            if was_idle {
                tally.idle += now - last_turn;
            }
            last_turn = now;
            if elapsed >= duration {
                tally.elapsed = elapsed;
                break;
            }
            let due = self.pace.due(elapsed, tally.sent, tally.sent.saturating_sub(gone));
            let due = due.min(AT_ONCE) / self.train * self.train;
            if due > 0 {
                if let Some(late) = self.pace.late(elapsed, tally.sent) {
                    tally.late.add(late, due);
                }
                tally.sent += exchange.send(due, &mut tally)?;
            }
            let settled = tally.settled();
            exchange.receive(&mut tally)?;
            let arrived = tally.settled() - settled;
            gone += arrived;
            was_idle = due == 0 && arrived == 0;
            if arrived > 0 {
                last_arrival = now;
            } else if matches!(self.pace, Pace::Closed { .. }) && now - last_arrival > STALL {
                tally.stalls += 1;
                gone = tally.sent;
                last_arrival = now;
            }
        }
        let after = self.books()?;
        tally.server = after.0 - before.0;
        tally.generator = after.1 - before.1;
        tally.received_in_time = tally.received;
        tally.planned = self.pace.planned(duration);
        self.wait_for_stragglers(exchange, &mut tally)?;
        Ok(tally)
    }

    fn wait_for_stragglers(
        &self,
        exchange: &mut impl Exchange,
        tally: &mut Tally,
    ) -> Result<(), LoadError> {
        let mut last_arrival = self.clock.now();
        while tally.settled() < tally.sent && self.clock.now() - last_arrival < STRAGGLERS {
            let settled = tally.settled();
            exchange.receive(tally)?;
            if tally.settled() > settled {
                last_arrival = self.clock.now();
            }
        }
        Ok(())
    }

    /// CPU time of the server and of this process.
    fn books(&self) -> Result<(CpuTime, CpuTime), LoadError> {
        Ok((self.server.cpu_time()?, CpuTime::of_process(std::process::id())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_loop_never_has_more_than_its_window_on_the_way() {
        let mut echo = Echo { loses_every: 0, ..Echo::default() };
        let tally = run(&mut echo, Pace::Closed { window: 6 }, 2);
        assert_eq!(echo.most_on_the_way, 6);
        assert!(tally.sent > 6 && tally.sent == tally.received, "{tally:?}");
        assert_eq!(tally.stalls, 0);
        assert!(tally.received_in_time <= tally.received);
    }

    #[test]
    fn open_loop_sends_as_many_as_planned_whatever_is_lost() {
        let mut echo = Echo { loses_every: 2, ..Echo::default() };
        let tally = run(&mut echo, Pace::Open { rate: 10_000 }, 1);
        let planned = tally.planned;
        // 50 ms at 10,000 a second; how many of them leave in time is for the machine to say.
        assert_eq!(planned, 501);
        assert!((2..=planned).contains(&tally.sent), "{}", tally.sent);
        assert_eq!(tally.received, tally.sent - tally.sent / 2);
        assert_eq!(tally.late.count(), tally.sent);
    }

    #[test]
    fn lost_window_is_given_up_and_refilled() {
        let mut echo = Echo { loses_every: 1, ..Echo::default() };
        let clock = Clock::start();
        let unknown = ServerProcess::unknown();
        let pace = Pace::Closed { window: 4 };
        let drive = Drive { pace, train: 1, clock, server: &unknown };
        let tally = drive.run(&mut echo, Duration::from_millis(500)).unwrap();
        assert!(tally.stalls >= 1 && tally.sent > 4, "{tally:?}");
        assert_eq!(tally.received, 0);
    }

    fn run(echo: &mut Echo, pace: Pace, train: u64) -> Tally {
        let unknown = ServerProcess::unknown();
        let drive = Drive { pace, train, clock: Clock::start(), server: &unknown };
        drive.run(echo, Duration::from_millis(50)).unwrap()
    }

    /// Gives back on the next turn what was sent, save what it loses.
    #[derive(Default)]
    struct Echo {
        loses_every: u64,
        sent: u64,
        on_the_way: u64,
        most_on_the_way: u64,
    }

    impl Exchange for Echo {
        fn send(&mut self, count: u64, _: &mut Tally) -> Result<u64, LoadError> {
            for _ in 0..count {
                self.sent += 1;
                if !self.sent.is_multiple_of(self.loses_every.max(1)) || self.loses_every == 0 {
                    self.on_the_way += 1;
                }
            }
            self.most_on_the_way = self.most_on_the_way.max(self.on_the_way);
            Ok(count)
        }

        fn receive(&mut self, tally: &mut Tally) -> Result<(), LoadError> {
            if self.on_the_way > 0 {
                self.on_the_way -= 1;
                tally.arrived(tally.since, tally.since + 1);
            }
            Ok(())
        }
    }
}
