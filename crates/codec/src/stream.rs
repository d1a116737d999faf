//! Finds the messages in a TCP or TLS stream.
//!
//! Implements RFC 8489 section 6.2.2 and RFC 8656 section 12.5: a STUN message carries its
//! length, ChannelData carries its length and is padded to a multiple of 4. Lengths are
//! computed in `usize`: the largest frame, 65,552 bytes, does not fit 16 bits.

use crate::{ChannelData, ChannelRange, HEADER_LEN, MAGIC_COOKIE, PacketKind, classify};

/// What lies at the start of a stream's unread bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A whole STUN message: parse and consume `len` bytes.
    Message {
        /// Bytes of the message.
        len: usize,
    },
    /// A whole ChannelData message: parse `len` bytes and consume `padded_len`.
    ChannelData {
        /// Bytes of header and data.
        len: usize,
        /// Bytes of header, data and padding.
        padded_len: usize,
    },
    /// More bytes are needed, at least up to this many in all.
    Incomplete {
        /// A lower bound for the length of the frame, more than there is now.
        needed_at_least: usize,
    },
    /// Neither: the stream has lost its framing and cannot be continued.
    Invalid,
}

/// Looks at the first frame of `bytes`; validates no more than is needed to find its end.
#[must_use]
pub fn next_frame(bytes: &[u8]) -> Frame {
    next_frame_in(ChannelRange::Rfc8656, bytes)
}

/// Looks as [`next_frame`] does, with the channel numbers of a range.
#[must_use]
pub fn next_frame_in(range: ChannelRange, bytes: &[u8]) -> Frame {
    match classify(bytes) {
        PacketKind::Stun => message_frame(bytes),
        PacketKind::ChannelData => channel_data_frame(bytes),
        PacketKind::Unknown if bytes.is_empty() => {
            Frame::Incomplete { needed_at_least: ChannelData::HEADER_LEN }
        }
        PacketKind::Unknown
            if range == ChannelRange::Rfc5766 && matches!(bytes.first(), Some(0x50..=0x7F)) =>
        {
            channel_data_frame(bytes)
        }
        PacketKind::Unknown | PacketKind::Dtls => Frame::Invalid,
    }
}

fn message_frame(bytes: &[u8]) -> Frame {
    let Some(&[_, _, l0, l1]) = bytes.first_chunk::<4>() else {
        return Frame::Incomplete { needed_at_least: HEADER_LEN };
    };
    // [S18] At most 20 + 65,532, which wraps in 16 bits.
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let len = HEADER_LEN + length;
    // A wrong cookie is told as soon as its first byte is there, so that a stream of
    // something else does not wait for 64 KiB of it.
    let cookie_fits = bytes.iter().skip(4).zip(MAGIC_COOKIE.to_be_bytes()).all(|(a, b)| *a == b);
    if !length.is_multiple_of(4) || !cookie_fits {
        Frame::Invalid
    } else if bytes.len() < len {
        Frame::Incomplete { needed_at_least: len }
    } else {
        Frame::Message { len }
    }
}

