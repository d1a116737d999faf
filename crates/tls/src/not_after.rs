//! The end of a certificate's validity (RFC 5280 section 4.1.2.5).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::time::ASN1Time;

/// The notAfter of a certificate; shown as `2027-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotAfter(i64);

impl NotAfter {
    pub(crate) fn of(time: ASN1Time) -> Self {
        Self(time.timestamp())
    }

    /// Seconds since 1970.
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// Whole days from `now` until then; below zero once it is past.
    pub fn days_from(self, now: SystemTime) -> i64 {
        self.0.saturating_sub(unix_seconds(now)).div_euclid(SECONDS_OF_A_DAY)
    }

    /// Whole days since then, none in the first 24 hours.
    pub(crate) fn days_past(self, now: SystemTime) -> i64 {
        unix_seconds(now).saturating_sub(self.0) / SECONDS_OF_A_DAY
    }

    /// Whether it is past at `now`.
    pub fn is_past(self, now: SystemTime) -> bool {
        self.0 < unix_seconds(now)
    }
}

impl fmt::Display for NotAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = ASN1Time::from_timestamp(self.0) else { return f.write_str("never") };
        let time = time.to_datetime();
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let month = u8::from(month);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

pub(crate) const SECONDS_OF_A_DAY: i64 = 86_400;

/// Seconds since 1970; 0 for a clock that stands before.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_whole_ones_and_negative_once_past() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_801_396_800);
        let not_after = NotAfter(1_801_396_800);
        assert_eq!(not_after.to_string(), "2027-01-31T12:00:00Z");
        assert_eq!(not_after.days_from(noon - Duration::from_secs(2 * 86_400)), 2);
        assert_eq!(not_after.days_from(noon - Duration::from_secs(86_399)), 0);
        assert_eq!(not_after.days_from(noon + Duration::from_secs(1)), -1);
        assert_eq!(not_after.days_past(noon + Duration::from_secs(86_399)), 0);
        assert_eq!(not_after.days_past(noon + Duration::from_secs(3 * 86_400)), 3);
        assert!(!not_after.is_past(noon) && not_after.is_past(noon + Duration::from_secs(1)));
    }
}
