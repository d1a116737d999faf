//! A request on its way: the client's credentials are added, challenges are answered.

use turn_codec::{AttributeType, Encode};

use crate::answer::Answer;
use crate::client::Client;
use crate::draft::Draft;
use crate::emitted::Emitted;

/// A request of one client.
#[derive(Debug)]
pub struct Ask {
    client: Client,
    draft: Draft,
    id: Option<[u8; 12]>,
}

impl Ask {
    pub(crate) const fn new(client: Client, draft: Draft) -> Self {
        Self { client, draft, id: None }
    }

    /// Appends an attribute.
    #[must_use]
    pub fn with(mut self, attribute: impl Encode + 'static) -> Self {
        self.draft = self.draft.with(attribute);
        self
    }

    /// Appends an attribute by type and value.
    #[must_use]
    pub fn raw(mut self, kind: AttributeType, value: &[u8]) -> Self {
        self.draft = self.draft.raw(kind, value);
        self
    }

    /// Takes this transaction id for each try.
    #[must_use]
    pub const fn id(mut self, id: [u8; 12]) -> Self {
        self.id = Some(id);
        self
    }

    /// Sends it and answers challenges as a browser does: the first 401, and 438.
    ///
    /// # Panics
    /// When nothing comes back, or a response that does not prove itself.
    #[track_caller]
    pub fn exchange(self) -> Answer {
        let mut is_signed = self.client.look(|state| state.challenge.is_some());
        let mut tries = 0;
        loop {
            let bytes = if is_signed { self.signed() } else { self.unsigned() };
            let answer = self.client.sends_and_waits(&bytes);
            self.client.remember(&bytes);
            self.client.learn(&answer);
            let is_final = match answer.code() {
                401 => is_signed,
                438 => tries > 3,
                _ => true,
            };
            if is_final {
                self.expect_proof(&answer);
                return answer;
            }
            is_signed = true;
            tries += 1;
        }
    }

    /// [`exchange`](Self::exchange), and only its code; 200 is success.
    ///
    /// # Panics
    /// As `exchange`.
    #[track_caller]
    pub fn code(self) -> u16 {
        self.exchange().code()
    }

    /// Sends it once, signed, and gives back whatever comes of it.
    pub fn once(self) -> Emitted {
        let bytes = self.signed();
        self.client.sends(&bytes)
    }

    /// Sends it once, without credentials.
    pub fn once_unsigned(self) -> Emitted {
        let bytes = self.unsigned();
        self.client.sends(&bytes)
    }

    /// Its bytes with credentials; a challenge is asked for where there is none yet.
    ///
    /// # Panics
    /// When the server does not challenge.
    #[track_caller]
    pub fn signed(&self) -> Vec<u8> {
        if self.client.look(|state| state.challenge.is_none()) {
            let answer = self.client.sends(&self.unsigned()).answer();
            self.client.learn(&answer);
        }
        self.bytes_with(self.client.proof(self.draft.method()))
    }

    /// Its bytes without credentials.
    pub fn unsigned(&self) -> Vec<u8> {
        let is_marked = self.client.look(|state| state.scheme.fingerprint);
        let proof = Draft::request(self.draft.method());
        self.bytes_with(if is_marked { proof.fingerprint() } else { proof })
    }

    fn bytes_with(&self, proof: Draft) -> Vec<u8> {
        let id = self.id.unwrap_or_else(|| self.client.next_id());
        self.draft.bytes_before(&proof, id)
    }

    /// RFC 8489 section 9.2.5: the client's half of the proof.
    #[track_caller]
    fn expect_proof(&self, answer: &Answer) {
        if !answer.is_signed() {
            return;
        }
        let key = self.client.key();
        let scheme = self.client.look(|state| state.scheme);
        let message = answer.message();
        let signed_as_asked = if scheme.sha256 {
            answer.is_signed_with_sha256(&key) && !message.has_integrity()
        } else {
            answer.is_signed_with_sha1(&key) && !message.has_integrity_sha256()
        };
        assert!(signed_as_asked, "the response proves itself as the request did");
    }
}