fn channel_data_frame(bytes: &[u8]) -> Frame {
    let Some(&[_, _, l0, l1]) = bytes.first_chunk::<{ ChannelData::HEADER_LEN }>() else {
        return Frame::Incomplete { needed_at_least: ChannelData::HEADER_LEN };
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let len = ChannelData::HEADER_LEN + length;
    // "Over TCP and TLS-over-TCP, the ChannelData message MUST be padded to a multiple of
    // four bytes" (RFC 8656 section 12.5).
    let padded_len = len + ChannelData::pad_len(length);
    if bytes.len() < padded_len {
        Frame::Incomplete { needed_at_least: padded_len }
    } else {
        Frame::ChannelData { len, padded_len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn s18_pipelined_frames_come_out_one_by_one() {
        let stream = pipeline();
        assert_eq!(frames(&stream), PIPELINE);
    }

    #[test]
    fn s18_frames_fed_byte_by_byte_are_the_same() {
        let stream = pipeline();
        let (mut pending, mut found) = (Vec::new(), Vec::new());
        for byte in stream {
            pending.push(byte);
            let frame = next_frame(&pending);
            match frame {
                Frame::Message { len } => drop(pending.drain(..len)),
                Frame::ChannelData { padded_len, .. } => drop(pending.drain(..padded_len)),
                Frame::Incomplete { needed_at_least } => {
                    assert!(needed_at_least > pending.len());
                    continue;
                }
                Frame::Invalid => panic!("framing lost at {pending:?}"),
            }
            found.push(frame);
        }
        assert_eq!(found, PIPELINE);
        assert!(pending.is_empty());
    }

    #[test]
    fn s18_lengths_near_65535_do_not_wrap() {
        for length in 65_520..=u16::MAX {
            let length_usize = usize::from(length);
            let [l0, l1] = length.to_be_bytes();

            let header = [0, 1, l0, l1, 0x21, 0x12, 0xA4, 0x42];
            let expected = if length % 4 == 0 {
                Frame::Incomplete { needed_at_least: 20 + length_usize }
            } else {
                Frame::Invalid
            };
            assert_eq!(next_frame(&header), expected);

            let padded_len = 4 + length_usize.next_multiple_of(4);
            let mut bytes = std::vec![0; padded_len];
            bytes[..4].copy_from_slice(&[0x40, 0, l0, l1]);
            assert_eq!(
                next_frame(&bytes),
                Frame::ChannelData { len: 4 + length_usize, padded_len }
            );
            bytes.pop();
            assert_eq!(next_frame(&bytes), Frame::Incomplete { needed_at_least: padded_len });
        }
    }

    #[test]
    fn largest_message_is_one_frame() {
        let mut bytes = std::vec![0; 20 + 65_532];
        bytes[..8].copy_from_slice(&[0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42]);
        assert_eq!(next_frame(&bytes), Frame::Message { len: 65_552 });
    }

    #[test]
    fn c1_numbers_of_rfc_5766_are_frames_only_where_they_are_asked_for() {
        for first in [0x50, 0x7F] {
            let bytes = [first, 0xFF, 0, 1, 9, 0, 0, 0];
            assert_eq!(next_frame(&bytes), Frame::Invalid);
            let old = next_frame_in(ChannelRange::Rfc5766, &bytes);
            assert_eq!(old, Frame::ChannelData { len: 5, padded_len: 8 });
        }
        assert_eq!(next_frame_in(ChannelRange::Rfc5766, &[0x80, 0, 0, 0]), Frame::Invalid);
    }

    #[test]
    fn bytes_of_another_protocol_are_invalid_at_once() {
        assert_eq!(next_frame(&[0x16, 0x03, 0x01]), Frame::Invalid);
        assert_eq!(next_frame(b"POST / HTTP/1.1"), Frame::Invalid);
        assert_eq!(next_frame(&[0x50, 0, 0, 0]), Frame::Invalid);
        assert_eq!(next_frame(&[0, 1, 0, 0, 0x21, 0x13]), Frame::Invalid);
        assert_eq!(next_frame(&[0, 1, 0, 2]), Frame::Invalid);
    }

    const PIPELINE: [Frame; 4] = [
        Frame::Message { len: 20 },
        Frame::ChannelData { len: 9, padded_len: 12 },
        Frame::ChannelData { len: 4, padded_len: 4 },
        Frame::Message { len: 28 },
    ];

    fn pipeline() -> Vec<u8> {
        let mut stream = Vec::new();
        stream.extend([0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
        stream.extend([7; 12]);
        stream.extend([0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0xFF, 0xFF, 0xFF]);
        stream.extend([0x40, 1, 0, 0]);
        stream.extend([0, 4, 0, 8, 0x21, 0x12, 0xA4, 0x42]);
        stream.extend([8; 12]);
        stream.extend([0, 0x0D, 0, 4, 0, 0, 0, 0]);
        stream
    }

    fn frames(mut bytes: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let frame = next_frame(bytes);
            let (Frame::Message { len } | Frame::ChannelData { padded_len: len, .. }) = frame
            else {
                panic!("{frame:?} with {} bytes left", bytes.len());
            };
            bytes = &bytes[len..];
            found.push(frame);
        }
        found
    }
}
