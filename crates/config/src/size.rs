//! Amounts of memory: `"256 KiB"`.

use std::fmt;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::suggest::nearest;
use crate::values;

/// An amount of memory in bytes; in a configuration 16 KiB to 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u32);

impl Size {
    /// `bytes` bytes.
    pub const fn from_bytes(bytes: u32) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    pub(crate) fn read(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let Some(integer) = value.as_integer() else {
            return Self::parse(values::text(value, "256 KiB")?);
        };
        // A small number was surely not meant in bytes.
        let bytes = integer.as_str().parse::<u32>().ok();
        let meant = [bytes, bytes.and_then(|kibibytes| kibibytes.checked_mul(1024))]
            .into_iter()
            .flatten()
            .map(Self)
            .find(|size| size.is_in_range());
        let help = format!("write it with its unit, in quotes: \"{}\"", meant.unwrap_or(TYPICAL));
        Err(Complaint::wrong_type("a size", value, help))
    }

    fn parse(text: &str) -> Result<Self, Complaint> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let help = match nearest(unit, UNITS.map(|(name, _)| name)) {
                Some(meant) if !number.is_empty() => format!("write \"{number} {meant}\""),
                _ => "write a whole number and a unit of KiB, MiB, kB or MB, such as \"256 KiB\""
                    .to_owned(),
            };
            return Err(Complaint::new("not a size", help));
        };
        if number.is_empty() {
            return Err(Complaint::new("not a size", "write a whole number, such as \"256 KiB\""));
        }
        let read = number.parse::<u32>().ok().and_then(|number| number.checked_mul(*size));
        read.map(Self).filter(|size| size.is_in_range()).ok_or_else(|| {
            Complaint::new(
                format!("{number} {unit} is out of range"),
                format!("write \"{SMALLEST}\" to \"{LARGEST}\""),
            )
        })
    }

    fn is_in_range(self) -> bool {
        (SMALLEST..=LARGEST).contains(&self)
    }
}

/// Prints the largest unit that leaves no fraction.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (name, size) = unit.copied().unwrap_or(("B", 1));
        write!(f, "{} {name}", self.0 / size)
    }
}

/// Largest first.
const UNITS: [(&str, u32); 5] =
    [("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000), ("B", 1)];

const SMALLEST: Size = Size(16 << 10);
const LARGEST: Size = Size(16 << 20);
const TYPICAL: Size = Size(256 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_in_bytes_and_print_back() {
        for (text, bytes) in [
            ("16 KiB", 16_384),
            ("256 KiB", 262_144),
            ("1 MiB", 1_048_576),
            ("1 MB", 1_000_000),
            ("300 kB", 300_000),
            ("16385 B", 16_385),
            ("16 MiB", 16_777_216),
        ] {
            let size = Size::parse(text);
            assert_eq!(size, Ok(Size(bytes)));
            assert_eq!(size.map(|size| size.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Size::parse("256KiB"), Ok(TYPICAL));
    }

    #[test]
    fn a_slip_of_the_unit_is_named() {
        let help = |text| Size::parse(text).map_err(|complaint| complaint.help);
        assert_eq!(help("256 kib"), Err("write \"256 KiB\"".to_owned()));
        assert_eq!(help("15 KiB"), Err("write \"16 KiB\" to \"16 MiB\"".to_owned()));
        assert_eq!(help("17 MiB"), Err("write \"16 KiB\" to \"16 MiB\"".to_owned()));
        for text in ["", "256", "KiB", "-1 KiB", "0.5 MiB", "1 GiB", "99999999999 MiB"] {
            assert!(help(text).is_err(), "{text}");
        }
    }
}
