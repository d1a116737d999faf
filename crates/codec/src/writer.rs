//! Builds a STUN message in a buffer of the caller.
//!
//! Implements RFC 8489 sections 5, 14.5, 14.6 and 14.7.
//!
//! Invariants: after every call the first `len()` bytes are a well-formed message; value
//! and padding bytes are zeroed before they are written, so nothing that lay in the buffer
//! leaves with the message.

use crate::fingerprint::{FINGERPRINT_LEN, fingerprint};
use crate::header::Header;
use crate::integrity::{SHA1_LEN, SHA256_LEN, sha1, sha256};
use crate::{AttributeType, Class, Encode, HEADER_LEN, Method, NoRoom, TransactionId};

/// Writes one message, attribute by attribute.
///
/// The caller keeps the order that the RFC asks for: attributes, integrity (SHA-1 in front
/// of SHA-256), fingerprint.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut [u8],
    len: usize,
    id: TransactionId,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message with its header.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where the buffer is shorter than a header.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        id: TransactionId,
    ) -> Result<Self, NoRoom> {
        let header = buffer.first_chunk_mut::<HEADER_LEN>().ok_or(NoRoom)?;
        *header = Header { class, method, length: 0, id }.encode();
        Ok(Self { buffer, len: HEADER_LEN, id })
    }

    /// Appends an attribute.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where the buffer or a length field cannot hold it; the message is unchanged.
    pub fn push<A: Encode>(&mut self, attribute: &A) -> Result<(), NoRoom> {
        let id = self.id;
        let value = self.reserve(attribute.kind(), attribute.value_len())?;
        attribute.encode(value, &id);
        Ok(())
    }

    /// Appends an attribute by type and value.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_raw(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), NoRoom> {
        copy(value, self.reserve(kind, value.len())?);
        Ok(())
    }

    /// Appends MESSAGE-INTEGRITY over what is written so far.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn integrity(&mut self, key: &[u8]) -> Result<(), NoRoom> {
        self.seal(AttributeType::MESSAGE_INTEGRITY, |covered| sha1(key, covered), [0; SHA1_LEN])
    }

    /// Appends MESSAGE-INTEGRITY-SHA256 over what is written so far.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn integrity_sha256(&mut self, key: &[u8]) -> Result<(), NoRoom> {
        let kind = AttributeType::MESSAGE_INTEGRITY_SHA256;
        self.seal(kind, |covered| sha256(key, covered), [0; SHA256_LEN])
    }

    /// Appends FINGERPRINT over what is written so far; nothing may follow it.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn fingerprint(&mut self) -> Result<(), NoRoom> {
        self.seal(AttributeType::FINGERPRINT, fingerprint, [0; FINGERPRINT_LEN])
    }

    /// Ends the message and returns its bytes.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        let Self { buffer, len, .. } = self;
        let buffer: &'b [u8] = buffer;
        buffer.get(..len).unwrap_or_default()
    }

    /// Returns how many bytes the message has so far.
    #[expect(clippy::len_without_is_empty, reason = "a message has at least its header")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Appends an attribute whose value is computed from all bytes in front of it. The header
    /// counts the attribute before the computation, as FINGERPRINT asks and integrity bears.
    fn seal<const N: usize>(
        &mut self,
        kind: AttributeType,
        compute: impl FnOnce(&[u8]) -> [u8; N],
        placeholder: [u8; N],
    ) -> Result<(), NoRoom> {
        let covered = self.len;
        self.push_raw(kind, &placeholder)?;
        let value = compute(self.buffer.get(..covered).unwrap_or_default());
        copy(&value, self.buffer.get_mut(covered + 4..).unwrap_or_default());
        Ok(())
    }

    /// Appends the frame of an attribute and returns its zeroed value.
    fn reserve(&mut self, kind: AttributeType, value_len: usize) -> Result<&mut [u8], NoRoom> {
        let length = u16::try_from(value_len).map_err(|_| NoRoom)?;
        let start = self.len;
        let end = start + 4 + value_len.next_multiple_of(4);
        let body = u16::try_from(end - HEADER_LEN).map_err(|_| NoRoom)?;
        let message = self.buffer.get_mut(..end).ok_or(NoRoom)?;

        if let [_, _, l0, l1, ..] = message {
            [*l0, *l1] = body.to_be_bytes();
        }
        self.len = end;
        let (_, slot) = message.split_at_mut_checked(start).ok_or(NoRoom)?;
        let (head, area) = slot.split_first_chunk_mut::<4>().ok_or(NoRoom)?;
        let [k0, k1] = kind.get().to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        *head = [k0, k1, l0, l1];
        area.fill(0);
        area.get_mut(..value_len).ok_or(NoRoom)
    }
}

