//! The record layer's plain header, as far as one must see it without keys.
//!
//! RFC 6347 section 4.1:
//!
//! ```text
//! type(1) version(2) epoch(2) sequence(6) length(2) fragment(length)
//! ```

use std::ops::Range;

/// Length of a record's header in bytes.
pub(crate) const HEADER_LEN: usize = 13;
/// Length of a handshake message's header in bytes.
pub(crate) const HANDSHAKE_HEADER_LEN: usize = 12;
/// Length of a record that holds a plain alert, in bytes.
pub(crate) const ALERT_LEN: usize = HEADER_LEN + 2;
/// A handshake message that claims more than this many bytes is not looked at.
pub(crate) const MAX_HANDSHAKE_LEN: u32 = 16 * 1024;

/// Content type of an alert.
pub(crate) const ALERT: u8 = 21;
/// Content type of handshake messages.
pub(crate) const HANDSHAKE: u8 = 22;
/// Content types are `change_cipher_spec` (20) to `application_data` (23).
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// Alert: no acceptable set of parameters (RFC 5246 section 7.2.2).
pub(crate) const HANDSHAKE_FAILURE: u8 = 40;
/// Alert: the client speaks no version that we speak (RFC 5246 section 7.2.2).
pub(crate) const PROTOCOL_VERSION: u8 = 70;

const LEVEL_FATAL: u8 = 2;
const SEQUENCE: Range<usize> = 5..11;
const SEQUENCE_MASK: u64 = (1 << 48) - 1;

/// A record, still sealed where its epoch is not 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) content_type: u8,
    pub(crate) version: [u8; 2],
    pub(crate) epoch: u16,
    /// 48 bits.
    pub(crate) sequence: u64,
    pub(crate) fragment: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record of a datagram and what follows it; `None` where there is no whole one.
    pub(crate) fn first(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let &[content_type, major, minor, e0, e1, s0, s1, s2, s3, s4, s5, l0, l1] = header;
        let (fragment, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        // Every version of DTLS has 254 as its first byte.
        if major != 254 || !CONTENT_TYPES.contains(&content_type) {
            return None;
        }
        let record = Self {
            content_type,
            version: [major, minor],
            epoch: u16::from_be_bytes([e0, e1]),
            sequence: u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]),
            fragment,
        };
        Some((record, rest))
    }

    /// Writes the header of a record of `len` bytes before its fragment.
    pub(crate) fn header(
        content_type: u8,
        version: [u8; 2],
        sequence: u64,
        len: u16,
    ) -> [u8; HEADER_LEN] {
        let [major, minor] = version;
        let [_, _, s0, s1, s2, s3, s4, s5] = sequence.to_be_bytes();
        let [l0, l1] = len.to_be_bytes();
        [content_type, major, minor, 0, 0, s0, s1, s2, s3, s4, s5, l0, l1]
    }
}

/// A fatal alert in the clear.
pub(crate) fn alert(version: [u8; 2], sequence: u64, description: u8) -> [u8; ALERT_LEN] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m] = Record::header(ALERT, version, sequence, 2);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, LEVEL_FATAL, description]
}

/// Whether a datagram consists of whole records and claims no handshake message beyond
/// [`MAX_HANDSHAKE_LEN`].
pub(crate) fn is_sound(mut datagram: &[u8]) -> bool {
    while !datagram.is_empty() {
        let Some((record, rest)) = Record::first(datagram) else { return false };
        if record.epoch == 0 && record.content_type == HANDSHAKE {
            // [H14]
            let Some(&[_, a, b, c, ..]) = record.fragment.first_chunk::<HANDSHAKE_HEADER_LEN>()
            else {
                return false;
            };
            if u32::from_be_bytes([0, a, b, c]) > MAX_HANDSHAKE_LEN {
                return false;
            }
        }
        datagram = rest;
    }
    true
}

/// Adds `by` to the sequence numbers of the plain records of a datagram. Those of sealed records
/// are authenticated and stay.
pub(crate) fn shift_plain_records(mut datagram: &mut [u8], by: u64) {
    while let Some((record, _)) = Record::first(datagram) {
        let (epoch, sequence) = (record.epoch, record.sequence);
        let len = HEADER_LEN + record.fragment.len();
        if epoch == 0
            && let Some(field) = datagram.get_mut(SEQUENCE)
        {
            let [_, _, bytes @ ..] = (sequence.wrapping_add(by) & SEQUENCE_MASK).to_be_bytes();
            field.copy_from_slice(&bytes);
        }
        let Some(rest) = datagram.get_mut(len..) else { return };
        datagram = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, sequence: u8, fragment: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            content_type,
            254,
            253,
            0,
            epoch,
            0,
            0,
            0,
            0,
            0,
            sequence,
            0,
            fragment.len() as u8,
        ];
        bytes.extend_from_slice(fragment);
        bytes
    }

    #[test]
    fn only_plain_records_are_shifted() {
        let mut datagram = [
            record(20, 0, 4, &[1]),
            record(22, 1, 0, &[0; 40]),
            record(22, 0, 5, &[0; HANDSHAKE_HEADER_LEN]),
        ]
        .concat();
        shift_plain_records(&mut datagram, 300);
        let (first, rest) = Record::first(&datagram).unwrap();
        let (second, rest) = Record::first(rest).unwrap();
        let (third, rest) = Record::first(rest).unwrap();
        assert_eq!((first.sequence, second.sequence, third.sequence), (304, 0, 305));
        assert!(rest.is_empty());
    }

    #[test]
    fn a_shift_backwards_wraps_within_48_bits() {
        let mut datagram = record(20, 0, 4, &[1]);
        shift_plain_records(&mut datagram, 0u64.wrapping_sub(3));
        assert_eq!(Record::first(&datagram).unwrap().0.sequence, 1);
    }

    #[test]
    fn a_truncated_record_is_none_and_unsound() {
        let whole = record(22, 0, 1, &[0; HANDSHAKE_HEADER_LEN]);
        assert!(is_sound(&whole));
        for len in 1..whole.len() {
            assert!(Record::first(&whole[..len]).is_none());
            assert!(!is_sound(&whole[..len]));
        }
    }

    #[test]
    fn h14_a_message_beyond_16_kb_is_unsound() {
        let mut fragment = [0; HANDSHAKE_HEADER_LEN];
        fragment[0] = 16;
        fragment[1..4].copy_from_slice(&[0, 0x40, 0]);
        assert!(is_sound(&record(22, 0, 1, &fragment)));
        fragment[1..4].copy_from_slice(&[0, 0x40, 1]);
        assert!(!is_sound(&record(22, 0, 1, &fragment)));
        // Behind a record that is in order, too.
        let behind = [record(20, 0, 1, &[1]), record(22, 0, 2, &fragment)].concat();
        assert!(!is_sound(&behind));
    }

    #[test]
    fn a_plain_alert_is_one_whole_record() {
        let alert = alert([254, 255], 7, PROTOCOL_VERSION);
        let (record, rest) = Record::first(&alert).unwrap();
        assert_eq!((record.content_type, record.sequence), (ALERT, 7));
        assert_eq!((record.fragment, rest), ([2, 70].as_slice(), [].as_slice()));
    }
}
