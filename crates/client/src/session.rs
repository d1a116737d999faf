//! What a client knows of its server, and what a response changes in it.
//!
//! Implements RFC 8489 sections 6.3.3, 6.3.4 and 9.2.5. A response that is not proven is discarded;
//! whether the transaction goes on (an unreliable transport) or ends there (a reliable one) is for
//! the owner of the socket to say.
//!
//! No I/O and no clock: whoever owns the socket sends [`Transaction::bytes`], over UDP again and
//! again by a [`Schedule`](crate::Schedule), and gives every message to [`Session::receive`].

use std::sync::Arc;

use turn_codec::attribute::{Nonce, PasswordAlgorithms};
use turn_codec::{Attribute, Class, Message, MessageWriter, NoRoom, StatusCode, TransactionId};
use turn_credentials::{KeyAlgorithm, PrepareError};

use crate::challenge::{Challenge, Integrity};
use crate::cookie::SecurityFeatures;
use crate::credentials::{Algorithms, Credentials};
use crate::operation::Operation;
use crate::transaction::Transaction;
use crate::{Error, Refusal};

/// What a datagram means for a transaction.
#[derive(Debug)]
pub enum Progress<R> {
    /// Not a response to this request: perhaps data, see [`Incoming`](crate::Incoming).
    Unrelated,
    /// A response that is not proven. Over UDP: wait on, and where nothing else comes, the result
    /// is [`Error::BadIntegrity`] and not a timeout. Over a stream it is the result at once.
    Distrusted,
    /// A 401 or 438 that the session has learned from: begin the operation again with a new
    /// transaction id. A server may do this for ever, so the caller counts.
    Retry(Refusal),
    /// Done.
    Success(R),
    /// Failed, and a new try would fail in the same way.
    Failure(Error),
}

/// Credentials, and what the server has asked for so far.
#[derive(Debug)]
pub struct Session {
    credentials: Credentials,
    challenge: Option<Arc<Challenge>>,
    challenges: u64,
    stale_nonces: u64,
}

impl Session {
    /// Starts without any knowledge of the server.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] where user name or password is not an OpaqueString.
    pub fn new(credentials: Credentials) -> Result<Self, PrepareError> {
        Ok(Self {
            credentials: credentials.prepared()?,
            challenge: None,
            challenges: 0,
            stale_nonces: 0,
        })
    }

    /// Starts anew with the same credentials.
    pub(crate) fn another(&self) -> Self {
        let credentials = self.credentials.clone();
        Self { credentials, challenge: None, challenges: 0, stale_nonces: 0 }
    }

    /// Begins an operation; `id` comes from a good random source. The request is signed once
    /// the server has challenged.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where the request would not fit 4 KiB.
    pub fn begin<O: Operation>(
        &self,
        operation: O,
        id: TransactionId,
    ) -> Result<Transaction<O>, NoRoom> {
        Transaction::new(operation, id, self.challenge.clone())
    }

    /// Tells what a datagram means for a transaction, and learns from a challenge.
    pub fn receive<O: Operation>(
        &mut self,
        transaction: &Transaction<O>,
        bytes: &[u8],
    ) -> Progress<O::Response> {
        let Ok(message) = Message::parse(bytes) else {
            return Progress::Unrelated;
        };
        if !transaction.is_answered_by(&message) {
            return Progress::Unrelated;
        }
        let trust = match transaction.proof() {
            None => Trust::NotAsked,
            Some(challenge) if challenge.proves(&message) => Trust::Proven,
            Some(_) => Trust::Violated,
        };
        match message.class() {
            Class::Error => self.refused(transaction, &message, trust),
            Class::Success | Class::Request | Class::Indication => {
                self.succeeded::<O>(&message, trust)
            }
        }
    }

    /// Appends the session's credentials and the integrity over everything so far, to a message
    /// that no [`Operation`] makes. Before the first challenge nothing is appended.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where they do not fit.
    pub fn sign(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        match &self.challenge {
            Some(challenge) => challenge.sign(writer),
            None => Ok(()),
        }
    }

