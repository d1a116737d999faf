//! A client as a browser is one: MD5 key and MESSAGE-INTEGRITY (RFC 8489
//! section 9.2), challenged once.

use std::net::SocketAddr;

use turn_codec::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_codec::{Class, Message, MessageWriter, Method, NoRoom, StatusCode, TransactionId};
use turn_credentials::LongTermKey;
use turn_engine::{Link, RelayId};

/// A client: its 5-tuple, what it knows of the server, what it was given.
pub struct VirtualClient {
    /// Its 5-tuple.
    pub link: Link,
    /// Its relayed transport address as the host names it.
    pub relay: RelayId,
    /// Its relayed transport address as peers see it.
    pub relayed: SocketAddr,
    pub(crate) session: Session,
}

impl VirtualClient {
    /// The key of every client.
    pub fn key() -> LongTermKey {
        LongTermKey::md5(USERNAME, REALM, PASSWORD)
    }
}

/// The one user.
pub(crate) const USERNAME: &str = "bench";
/// The user's password.
pub(crate) const PASSWORD: &str = "password";
/// The one realm.
pub(crate) const REALM: &str = "bench.example";

/// What a client has learned of its server.
pub(crate) struct Session {
    key: LongTermKey,
    nonce: Option<String>,
}

/// What a reply means for a request.
pub(crate) enum Progress {
    /// A 401: to be asked again, with its nonce.
    Challenged,
    /// A success response that is proven.
    Granted,
}

impl Session {
    /// Before the first request.
    pub(crate) fn new() -> Self {
        Self { key: VirtualClient::key(), nonce: None }
    }

    /// A request, signed once there is a nonce.
    pub(crate) fn request(
        &self,
        method: Method,
        id: TransactionId,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) -> Result<Vec<u8>, NoRoom> {
        let mut buffer = [0; 512];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, id)?;
        attributes(&mut writer)?;
        if let Some(nonce) = &self.nonce {
            writer.push(&Username(USERNAME))?;
            writer.push(&Realm(REALM))?;
            writer.push(&Nonce(nonce))?;
            writer.integrity(self.key.as_bytes())?;
        }
        Ok(writer.finish().to_vec())
    }

    /// Judges a reply, and learns from a 401; `None` for anything else than a
    /// 401 or a proven success.
    pub(crate) fn receive(&mut self, reply: &[u8]) -> Option<Progress> {
        let message = Message::parse(reply).ok()?;
        match message.class() {
            Class::Success => {
                message.verify_integrity(self.key.as_bytes()).ok()?;
                Some(Progress::Granted)
            }
            Class::Error => {
                let ErrorCode { code, .. } = message.get().ok()??;
                let Nonce(nonce) = message.get().ok()??;
                let is_new = self.nonce.replace(nonce.to_owned()).is_none();
                (is_new && code == StatusCode::UNAUTHENTICATED).then_some(Progress::Challenged)
            }
            Class::Request | Class::Indication => None,
        }
    }
}
