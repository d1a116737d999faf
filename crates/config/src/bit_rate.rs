//! Bandwidth: `"20 Mbit/s"`.

use std::fmt;

use crate::complaint::Complaint;
use crate::suggest::nearest;

/// A bandwidth in bits a second; at least 8 kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(u64);

impl BitRate {
    /// The bandwidth of `bits` a second.
    pub const fn from_bits_per_second(bits: u64) -> Self {
        Self(bits)
    }

    /// Bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Bytes a second, rounded down.
    pub const fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, unit) = text.split_at(end);
        let unit = unit.trim();
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let help = match nearest(unit, UNITS.map(|(name, _)| name)) {
                Some(meant) if !number.is_empty() => format!("write \"{number} {meant}\""),
                _ => "write a number and a unit of bit/s, kbit/s, Mbit/s or Gbit/s, \
                      such as \"20 Mbit/s\""
                    .to_owned(),
            };
            return Err(Complaint::new("not a bandwidth", help));
        };
        let bits = scale(number, *size).ok_or_else(|| {
            Complaint::new("not a bandwidth", "write a number such as \"20 Mbit/s\"")
        })?;
        if bits < SMALLEST {
            return Err(Complaint::new(
                "less than any call needs",
                "write at least \"8 kbit/s\", or \"off\" for no limit",
            ));
        }
        Ok(Self(bits))
    }
}

/// `number`, which may have a fraction, times `size`; nothing where a fraction of a bit is left.
fn scale(number: &str, size: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let tens = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(size)?;
    if fraction % tens != 0 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(size)?.checked_add(fraction / tens)
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (name, size) = unit.copied().unwrap_or(("bit/s", 1));
        write!(f, "{} {name}", self.0 / size)
    }
}

/// Largest first. Decimal, as links and codecs are measured.
const UNITS: [(&str, u64); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// Below this even the narrowest voice codec fails: surely a slip of the unit.
const SMALLEST: u64 = 8_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_read_in_bits() {
        assert_eq!(BitRate::parse("20 Mbit/s"), Ok(BitRate(20_000_000)));
        assert_eq!(BitRate::parse("20Mbit/s"), Ok(BitRate(20_000_000)));
        assert_eq!(BitRate::parse("1.5 Mbit/s"), Ok(BitRate(1_500_000)));
        assert_eq!(BitRate::parse("64000 bit/s").map(BitRate::bytes_per_second), Ok(8_000));
    }

    #[test]
    fn bandwidths_print_in_the_largest_unit_without_a_fraction() {
        for text in ["1 Gbit/s", "20 Mbit/s", "1500 kbit/s", "8001 bit/s"] {
            assert_eq!(BitRate::parse(text).map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_slip_of_the_unit_is_named() {
        let help = |text| BitRate::parse(text).map_err(|complaint| complaint.help);
        assert_eq!(help("20 mbit/s"), Err("write \"20 Mbit/s\"".to_owned()));
        assert!(help("20").is_err());
        assert!(help("20 MB/s").is_err());
        assert!(help("1 kbit/s").is_err());
        assert!(help(". Mbit/s").is_err());
        assert!(help("99999999999999999999 Gbit/s").is_err());
        assert!(help("0.0001 kbit/s").is_err());
    }
}
