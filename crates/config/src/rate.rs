//! How often something may happen: `"1000/s burst 2000"`.

use std::fmt;
use std::time::Duration;

use crate::complaint::Complaint;

/// A rate and the burst that may exceed it: the fill and the size of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many events refill the bucket in one [`period`](Self::period); at least 1.
    pub events: u32,
    /// One second or one minute.
    pub period: Duration,
    /// The size of the bucket, in events; at least 1. Where the file names no
    /// burst, it is [`events`](Self::events).
    pub burst: u32,
}

impl Rate {
    /// `events` a second, with a bucket of `burst`.
    pub const fn per_second(events: u32, burst: u32) -> Self {
        Self { events, period: SECOND, burst }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let help = "write it as \"100/s\", \"100/s burst 1000\" or \"30/min\"";
        let complain = || Complaint::new("not a rate", help);
        let mut words = text.split_whitespace();
        let (events, period) =
            words.next().and_then(|word| word.split_once('/')).ok_or_else(complain)?;
        let events: u32 = events.parse().map_err(|_| complain())?;
        let period = match period {
            "s" => SECOND,
            "min" => MINUTE,
            _ => return Err(complain()),
        };
        let burst = match (words.next(), words.next(), words.next()) {
            (None, None, None) => events,
            (Some("burst"), Some(burst), None) => burst.parse().map_err(|_| complain())?,
            _ => return Err(complain()),
        };
        if events == 0 || burst == 0 {
            return Err(Complaint::new(
                "a rate or burst of 0 would refuse everything",
                "write at least 1, or \"off\" for no limit",
            ));
        }
        Ok(Self { events, period, burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = if self.period == MINUTE { "min" } else { "s" };
        write!(f, "{}/{period}", self.events)?;
        if self.burst != self.events {
            write!(f, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print_back() {
        for text in ["1000/s burst 2000", "10/s", "30/min", "30/min burst 5"] {
            assert_eq!(Rate::parse(text).map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_rate_without_burst_has_a_bucket_of_one_period() {
        assert_eq!(Rate::parse("7/s"), Ok(Rate::per_second(7, 7)));
    }

    #[test]
    fn anything_else_is_no_rate() {
        for text in
            ["", "10", "10/h", "/s", "10/s burst", "10/s burst x", "10/s 20", "0/s", "1/s burst 0"]
        {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
