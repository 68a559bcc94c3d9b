//! Repeatable noise.

/// Xorshift: enough to disturb bytes.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("64 bits");
        usize::try_from(self.next() % limit.max(1)).expect("64 bits")
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    /// Mostly what lengths and flags are made of, so that decoders get further than the first.
    pub fn likely_byte(&mut self) -> u8 {
        const LIKELY: [u8; 12] = [0, 0, 0, 0, 0, 1, 2, 4, 13, 255, b'/', b'a'];
        let index = self.below(LIKELY.len() + 2);
        LIKELY.get(index).copied().unwrap_or_else(|| self.byte())
    }
}