    /// Tells whether a message is proven with the session's key and integrity attribute.
    #[must_use]
    pub fn proves(&self, message: &Message<'_>) -> bool {
        let challenge = self.challenge.as_deref();
        challenge.is_some_and(|challenge| challenge.proves(message))
    }

    /// Returns how many 401 responses were met.
    #[must_use]
    pub const fn challenges(&self) -> u64 {
        self.challenges
    }

    /// Returns how many 438 responses were met.
    #[must_use]
    pub const fn stale_nonces(&self) -> u64 {
        self.stale_nonces
    }

    /// Returns the realm of the last challenge.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        Some(self.challenge.as_ref()?.realm())
    }

    /// Returns the nonce of the last challenge.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        Some(self.challenge.as_ref()?.nonce())
    }

    /// Returns how the key is made, since the last challenge.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        Some(self.challenge.as_ref()?.key().algorithm())
    }

    /// Returns which attribute proves requests and responses, since the last challenge.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        Some(self.challenge.as_ref()?.integrity())
    }

    fn succeeded<O: Operation>(
        &self,
        message: &Message<'_>,
        trust: Trust,
    ) -> Progress<O::Response> {
        if trust == Trust::Violated || self.lacks_what_it_announces(message) {
            return Progress::Distrusted;
        }
        // "If the success response contains unknown comprehension-required attributes, the
        // response is discarded and the transaction is considered to have failed" (6.3.3).
        if let Some(unknown) = message.unknown_required().next() {
            return Progress::Failure(Error::Malformed(unknown));
        }
        match O::read(message) {
            Ok(response) => Progress::Success(response),
            Err(error) => Progress::Failure(error),
        }
    }

    fn refused<O: Operation>(
        &mut self,
        transaction: &Transaction<O>,
        message: &Message<'_>,
        trust: Trust,
    ) -> Progress<O::Response> {
        let refusal = match Refusal::read(message, trust == Trust::Proven) {
            Ok(refusal) => refusal,
            Err(_) if trust == Trust::Violated => return Progress::Distrusted,
            Err(error) => return Progress::Failure(error),
        };
        match refusal.code {
            StatusCode::UNAUTHENTICATED => self.challenges += 1,
            StatusCode::STALE_NONCE => self.stale_nonces += 1,
            // A forged error must not end a transaction (section 9.2.5).
            _ if trust == Trust::Violated || self.lacks_what_it_announces(message) => {
                return Progress::Distrusted;
            }
            _ => return Progress::Failure(Error::Refused(refusal)),
        }
        let Some(identity) = self.credentials.identity().filter(|_| O::IS_SIGNED) else {
            return Progress::Failure(Error::Refused(refusal));
        };
        let wanted = self.credentials.algorithms();
        let previous = self.challenge.as_deref();
        let challenge = match Challenge::read(message, identity, wanted, previous) {
            Ok(challenge) => challenge,
            Err(error) => return Progress::Failure(error),
        };
        // "The client MUST NOT perform this retry if it is not changing the USERNAME, USERHASH,
        // REALM, or its associated password from the previous attempt" (section 9.2.5).
        let is_new = refusal.code == StatusCode::STALE_NONCE
            || transaction.proof().is_none_or(|earlier| challenge.differs(earlier));
        self.challenge = Some(Arc::new(challenge));
        if is_new { Progress::Retry(refusal) } else { Progress::Failure(Error::Refused(refusal)) }
    }

    /// "if the NONCE attribute starts with the nonce cookie with the [password algorithms] bit
    /// set to 1 but PASSWORD-ALGORITHMS is not present, the response MUST be ignored" (9.2.5).
    fn lacks_what_it_announces(&self, message: &Message<'_>) -> bool {
        let Ok(Some(Nonce(nonce))) = message.get() else {
            return false;
        };
        self.credentials.algorithms() != Algorithms::Classic
            && SecurityFeatures::of(nonce).password_algorithms
            && !message.has(PasswordAlgorithms::TYPE)
    }
}

/// What the integrity of a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The request was not signed, so there is nothing to prove.
    NotAsked,
    /// Made with the key of the request.
    Proven,
    /// Absent, or made with another key.
    Violated,
}
