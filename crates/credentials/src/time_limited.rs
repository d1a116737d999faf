//! User names that carry their own end.
//!
//! Implements draft-uberti-behave-turn-rest section 2.2 (`expiry:userid`), and the two forms
//! that are in use beside it: `userid:expiry` and a bare `expiry`.

/// Seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixSeconds(
    /// The seconds.
    pub u64,
);

/// Seconds that an expired name still passes, since clocks differ: without it, a server that
/// is ahead refuses every short-lived name.
pub const CLOCK_SKEW_GRACE: u64 = 300;

/// A user name taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeLimitedName<'a> {
    /// When it ends.
    pub expiry: UnixSeconds,
    /// Whose name it is; what a quota counts. `None` for a bare expiry.
    pub userid: Option<&'a str>,
}

impl<'a> TimeLimitedName<'a> {
    /// Takes a name apart, or returns `None` where no part of it is a number.
    ///
    /// Where both parts are numbers the first is the expiry. A userid may contain the
    /// separator.
    #[must_use]
    pub fn parse(name: &'a str, separator: char) -> Option<Self> {
        if let Some(expiry) = expiry(name) {
            return Some(Self { expiry, userid: None });
        }
        let first = name.split_once(separator);
        let last = name.rsplit_once(separator).map(|(userid, number)| (number, userid));
        [first, last].into_iter().flatten().find_map(|(number, userid)| {
            let userid = (!userid.is_empty()).then_some(userid);
            Some(Self { expiry: expiry(number)?, userid })
        })
    }

    /// Tells whether the name has ended, with [`CLOCK_SKEW_GRACE`] to spare.
    #[must_use]
    pub const fn is_expired(&self, now: UnixSeconds) -> bool {
        now.0 > self.expiry.0.saturating_add(CLOCK_SKEW_GRACE)
    }
}

/// Reads digits only: a sign or a space would make two spellings of one name.
fn expiry(text: &str) -> Option<UnixSeconds> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits { text.parse().ok() } else { None };
    seconds.map(UnixSeconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        assert_eq!(parse("1700000000:ann"), name(1_700_000_000, Some("ann")));
        assert_eq!(parse("ann:1700000000"), name(1_700_000_000, Some("ann")));
        assert_eq!(parse("1700000000"), name(1_700_000_000, None));
    }

    #[test]
    fn of_two_numbers_the_first_is_the_expiry() {
        assert_eq!(parse("1700000000:42"), name(1_700_000_000, Some("42")));
    }

    #[test]
    fn userid_may_contain_the_separator() {
        assert_eq!(parse("17:ann:phone"), name(17, Some("ann:phone")));
        assert_eq!(parse("ann:phone:17"), name(17, Some("ann:phone")));
        assert_eq!(parse("17:ann:18"), name(17, Some("ann:18")));
    }

    #[test]
    fn h27_empty_userid_is_none() {
        assert_eq!(parse("17:"), name(17, None));
        assert_eq!(parse(":17"), name(17, None));
    }

    #[test]
    fn h27_userid_does_not_depend_on_the_expiry() {
        let userids: Vec<_> = ["1:ann", "2:ann", "ann:3"].map(parse).to_vec();
        assert!(userids.iter().all(|name| name.unwrap().userid == Some("ann")));
    }

    #[test]
    fn names_without_a_number_are_not_time_limited() {
        for text in ["", ":", "ann", "ann:eve", "+17:ann", "17 :ann", "1e9:ann", "-1", "0x11"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_over_64_bits_are_no_expiry() {
        assert_eq!(parse("18446744073709551615:ann"), name(u64::MAX, Some("ann")));
        assert_eq!(parse("18446744073709551616:ann"), None);
    }

    #[test]
    fn separator_is_the_callers() {
        assert_eq!(TimeLimitedName::parse("17#ann:x", '#'), name(17, Some("ann:x")));
        assert_eq!(TimeLimitedName::parse("17:ann", '#'), None);
        assert_eq!(TimeLimitedName::parse("17\u{2022}ann", '\u{2022}'), name(17, Some("ann")));
    }

    #[test]
    fn expiry_has_300_seconds_of_grace() {
        let name = parse("1000:ann").unwrap();
        assert!(!name.is_expired(UnixSeconds(0)));
        assert!(!name.is_expired(UnixSeconds(1000)));
        assert!(!name.is_expired(UnixSeconds(1300)));
        assert!(name.is_expired(UnixSeconds(1301)));
        let endless = parse("18446744073709551615").unwrap();
        assert!(!endless.is_expired(UnixSeconds(u64::MAX)));
    }

    fn parse(text: &str) -> Option<TimeLimitedName<'_>> {
        TimeLimitedName::parse(text, ':')
    }

    fn name(expiry: u64, userid: Option<&str>) -> Option<TimeLimitedName<'_>> {
        Some(TimeLimitedName { expiry: UnixSeconds(expiry), userid })
    }
}
