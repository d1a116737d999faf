//! Randomness as an input: ports, tokens, seeds `[A7] [T9]`.

use std::fmt;

/// A source of random bytes; the host gives the operating system's, a test a
/// seeded one.
pub struct Random(Box<Fill>);

type Fill = dyn FnMut(&mut [u8]) + Send;

impl Random {
    /// Takes what fills a buffer with cryptographically strong random bytes.
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self(Box::new(fill))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        // [A7, T9]
        (self.0)(bytes);
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(..)")
    }
}
