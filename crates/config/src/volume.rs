//! Amounts of relayed payload: `"1 TB"`.

use std::fmt;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::suggest::nearest;
use crate::values;

/// An amount of payload in bytes; in a configuration 1 kB to 1,000,000 TB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Volume(u64);

impl Volume {
    pub(crate) const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    pub(crate) fn read(value: &DeValue<'_>) -> Result<Self, Complaint> {
        if value.as_integer().is_some() {
            let help = "write it with its unit, in quotes: \"500 GB\"";
            return Err(Complaint::wrong_type("an amount of bytes", value, help));
        }
        Self::parse(values::text(value, "500 GB")?)
    }

    fn parse(text: &str) -> Result<Self, Complaint> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, size)) = known.filter(|_| !number.is_empty()) else {
            let help = match nearest(unit, UNITS.map(|(name, _)| name)) {
                Some(meant) if !number.is_empty() => format!("write \"{number} {meant}\""),
                _ => "write a whole number and a unit of kB, MB, GB or TB, such as \"500 GB\""
                    .to_owned(),
            };
            return Err(Complaint::new("not an amount of bytes", help));
        };
        let read = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*size));
        read.map(Self).filter(|volume| (LEAST..=MOST).contains(&volume.0)).ok_or_else(|| {
            Complaint::new(
                format!("{number} {unit} is out of range"),
                "write \"1 kB\" to \"1000000 TB\"",
            )
        })
    }
}

/// Prints the largest unit that leaves no fraction.
impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (name, size) = unit.copied().unwrap_or(("B", 1));
        write!(f, "{} {name}", self.0 / size)
    }
}

/// Decimal, as traffic is sold, largest first; then the binary ones.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

const LEAST: u64 = 1_000;
const MOST: u64 = 1_000_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_in_bytes_and_print_back() {
        for (text, bytes) in [
            ("1 TB", 1_000_000_000_000),
            ("500 GB", 500_000_000_000),
            ("3 KiB", 3_072),
            ("1 kB", 1_000),
            ("1025 B", 1_025),
        ] {
            let read = Volume::parse(text);
            assert_eq!(read, Ok(Volume(bytes)));
            assert_eq!(read.map(|volume| volume.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Volume::parse("1TB"), Ok(Volume(1_000_000_000_000)));
    }

    #[test]
    fn a_slip_of_the_unit_is_named() {
        let help = |text| Volume::parse(text).map_err(|complaint| complaint.help);
        assert_eq!(help("1 tb"), Err("write \"1 TB\"".to_owned()));
        for text in ["", "1", "TB", "-1 TB", "1.5 TB", "999 B", "99999999999 TB"] {
            assert!(help(text).is_err(), "{text}");
        }
    }
}
