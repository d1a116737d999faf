//! Randomness that can be repeated.

use turn_engine::Random;

/// SplitMix64: every seed gives a different, well-mixed sequence.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_u64().to_be_bytes();
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
    }

    /// The source as an engine takes it.
    pub fn random(seed: u64) -> Random {
        let mut seeded = Self::new(seed);
        Random::new(move |bytes| seeded.fill(bytes))
    }
}
