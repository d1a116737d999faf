//! ChannelData: four bytes of header in front of relayed data.
//!
//! Implements RFC 8656 sections 12, 12.4 and 12.5. Over UDP a message ends where its length
//! says; over a stream it is padded to a multiple of 4 that the length does not count.

use core::fmt;
use core::ops::Range;

use crate::writer::copy;
use crate::{NoRoom, ParseError};

/// A channel number that a client may bind: 0x4000-0x4FFF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest channel number.
    pub const MIN: Self = Self(0x4000);
    /// The highest channel number.
    pub const MAX: Self = Self(0x4FFF);

    /// Returns the channel number, or `None` outside 0x4000-0x4FFF (RFC 8656 section 12).
    // [C1]
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= Self::MIN.0 && number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Which numbers a client may bind. RFC 8656 left it a quarter of what RFC 5766 had, so
/// that the first byte of a packet tells the protocols on a port apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelRange {
    /// 0x4000-0x4FFF (RFC 8656 section 12).
    #[default]
    Rfc8656,
    /// 0x4000-0x7FFF (RFC 5766 section 11), for clients of that time.
    Rfc5766,
}

impl ChannelRange {
    /// Returns the channel number, or `None` outside this range.
    // [C1]
    #[must_use]
    pub const fn number(self, number: u16) -> Option<ChannelNumber> {
        match (number, self) {
            (0x4000..=0x4FFF, _) | (0x5000..=0x7FFF, Self::Rfc5766) => Some(ChannelNumber(number)),
            (_, Self::Rfc8656 | Self::Rfc5766) => None,
        }
    }
}