/// Copies as much as fits; the callers have made both of one length.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::attribute::{Data, Lifetime, Software};

    const ID: TransactionId = TransactionId::new([9; 12]);

    #[test]
    fn empty_message_is_its_header() {
        let mut buffer = [0xEE; 20];
        let bytes = writer(&mut buffer).finish();
        assert_eq!(bytes[..8], [0x01, 0x13, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
        assert_eq!(bytes[8..], [9; 12]);
    }

    #[test]
    fn buffer_shorter_than_a_header_is_no_room() {
        for len in 0..HEADER_LEN {
            let mut buffer = [0; HEADER_LEN];
            let writer = MessageWriter::new(&mut buffer[..len], Class::Error, Method::ALLOCATE, ID);
            assert!(matches!(writer, Err(NoRoom)));
        }
    }

    #[test]
    fn stale_bytes_of_the_buffer_never_leave() {
        let mut buffer = [0xEE; 64];
        let mut writer = writer(&mut buffer);
        writer.push(&Software("a")).unwrap();
        writer.push_raw(AttributeType::DATA, b"bc").unwrap();
        let bytes = writer.finish();
        assert_eq!(bytes[20..], *b"\x80\x22\0\x01a\0\0\0\0\x13\0\x02bc\0\0");
    }

    #[test]
    fn length_counts_what_is_written() {
        let mut buffer = [0; 64];
        let mut writer = writer(&mut buffer);
        assert_eq!(writer.len(), 20);
        writer.push(&Lifetime(600)).unwrap();
        assert_eq!(writer.len(), 28);
        let bytes = writer.finish();
        assert_eq!(bytes[2..4], [0, 8]);
        assert_eq!(bytes.len(), 28);
    }

    #[test]
    fn seals_without_room_leave_no_trace() {
        let mut buffer = [0; 20 + 8 + 7];
        let mut writer = writer(&mut buffer);
        writer.push(&Lifetime(600)).unwrap();
        assert_eq!(writer.integrity(b"key"), Err(NoRoom));
        assert_eq!(writer.integrity_sha256(b"key"), Err(NoRoom));
        assert_eq!(writer.fingerprint(), Err(NoRoom));
        assert_eq!(writer.finish().len(), 28);
    }

    #[test]
    fn s18_message_over_the_length_field_is_no_room() {
        let mut buffer = std::vec![0; 140_000];
        let data = std::vec![7; 65_536];
        let mut writer = writer(&mut buffer);
        assert_eq!(writer.push(&Data(&data)), Err(NoRoom));
        assert_eq!(writer.push(&Data(&data[..65_529])), Err(NoRoom));
        writer.push(&Data(&data[..65_528])).unwrap();
        assert_eq!(writer.push(&Lifetime(1)), Err(NoRoom));
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(message.get(), Ok(Some(Data(&data[..65_528]))));
    }

    fn writer(buffer: &mut [u8]) -> MessageWriter<'_> {
        MessageWriter::new(buffer, Class::Error, Method::ALLOCATE, ID).unwrap()
    }
}
