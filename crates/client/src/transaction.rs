//! A request on its way: its bytes, and what its response is held against.
//!
//! Implements RFC 8489 section 6.1. The same bytes go out again when no response comes; a new
//! try after a challenge is a new transaction.

use std::sync::Arc;

use turn_codec::{Class, Message, MessageWriter, NoRoom, TransactionId};

use crate::challenge::Challenge;
use crate::operation::Operation;

/// Room for any request: names, realm, nonce and 32 attributes of the size of an address.
const ROOM: usize = 4_096;

/// One request and its operation.
#[derive(Debug)]
pub struct Transaction<O> {
    operation: O,
    id: TransactionId,
    bytes: Box<[u8]>,
    proof: Option<Arc<Challenge>>,
}

impl<O: Operation> Transaction<O> {
    pub(crate) fn new(
        operation: O,
        id: TransactionId,
        proof: Option<Arc<Challenge>>,
    ) -> Result<Self, NoRoom> {
        let proof = proof.filter(|_| O::IS_SIGNED);
        let mut buffer = [0; ROOM];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, O::METHOD, id)?;
        operation.write(&mut writer)?;
        if let Some(challenge) = &proof {
            challenge.sign(&mut writer)?;
        }
        let bytes = writer.finish().into();
        Ok(Self { operation, id, bytes, proof })
    }

    /// Returns the request as it goes over the wire, again and again.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the transaction id.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// Returns the operation, for a new try.
    #[must_use]
    pub fn into_operation(self) -> O {
        self.operation
    }

    /// Tells whether a message is a response to this request, proven or not.
    pub(crate) fn is_answered_by(&self, message: &Message<'_>) -> bool {
        let is_response = match message.class() {
            Class::Success | Class::Error => true,
            Class::Request | Class::Indication => false,
        };
        is_response && message.method() == O::METHOD && message.transaction_id() == self.id
    }

    pub(crate) fn proof(&self) -> Option<&Challenge> {
        self.proof.as_deref()
    }
}