impl fmt::Debug for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// One ChannelData message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelData<'a> {
    number: ChannelNumber,
    data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = 4;

    /// Joins a channel number and its data.
    #[must_use]
    pub const fn new(number: ChannelNumber, data: &'a [u8]) -> Self {
        Self { number, data }
    }

    /// Parses a datagram, or one frame of a stream. Bytes behind the claimed length are
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`ParseError`] where it is shorter than its header or than its length says, or where
    /// the number is outside 0x4000-0x4FFF.
    pub fn parse_datagram(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_datagram_in(ChannelRange::Rfc8656, bytes)
    }

    /// Parses as [`parse_datagram`](Self::parse_datagram) does, with the numbers of a range.
    ///
    /// # Errors
    ///
    /// As there, for this range.
    pub fn parse_datagram_in(range: ChannelRange, bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (&[n0, n1, l0, l1], rest) =
            bytes.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
        let number = range.number(u16::from_be_bytes([n0, n1])).ok_or(ParseError::ChannelNumber)?;
        // [C6] Exactly Length bytes are relayed, and never a byte that did not arrive.
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let data = rest.get(..length).ok_or(ParseError::ChannelLength)?;
        Ok(Self { number, data })
    }

    /// Returns the four bytes in front of `len` bytes of data.
    #[must_use]
    pub const fn header(number: ChannelNumber, len: u16) -> [u8; 4] {
        let [n0, n1] = number.0.to_be_bytes();
        let [l0, l1] = len.to_be_bytes();
        [n0, n1, l0, l1]
    }

    /// Returns how many bytes of padding follow `len` bytes of data on a stream: 0 to 3.
    #[must_use]
    pub const fn pad_len(len: usize) -> usize {
        len.wrapping_neg() & 3
    }

    /// Writes the message as a datagram, without padding, and returns its bytes.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where the buffer is too small or the data is longer than 65,535 bytes.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], NoRoom> {
        self.encode_padded(buffer, 0)
    }

    /// Writes the message with its padding, as a stream needs it, and returns its bytes.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_for_stream<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], NoRoom> {
        self.encode_padded(buffer, Self::pad_len(self.data.len()))
    }

    /// Returns the channel number.
    #[must_use]
    pub const fn number(&self) -> ChannelNumber {
        self.number
    }

    /// Returns the data.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Returns where the data lies in the bytes that were parsed.
    #[must_use]
    pub const fn data_range(&self) -> Range<usize> {
        Self::HEADER_LEN..Self::HEADER_LEN + self.data.len()
    }

    fn encode_padded<'b>(&self, buffer: &'b mut [u8], pad: usize) -> Result<&'b [u8], NoRoom> {
        let len = u16::try_from(self.data.len()).map_err(|_| NoRoom)?;
        let message = buffer.get_mut(..Self::HEADER_LEN + self.data.len() + pad).ok_or(NoRoom)?;
        let (head, rest) = message.split_first_chunk_mut::<4>().ok_or(NoRoom)?;
        *head = Self::header(self.number, len);
        let (data, padding) = rest.split_at_mut_checked(self.data.len()).ok_or(NoRoom)?;
        copy(self.data, data);
        padding.fill(0);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: ChannelNumber = ChannelNumber::MIN;

    #[test]
    fn c1_numbers_of_rfc_5766_are_read_only_where_they_are_asked_for() {
        for (number, in_8656, in_5766) in [
            (0x3FFF, false, false),
            (0x4000, true, true),
            (0x4FFF, true, true),
            (0x5000, false, true),
        ]
        .into_iter()
        .chain([(0x7FFF, false, true), (0x8000, false, false)])
        {
            let [high, low] = u16::to_be_bytes(number);
            let bytes = [high, low, 0, 0];
            assert_eq!(ChannelData::parse_datagram(&bytes).is_ok(), in_8656, "{number:x}");
            let old = ChannelData::parse_datagram_in(ChannelRange::Rfc5766, &bytes);
            assert_eq!(old.is_ok(), in_5766, "{number:x}");
        }
    }

    #[test]
    fn c1_channel_numbers_are_4000_to_4fff() {
        for number in 0..=u16::MAX {
            let expected = (0x4000..=0x4FFF).contains(&number).then_some(number);
            assert_eq!(ChannelNumber::new(number).map(ChannelNumber::get), expected);
        }
    }

    #[test]
    fn c6_claimed_length_beyond_the_datagram_is_refused() {
        let bytes = [0x40, 0, 0, 4, 1, 2, 3];
        assert_eq!(ChannelData::parse_datagram(&bytes), Err(ParseError::ChannelLength));
        let bytes = [0x40, 0, 0xFF, 0xFF, 1];
        assert_eq!(ChannelData::parse_datagram(&bytes), Err(ParseError::ChannelLength));
    }

    #[test]
    fn c6_bytes_behind_the_claimed_length_are_ignored() {
        let bytes = [0x40, 0, 0, 2, b'a', b'b', b'c', b'd'];
        let channel_data = ChannelData::parse_datagram(&bytes).unwrap();
        assert_eq!(channel_data.data(), b"ab");
        assert_eq!(bytes[channel_data.data_range()], *b"ab");
    }

    #[test]
    fn c6_length_zero_is_an_empty_message() {
        let channel_data = ChannelData::parse_datagram(&[0x4F, 0xFF, 0, 0]).unwrap();
        assert_eq!(channel_data.number(), ChannelNumber::MAX);
        assert_eq!(channel_data.data(), b"");
        assert_eq!(channel_data.data_range(), 4..4);
    }

    #[test]
    fn c5_numbers_that_cannot_be_bound_are_refused() {
        for first in [0x00, 0x3F, 0x50, 0x7F, 0x80, 0xFF] {
            let bytes = [first, 0xFF, 0, 0];
            assert_eq!(ChannelData::parse_datagram(&bytes), Err(ParseError::ChannelNumber));
        }
    }

    #[test]
    fn header_cut_short_is_refused() {
        for len in 0..4 {
            let bytes = &[0x40, 0, 0, 0][..len];
            assert_eq!(ChannelData::parse_datagram(bytes), Err(ParseError::Truncated));
        }
    }

    #[test]
    fn stream_form_is_padded_with_zeroes() {
        let mut buffer = [0xEE; 16];
        let bytes = ChannelData::new(NUMBER, b"hello").encode_for_stream(&mut buffer).unwrap();
        assert_eq!(bytes, [0x40, 0, 0, 5, b'h', b'e', b'l', b'l', b'o', 0, 0, 0]);
        let bytes = ChannelData::new(NUMBER, b"hello").encode(&mut buffer).unwrap();
        assert_eq!(bytes, [0x40, 0, 0, 5, b'h', b'e', b'l', b'l', b'o']);
    }

    #[test]
    fn padding_reaches_a_multiple_of_four() {
        for len in 0..9 {
            assert_eq!((len + ChannelData::pad_len(len)) % 4, 0);
            assert!(ChannelData::pad_len(len) < 4);
        }
    }

    #[test]
    fn buffer_too_small_is_no_room() {
        let channel_data = ChannelData::new(NUMBER, b"hello");
        for len in 0..9 {
            assert_eq!(channel_data.encode(&mut [0; 16][..len]), Err(NoRoom));
        }
        assert_eq!(channel_data.encode_for_stream(&mut [0; 11]), Err(NoRoom));
    }

    #[test]
    fn data_longer_than_the_length_field_is_no_room() {
        let data = std::vec![0; 65_536];
        let mut buffer = std::vec![0; 70_000];
        assert_eq!(ChannelData::new(NUMBER, &data).encode(&mut buffer), Err(NoRoom));
        assert!(ChannelData::new(NUMBER, &data[1..]).encode(&mut buffer).is_ok());
    }
}
