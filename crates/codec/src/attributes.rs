//! Walks over the attributes of a message.
//!
//! Implements the type-length-value layout of RFC 8489 section 14. Padding bytes are
//! skipped and never read.

use crate::{AttributeType, ParseError};

/// One attribute as it lies in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// The type.
    pub kind: AttributeType,
    /// The value without its padding.
    pub value: &'a [u8],
}

/// Iterates over attributes in the order of the message.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Starts a walk over `bytes`, which are attributes only.
    pub(crate) const fn over(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns how many bytes are not yet walked over.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes one attribute; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<Result<RawAttribute<'a>, ParseError>> {
        if self.rest.is_empty() {
            return None;
        }
        let attribute = split_attribute(self.rest);
        // [S11] What runs past the end is refused here, before anybody reads its value.
        let (attribute, rest) =
            attribute.map_or((Err(ParseError::AttributeOverrun), &[][..]), |(a, r)| (Ok(a), r));
        self.rest = rest;
        Some(attribute)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // Messages are validated when parsed, so an error can only be the end.
        self.step().and_then(Result::ok)
    }
}

fn split_attribute(bytes: &[u8]) -> Option<(RawAttribute<'_>, &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let kind = AttributeType::new(u16::from_be_bytes([k0, k1]));
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..length)?;
    let rest = rest.get(length.next_multiple_of(4)..)?;
    Some((RawAttribute { kind, value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_skipped_whatever_it_holds() {
        let bytes = [0x80, 0x22, 0, 1, b'x', 0xAA, 0xBB, 0xCC, 0, 0x1A, 0, 0];
        let mut walk = Attributes::over(&bytes);
        let software = RawAttribute { kind: AttributeType::SOFTWARE, value: b"x" };
        let dont_fragment = RawAttribute { kind: AttributeType::DONT_FRAGMENT, value: b"" };
        assert_eq!(walk.next(), Some(software));
        assert_eq!(walk.next(), Some(dont_fragment));
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn s11_overrun_ends_the_walk() {
        for bytes in
            [&[0, 0x0D, 0, 4, 1, 2, 3][..], &[0, 0x0D, 0][..], &[0, 0x0D, 0xFF, 0xFF, 1, 2, 3, 4]]
        {
            let mut walk = Attributes::over(bytes);
            assert_eq!(walk.step(), Some(Err(ParseError::AttributeOverrun)));
            assert_eq!(walk.step(), None);
        }
    }
}
