//! Days of UTC, as usage is counted and asked for, and the date of an answer.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// A day of the proleptic Gregorian calendar, 0000-01-01 to 9999-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// The text is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day is written as in 2026-11-30")]
pub struct NotADay;

impl Day {
    /// The day of a moment in seconds since 1970.
    pub fn of_unix(seconds: u64) -> Self {
        let days = i64::try_from(seconds / SECONDS_A_DAY).unwrap_or(i64::MAX);
        Self(days.min(LAST))
    }

    /// Today.
    pub fn today() -> Self {
        Self::of_unix(unix_now())
    }

    /// So many days earlier.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self((self.0 - i64::from(days)).max(FIRST))
    }

    /// Days since 1970-01-01; negative before.
    pub const fn days_since_1970(self) -> i64 {
        self.0
    }

    /// Year, month and day of the month.
    ///
    /// Counts in eras of 400 years that begin with a March, so that the odd day
    /// of a leap year is the last of its year.
    const fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + DAYS_BEFORE_1970;
        let era = days.div_euclid(DAYS_AN_ERA);
        let of_era = days.rem_euclid(DAYS_AN_ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    const fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        Self(era * DAYS_AN_ERA + of_era - DAYS_BEFORE_1970)
    }
}

/// Days of 400 years.
const DAYS_AN_ERA: i64 = 146_097;

/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;

const FIRST: i64 = Day::from_civil(0, 1, 1).0;
const LAST: i64 = Day::from_civil(9999, 12, 31).0;

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.split('-');
        let mut part = |width: usize| {
            let digits = parts.next().filter(|part| part.len() == width).ok_or(NotADay)?;
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            if !are_digits {
                return Err(NotADay);
            }
            digits.parse::<i64>().map_err(|_| NotADay)
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NotADay);
        }
        let parsed = Self::from_civil(year, month, day);
        // The 31st of a month that has none comes back as another day.
        if parsed.civil() == (year, month, day) { Ok(parsed) } else { Err(NotADay) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A moment as mail spells it (RFC 2822 section 3.3), in UTC.
pub(crate) fn mail_date(unix: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let of = Day::of_unix(unix);
    let (year, month, day) = of.civil();
    let word = |words: &'static [&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
    };
    let (weekday, month) = (word(&DAYS, of.0.rem_euclid(7)), word(&MONTHS, month - 1));
    let seconds = unix % SECONDS_A_DAY;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_is_read_as_it_is_written() {
        let mut last = None;
        for days in FIRST..=LAST {
            let text = Day(days).to_string();
            assert_eq!(text.parse(), Ok(Day(days)), "{text}");
            assert!(last.is_none_or(|last: String| last < text), "{text}");
            last = Some(text);
        }
    }

    #[test]
    fn known_days() {
        for (unix, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_588_297_377, "2020-05-01"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(Day::of_unix(unix).to_string(), text);
        }
        let day: Day = "2026-03-01".parse().unwrap();
        assert_eq!(day.minus(1).to_string(), "2026-02-28");
        assert_eq!(day.minus(u32::MAX).to_string(), "0000-01-01");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-11-31",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-1-01",
            "26-11-01",
            "2026-11-01-",
            "2026-11-01T00",
            "+026-11-01",
            " 2026-11-01",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text:?}");
        }
    }

    #[test]
    fn a_moment_as_mail_spells_it() {
        assert_eq!(mail_date(1_588_297_377), "Fri, 01 May 2020 01:42:57 +0000");
        assert_eq!(mail_date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
    }
}
