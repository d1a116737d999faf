//! A message before it is bytes: attributes in the order they were given.

use std::fmt;

use turn_codec::{AttributeType, Class, Encode, MessageWriter, Method, TransactionId};
use turn_credentials::LongTermKey;

/// Builds any STUN message, well-formed or not meant to be.
///
/// ```
/// use turn_codec::attribute::RequestedTransport;
/// use turn_codec::Method;
/// use turn_testkit::Draft;
///
/// let bytes = Draft::request(Method::ALLOCATE).with(RequestedTransport::UDP).bytes([7; 12]);
/// assert_eq!(bytes.len(), 28);
/// ```
#[derive(Debug)]
pub struct Draft {
    class: Class,
    method: Method,
    parts: Vec<Part>,
}

enum Part {
    Attribute(Box<dyn Encode>),
    Integrity(LongTermKey),
    IntegritySha256(LongTermKey),
    Fingerprint,
}

/// An attribute by type and value.
struct Raw(AttributeType, Vec<u8>);

impl Draft {
    /// Starts a message.
    pub const fn new(class: Class, method: Method) -> Self {
        Self { class, method, parts: Vec::new() }
    }

    /// Starts a request.
    pub const fn request(method: Method) -> Self {
        Self::new(Class::Request, method)
    }

    /// Appends an attribute.
    #[must_use]
    pub fn with(mut self, attribute: impl Encode + 'static) -> Self {
        self.parts.push(Part::Attribute(Box::new(attribute)));
        self
    }

    /// Appends an attribute by type and value.
    #[must_use]
    pub fn raw(self, kind: AttributeType, value: &[u8]) -> Self {
        self.with(Raw(kind, value.to_vec()))
    }

    /// Appends MESSAGE-INTEGRITY.
    #[must_use]
    pub fn integrity(mut self, key: &LongTermKey) -> Self {
        self.parts.push(Part::Integrity(key.clone()));
        self
    }

    /// Appends MESSAGE-INTEGRITY-SHA256.
    #[must_use]
    pub fn integrity_sha256(mut self, key: &LongTermKey) -> Self {
        self.parts.push(Part::IntegritySha256(key.clone()));
        self
    }

    /// Appends FINGERPRINT.
    #[must_use]
    pub fn fingerprint(mut self) -> Self {
        self.parts.push(Part::Fingerprint);
        self
    }

    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The message with this transaction id.
    ///
    /// # Panics
    /// When it is longer than 64 KiB.
    pub fn bytes(&self, id: [u8; 12]) -> Vec<u8> {
        self.write(&[], id)
    }

    /// The message with what another draft holds behind its own attributes.
    pub(crate) fn bytes_before(&self, behind: &Self, id: [u8; 12]) -> Vec<u8> {
        self.write(&behind.parts, id)
    }

    fn write(&self, behind: &[Part], id: [u8; 12]) -> Vec<u8> {
        let mut buffer = vec![0; 66_000];
        let id = TransactionId::new(id);
        let mut writer =
            MessageWriter::new(&mut buffer, self.class, self.method, id).expect("a header fits");
        for part in self.parts.iter().chain(behind) {
            let written = match part {
                Part::Attribute(attribute) => writer.push(&Any(attribute.as_ref())),
                Part::Integrity(key) => writer.integrity(key.as_bytes()),
                Part::IntegritySha256(key) => writer.integrity_sha256(key.as_bytes()),
                Part::Fingerprint => writer.fingerprint(),
            };
            written.expect("a test's message fits into 64 KiB");
        }
        writer.finish().to_vec()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => write!(f, "{:?}", attribute.kind()),
            Self::Integrity(_) => f.write_str("MESSAGE-INTEGRITY"),
            Self::IntegritySha256(_) => f.write_str("MESSAGE-INTEGRITY-SHA256"),
            Self::Fingerprint => f.write_str("FINGERPRINT"),
        }
    }
}

impl Encode for Raw {
    fn kind(&self) -> AttributeType {
        self.0
    }

    fn value_len(&self) -> usize {
        self.1.len()
    }

    fn encode(&self, value: &mut [u8], _: &TransactionId) {
        value.copy_from_slice(&self.1);
    }
}

/// `push` wants a sized type.
struct Any<'a>(&'a dyn Encode);

impl Encode for Any<'_> {
    fn kind(&self) -> AttributeType {
        self.0.kind()
    }

    fn value_len(&self) -> usize {
        self.0.value_len()
    }

    fn encode(&self, value: &mut [u8], id: &TransactionId) {
        self.0.encode(value, id);
    }
}
