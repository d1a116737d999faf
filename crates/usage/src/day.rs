//! A day of UTC, as `2026-11-22`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A day of UTC between 1970-01-01 and 9999-12-31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

/// A text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day; write it as 2026-11-22, from 1970-01-01 to 9999-12-31")]
pub struct NotADay;

impl Day {
    /// The first one.
    pub const FIRST: Self = Self(0);
    /// 9999-12-31.
    pub const LAST: Self = Self(2_932_896);

    const SECONDS: u64 = 86_400;

    /// The day that this second of Unix time is in.
    pub fn of(unix: u64) -> Self {
        u32::try_from(unix / Self::SECONDS).map_or(Self::LAST, |day| Self(day).min(Self::LAST))
    }

    /// The day so many days after 1970-01-01.
    pub fn from_number(number: u32) -> Option<Self> {
        (number <= Self::LAST.0).then_some(Self(number))
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Its first second, in Unix time.
    pub fn starts_at(self) -> u64 {
        u64::from(self.0) * Self::SECONDS
    }

    /// The first second after it, in Unix time.
    pub fn ends_at(self) -> u64 {
        self.starts_at() + Self::SECONDS
    }

    /// So many days earlier, and never before the first one.
    #[must_use]
    pub const fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The first day of its month.
    #[must_use]
    pub fn month(self) -> Self {
        let (_, _, day) = self.civil();
        self.before(day - 1)
    }

    fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month);
        if !is_date || day == 0 || day > length(year, month) {
            return None;
        }
        // Years begin in March, so that the leap day is the last one.
        let shifted = if month < 3 { year - 1 } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year;
        days.checked_sub(EPOCH).map(Self)
    }

    /// Year, month and day of the month.
    fn civil(self) -> (u32, u32, u32) {
        let days = self.0 + EPOCH;
        let (era, of_era) = (days / ERA, days % ERA);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (era * 400 + year + u32::from(month < 3), month, day)
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u32 = 719_468;

/// Days in 400 years.
const ERA: u32 = 146_097;

const fn length(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let date = (number(4), number(2), number(2));
        let (Some(year), Some(month), Some(day)) = date else { return Err(NotADay) };
        if parts.next().is_some() {
            return Err(NotADay);
        }
        Self::new(year, month, day).ok_or(NotADay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_reads_back_as_it_is_written() {
        let mut last = String::new();
        for number in 0..=Day::LAST.number() {
            let day = Day::from_number(number).unwrap();
            let text = day.to_string();
            assert_eq!(text.parse(), Ok(day), "{text}");
            assert!(last < text, "{last} is before {text}");
            last = text;
        }
        assert_eq!(last, "9999-12-31");
    }

    #[test]
    fn a_second_is_in_its_day() {
        assert_eq!(Day::of(0), Day::FIRST);
        assert_eq!(Day::of(951_782_399).to_string(), "2000-02-28");
        assert_eq!(Day::of(951_782_400).to_string(), "2000-02-29");
        assert_eq!(Day::of(u64::MAX), Day::LAST);
        let day: Day = "2026-11-22".parse().unwrap();
        assert_eq!((Day::of(day.starts_at()), Day::of(day.ends_at() - 1)), (day, day));
        assert_eq!(day.month().to_string(), "2026-11-01");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-11-31",
            "2026-02-29",
            "1900-01-01",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-1-01",
            "+026-01-01",
            "2026-01-01-",
            "10000-01-01",
            "2026-01-01T00:00:00Z",
            "\u{661}026-01-01",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text}");
        }
    }
}
