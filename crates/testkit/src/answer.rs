//! A response as a client sees it.

use std::net::SocketAddr;

use turn_codec::attribute::{
    ConnectionId, ErrorCode, Lifetime, Nonce, Realm, ReservationToken, XorRelayedAddress,
};
use turn_codec::{Attribute, AttributeType, Class, Message};
use turn_credentials::LongTermKey;

/// One success or error response.
#[derive(Debug, Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    /// The address that it left from.
    pub from: SocketAddr,
}

impl Answer {
    /// Takes the bytes of a response.
    ///
    /// # Panics
    /// When they are not a well-formed response.
    pub fn new(bytes: Vec<u8>, from: SocketAddr) -> Self {
        let answer = Self { bytes, from };
        let class = answer.message().class();
        assert!(matches!(class, Class::Success | Class::Error), "{class:?} is no response");
        answer
    }

    /// The error code, or 200 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 200,
            Class::Request | Class::Indication | Class::Error => {
                let error: Option<ErrorCode<'_>> = self.get();
                error.expect("an error response has an ERROR-CODE").code.get()
            }
        }
    }

    /// The message.
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("the engine writes well-formed messages")
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// An attribute, if it is there.
    pub fn get<'a, A: Attribute<'a>>(&'a self) -> Option<A> {
        self.message().get().expect("the engine writes well-formed attributes")
    }

    /// Whether an attribute is there.
    pub fn has(&self, kind: AttributeType) -> bool {
        self.message().has(kind)
    }

    /// The types of all attributes, in order, without the integrity ones.
    pub fn kinds(&self) -> Vec<AttributeType> {
        self.message().attributes().map(|attribute| attribute.kind).collect()
    }

    /// LIFETIME.
    pub fn lifetime(&self) -> Option<u32> {
        self.get().map(|Lifetime(seconds)| seconds)
    }

    /// RESERVATION-TOKEN.
    pub fn token(&self) -> Option<[u8; 8]> {
        self.get().map(|ReservationToken(token)| token)
    }

    /// CONNECTION-ID.
    pub fn connection(&self) -> Option<u32> {
        self.get().map(|ConnectionId(id)| id)
    }

    /// REALM.
    pub fn realm(&self) -> Option<&str> {
        self.get().map(|Realm(realm)| realm)
    }

    /// NONCE.
    pub fn nonce(&self) -> Option<&str> {
        self.get().map(|Nonce(nonce)| nonce)
    }

    /// Every XOR-RELAYED-ADDRESS.
    pub fn relayed(&self) -> Vec<SocketAddr> {
        let addresses = self.message().all::<XorRelayedAddress>();
        addresses.map(|address| address.expect("well-formed").0).collect()
    }

    /// Whether it has an integrity attribute of either kind.
    pub fn is_signed(&self) -> bool {
        let message = self.message();
        message.has_integrity() || message.has_integrity_sha256()
    }

    /// Whether MESSAGE-INTEGRITY is there and made with this key.
    pub fn is_signed_with_sha1(&self, key: &LongTermKey) -> bool {
        self.message().verify_integrity(key.as_bytes()).is_ok()
    }

    /// Whether MESSAGE-INTEGRITY-SHA256 is there and made with this key.
    pub fn is_signed_with_sha256(&self, key: &LongTermKey) -> bool {
        self.message().verify_integrity_sha256(key.as_bytes()).is_ok()
    }
}
