//! What a type does to be an attribute.

use crate::{AttributeError, AttributeType, TransactionId};

/// An attribute that can be read from a message.
pub trait Attribute<'a>: Sized {
    /// Its type on the wire.
    const TYPE: AttributeType;

    /// Reads the value; `id` is that of the message, which XOR'ed addresses need.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] where the value breaks the format or a limit of its RFC.
    fn decode(value: &'a [u8], id: &TransactionId) -> Result<Self, AttributeError>;
}

/// An attribute that can be written into a message.
pub trait Encode {
    /// Returns its type on the wire.
    fn kind(&self) -> AttributeType;

    /// Returns the bytes of its value, without padding.
    fn value_len(&self) -> usize;

    /// Writes the value into `value`, which is zeroed and has exactly
    /// [`value_len`](Self::value_len) bytes; `id` is that of the message.
    fn encode(&self, value: &mut [u8], id: &TransactionId);
}

/// Reads a value of a fixed length.
pub(super) fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], AttributeError> {
    value.try_into().map_err(|_| AttributeError::Length)
}
