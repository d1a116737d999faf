//! What a 401 or 438 has taught: how to sign the next requests.
//!
//! Implements RFC 8489 sections 9.2.3.2 and 9.2.5.

use std::fmt;

use turn_codec::attribute::{
    Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Userhash, Username,
};
use turn_codec::{AttributeType, Message, MessageWriter, NoRoom};
use turn_credentials::{KeyAlgorithm, LongTermKey, prepare, userhash};

use crate::Error;
use crate::cookie::SecurityFeatures;
use crate::credentials::{Algorithms, Identity};
use crate::operation::{optional, required};

/// The attribute that proves a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

/// Realm, nonce and the algorithms in use, with the key that follows from them.
#[derive(Debug)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    name: Name,
    key: LongTermKey,
    integrity: Integrity,
    /// PASSWORD-ALGORITHMS as it was received: it goes back byte for byte, so that the server
    /// sees what became of its offer.
    offer: Option<Vec<u8>>,
}

/// How the user is named on the wire.
#[derive(PartialEq, Eq)]
enum Name {
    Plain(String),
    Hashed([u8; 32]),
}

impl Challenge {
    /// Reads a 401 or 438; `previous` is what the session has learned before.
    pub(crate) fn read(
        message: &Message<'_>,
        identity: &Identity,
        wanted: Algorithms,
        previous: Option<&Self>,
    ) -> Result<Self, Error> {
        let Nonce(nonce) = required(message)?;
        let realm = match (optional::<Realm<'_>>(message)?, previous) {
            (Some(Realm(realm)), _) => realm,
            (None, Some(previous)) => &previous.realm,
            (None, None) => return Err(Error::Malformed(AttributeType::REALM)),
        };
        let features = match wanted {
            Algorithms::Classic => SecurityFeatures::default(),
            Algorithms::Sha256 | Algorithms::Sha256WithUserhash => SecurityFeatures::of(nonce),
        };
        let offer = match wanted {
            Algorithms::Classic => None,
            Algorithms::Sha256 | Algorithms::Sha256WithUserhash => optional(message)?,
        };
        // "bit set to 1 but no PASSWORD-ALGORITHMS attribute is present, then the client MUST
        // NOT retry the request" (section 9.2.5).
        if features.password_algorithms && offer.is_none() {
            return Err(Error::BidDown);
        }
        // After an offer "all the subsequent requests MUST be authenticated using
        // MESSAGE-INTEGRITY-SHA256 only": an offer that is gone is one that was taken away.
        let had_offer = previous.is_some_and(|it| it.offer.is_some() && it.realm == realm);
        if had_offer && offer.is_none() {
            return Err(Error::BidDown);
        }

        let (algorithm, integrity) = match &offer {
            Some(offer) => (first_known(offer)?, Integrity::Sha256),
            None => (KeyAlgorithm::Md5, Integrity::Sha1),
        };
        let prepared_realm = prepare(realm).map_err(|_| Error::Malformed(AttributeType::REALM))?;
        let Identity { username, password } = identity;
        let name = if features.username_anonymity && wanted == Algorithms::Sha256WithUserhash {
            Name::Hashed(userhash(username, &prepared_realm))
        } else {
            Name::Plain(username.clone())
        };
        Ok(Self {
            key: LongTermKey::derive(algorithm, username, &prepared_realm, password),
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            name,
            integrity,
            offer: offer.map(|offer| offer.as_bytes().to_vec()),
        })
    }

    /// Appends the credentials and, over everything so far, the integrity.
    pub(crate) fn sign(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        match &self.name {
            Name::Plain(name) => writer.push(&Username(name))?,
            Name::Hashed(hash) => writer.push(&Userhash(hash))?,
        }
        writer.push(&Realm(&self.realm))?;
        writer.push(&Nonce(&self.nonce))?;
        if let Some(offer) = &self.offer {
            writer.push_raw(AttributeType::PASSWORD_ALGORITHMS, offer)?;
            writer.push(&PasswordAlgorithm::bare(self.key.algorithm().id()))?;
        }
        match self.integrity {
            Integrity::Sha1 => writer.integrity(self.key.as_bytes()),
            Integrity::Sha256 => writer.integrity_sha256(self.key.as_bytes()),
        }
    }

    /// Tells whether a response is proven with the key and the attribute of its request; a
    /// weaker attribute than that of the request proves nothing.
    pub(crate) fn proves(&self, message: &Message<'_>) -> bool {
        let key = self.key.as_bytes();
        let verified = match self.integrity {
            Integrity::Sha1 => message.verify_integrity(key),
            Integrity::Sha256 => message.verify_integrity_sha256(key),
        };
        verified.is_ok()
    }

    /// Tells whether another try with this challenge sends other credentials than `earlier`,
    /// the nonce apart.
    pub(crate) fn differs(&self, earlier: &Self) -> bool {
        self.realm != earlier.realm
            || self.name != earlier.name
            || self.key.algorithm() != earlier.key.algorithm()
            || self.integrity != earlier.integrity
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(crate) const fn key(&self) -> &LongTermKey {
        &self.key
    }

    pub(crate) const fn integrity(&self) -> Integrity {
        self.integrity
    }
}

impl fmt::Debug for Name {
    /// Hides the user, as [`Credentials`](crate::Credentials) does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(..)"),
            Self::Hashed(_) => f.write_str("Hashed(..)"),
        }
    }
}

/// "a PASSWORD-ALGORITHM attribute with the first algorithm supported on the list"; one with
/// parameters is none of those that are known.
fn first_known(offer: &PasswordAlgorithms<'_>) -> Result<KeyAlgorithm, Error> {
    offer
        .iter()
        .filter(|entry| entry.parameters.is_empty())
        .find_map(|entry| KeyAlgorithm::from_id(entry.algorithm))
        .ok_or(Error::NoCommonAlgorithm)
}
