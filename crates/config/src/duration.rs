//! Durations as the file spells them: a whole number and a unit, `"10m"`.

use std::time::Duration;

use crate::complaint::Complaint;

/// The units, longest first, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Reads `"10m"`, `"200us"`, `"1h"`, `"30s"`, `"10ms"`, `"1d"`.
pub(crate) fn parse(text: &str) -> Result<Duration, Complaint> {
    let complain = || {
        Complaint::new(
            "not a duration",
            "write one whole number and a unit of us, ms, s, m, h or d, such as \"90s\" or \"10m\"",
        )
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(complain)?;
    let number: u64 = number.parse().map_err(|_| complain())?;
    number.checked_mul(*nanoseconds).map(Duration::from_nanos).ok_or_else(complain)
}

/// Spells `duration` in the longest unit that holds it without a fraction.
pub(crate) fn spell(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let nanoseconds = duration.as_nanos();
    UNITS
        .iter()
        .find(|(_, size)| {
            nanoseconds >= u128::from(*size) && nanoseconds.is_multiple_of(u128::from(*size))
        })
        .map_or_else(
            || format!("{}us", duration.as_micros()),
            |(unit, size)| format!("{}{unit}", nanoseconds / u128::from(*size)),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_reads_and_spells_back() {
        for text in ["200us", "10ms", "30s", "10m", "1h", "2d", "90s", "0s"] {
            assert_eq!(parse(text).map(spell), Ok(text.to_owned()));
        }
        assert_eq!(parse("10 m"), Ok(Duration::from_secs(600)));
        assert_eq!(spell(Duration::from_secs(3600)), "1h");
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", "10", "m", "-1s", "1.5h", "1h30m", "10 minutes", "99999999999d", "1S"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
