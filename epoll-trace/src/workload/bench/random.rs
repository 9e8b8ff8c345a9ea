//! A small generator of numbers for loads: the same row in every run.

/// Xorshift, 64 bits.
pub(super) struct Random(u64);

impl Random {
    /// A row of its own for each `seed`.
    pub(super) fn new(seed: u64) -> Self {
        // Any odd number but 0 does; the constant spreads small seeds.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper half is the better one, and fits every usize.
        ((self.0 >> 32) as usize).checked_rem(limit).unwrap_or(0)
    }

    /// Puts `items` in random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_shuffle_keeps_all_and_moves_some() {
        let sorted: Vec<usize> = (0..64).collect();
        let mut items = sorted.clone();
        Random::new(1).shuffle(&mut items);
        assert_ne!(items, sorted);
        items.sort_unstable();
        assert_eq!(items, sorted);
    }

    #[test]
    fn every_number_below_the_limit_comes() {
        let mut random = Random::new(7);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[random.below(3)] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(random.below(0), 0);
    }
}
