//! A few names among a hundred thousand: most others are told apart by their first bytes.

/// Lets through every name of a list, and few others.
pub(super) struct Sieve(Box<[bool; 1 << Sieve::BITS]>);

impl Sieve {
    const BITS: u32 = 12;

    /// A sieve for `names`, each of at least four bytes.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sieve = Self(Box::new([false; 1 << Self::BITS]));
        for name in names {
            if let Some(&start) = name.as_bytes().first_chunk() {
                sieve.0[Self::place(start)] = true;
            }
        }
        sieve
    }

    /// Whether a name with these first bytes may be one of the list.
    pub(super) fn lets_through(&self, start: [u8; 4]) -> bool {
        self.0[Self::place(start)]
    }

    fn place(start: [u8; 4]) -> usize {
        let word = u32::from_le_bytes(start);
        (word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - Self::BITS)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_gets_through() {
        let sieve = Sieve::new(["do_epoll_wait", "file"].into_iter());
        assert!(sieve.lets_through(*b"do_e") && sieve.lets_through(*b"file"));
        let others = (0..u32::MAX).step_by(1 << 20);
        let through = others
            .filter(|word| sieve.lets_through(word.to_le_bytes()))
            .count();
        assert!(through < 40, "{through} of 4096");
    }
}
