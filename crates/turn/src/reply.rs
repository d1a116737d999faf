//! Responses: the one place where their bytes are written.
//!
//! A success or error to an authenticated request is signed with the attribute
//! that decided the request `[A10] [A15]`; a reply to a stranger is as short as it
//! can be: no reason phrase, no SOFTWARE `[H10]`.

use std::net::SocketAddr;
use std::time::Duration;

use arrayvec::ArrayVec;
use turn_codec::attribute::{
    self, AddressErrorCode, ErrorCode, Lifetime, Nonce, PasswordAlgorithms, Realm,
    ReservationToken, UnknownAttributes, XorMappedAddress, XorRelayedAddress,
};
use turn_codec::{Class, Message, MessageWriter, Method, NoRoom, StatusCode, TransactionId};
use turn_credentials::LongTermKey;

use crate::action::Outbox;
use crate::id::ConnectionId;
use crate::link::Link;
use crate::nonce::NonceText;
use crate::reject::Reject;

/// Room for any response: REALM is the longest attribute with 763 bytes.
const ROOM: usize = 1_024;

/// What a success response carries beside its signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    pub(crate) relayed: ArrayVec<SocketAddr, 2>,
    pub(crate) address_error: Option<AddressErrorCode<'static>>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) reservation: Option<[u8; 8]>,
    pub(crate) connection: Option<ConnectionId>,
}

/// The attribute that proves a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integrity {
    Sha1,
    Sha256,
}

/// What a response needs to know of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) link: Link,
    pub(crate) method: Method,
    pub(crate) transaction: TransactionId,
    /// RFC 8489 section 7: mirror FINGERPRINT `[S9]`.
    pub(crate) fingerprint: bool,
}

/// How a response is signed: with nothing for an anonymous client.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) key: Option<LongTermKey>,
    pub(crate) integrity: Integrity,
}

impl Asked {
    pub(crate) fn of(link: Link, message: &Message<'_>) -> Self {
        Self {
            link,
            method: message.method(),
            transaction: message.transaction_id(),
            fingerprint: message.has_fingerprint(),
        }
    }

    pub(crate) fn succeed(&self, signer: &Signer, reply: &Reply, outbox: &mut Outbox) {
        self.write(Class::Success, Some(signer), outbox, |writer| {
            // [T12]
            for relayed in &reply.relayed {
                writer.push(&XorRelayedAddress(*relayed))?;
            }
            if let Some(error) = &reply.address_error {
                writer.push(error)?;
            }
            if let Some(lifetime) = reply.lifetime {
                writer.push(&Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)))?;
            }
            if let Some(mapped) = reply.mapped {
                writer.push(&XorMappedAddress(mapped))?;
            }
            if let Some(token) = reply.reservation {
                writer.push(&ReservationToken(token))?;
            }
            if let Some(connection) = reply.connection {
                writer.push(&attribute::ConnectionId(connection.to_bits()))?;
            }
            Ok(())
        });
    }

    pub(crate) fn refuse(&self, signer: &Signer, reject: &Reject, outbox: &mut Outbox) {
        self.write(Class::Error, Some(signer), outbox, |writer| {
            writer.push(&ErrorCode::bare(reject.code()))?;
            if let Reject::UnknownAttributes(types) = reject {
                writer.push(&UnknownAttributes::new(types))?;
            }
            Ok(())
        });
    }

    /// An error to somebody who has not authenticated: 400 and 500 bare, 401 and 438
    /// with what the next try needs `[A1]`.
    pub(crate) fn challenge(
        &self,
        code: StatusCode,
        with: Option<(&str, &NonceText, Option<&PasswordAlgorithms<'_>>)>,
        outbox: &mut Outbox,
    ) {
        self.write(Class::Error, None, outbox, |writer| {
            writer.push(&ErrorCode::bare(code))?;
            // [A1, A4, H10] Realm, nonce and the offer: what the next try needs, and no more.
            if let Some((realm, nonce, algorithms)) = with {
                writer.push(&Realm(realm))?;
                writer.push(&Nonce(nonce.as_str()))?;
                if let Some(algorithms) = algorithms {
                    writer.push(algorithms)?;
                }
            }
            Ok(())
        });
    }

    fn write(
        &self,
        class: Class,
        signer: Option<&Signer>,
        outbox: &mut Outbox,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) {
        outbox.reply(&self.link, ROOM, |buffer| {
            let mut writer = MessageWriter::new(buffer, class, self.method, self.transaction)?;
            attributes(&mut writer)?;
            if let Some(Signer { key: Some(key), integrity }) = signer {
                // [A10, A15] The attribute that decided the request signs its response.
                match integrity {
                    Integrity::Sha1 => writer.integrity(key.as_bytes())?,
                    Integrity::Sha256 => writer.integrity_sha256(key.as_bytes())?,
                }
            }
            // [S9]
            if self.fingerprint {
                writer.fingerprint()?;
            }
            Ok(writer.finish().len())
        });
    }
}
