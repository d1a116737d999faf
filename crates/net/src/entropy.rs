//! The operating system's randomness, a block at a time.

use std::io;

/// Bytes asked for at once: each question is a system call, and every allocation needs a few.
const BLOCK: usize = 256;

/// A source of cryptographically strong bytes. A byte is given out once and kept nowhere afterwards.
#[derive(Debug)]
pub(crate) struct Entropy {
    block: [u8; BLOCK],
    /// Bytes of the block that have been given out.
    used: usize,
}

impl Entropy {
    pub(crate) const fn new() -> Self {
        Self { block: [0; BLOCK], used: BLOCK }
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for byte in bytes {
            if self.used == BLOCK {
                getrandom::fill(&mut self.block).map_err(io::Error::other)?;
                self.used = 0;
            }
            if let Some(next) = self.block.get_mut(self.used) {
                *byte = std::mem::take(next);
            }
            self.used += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn t9_no_byte_is_given_out_twice() {
        let mut entropy = Entropy::new();
        let mut seen = HashSet::new();
        for _ in 0..100 {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes).unwrap();
            assert!(seen.insert(bytes));
        }
        assert_eq!(entropy.block.iter().take(entropy.used).max(), Some(&0));
    }
}
