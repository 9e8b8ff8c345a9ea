//! The shape of every histogram: which bucket counts a value, and back.

/// Sub-buckets of one power of two: relative width 1/16 = 6.25 %.
pub const SUB_BUCKETS: u32 = 16;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();
/// The last power of two that has buckets of its own: 2^36 .. 2^37 ns, so 137 s.
const MAX_EXPONENT: u32 = 36;
/// Number of buckets of every histogram; the last one also takes everything longer.
pub const BUCKETS: usize = (((MAX_EXPONENT - SUB_BITS + 1) << SUB_BITS) + SUB_BUCKETS) as usize;

/// `value` shifted right by `BITS`, in a way that keeps the branch around it a branch: made into selections, which BPF has not,
/// a histogram's bucket would take three times the instructions.
#[inline(always)]
fn shifted<const BITS: u32>(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    // SAFETY: one instruction on one register.
    unsafe {
        let mut value = value;
        core::arch::asm!("{0} >>= {1}", inout(reg) value, const BITS, options(pure, nomem, nostack));
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        value >> BITS
    }
}

/// The bucket that counts `value`: exact below 16, then 16 buckets for each power of two.
///
/// With as many bits shifted out as leave 5, the bucket is 16 times that number and what is left.
#[inline(always)]
pub fn bucket(value: u64) -> usize {
    if value >> (MAX_EXPONENT + 1) != 0 {
        return BUCKETS - 1;
    }
    let (mut left, mut bucket) = (value, 0);
    macro_rules! shift {
        ($($bits:literal)*) => {$(
            if left >= 1 << ($bits + SUB_BITS) {
                left = shifted::<$bits>(left);
                bucket += $bits << SUB_BITS;
            }
        )*};
    }
    shift!(16 8 4 2 1 1);
    (bucket + left) as usize
}

/// The inverse of [`bucket`]: the smallest value that bucket `index` counts. For `BUCKETS` it gives the first value beyond the range.
pub const fn bucket_low(index: usize) -> u64 {
    let index = index as u64;
    let sub_buckets = SUB_BUCKETS as u64;
    if index < sub_buckets {
        return index;
    }
    let exponent = (index >> SUB_BITS) - 1;
    (sub_buckets + (index & (sub_buckets - 1))) << exponent
}

/// Buckets of a [`Chunk`](crate::Chunk), a part of a histogram: two powers of two.
pub const CHUNK_BUCKETS: usize = 2 * SUB_BUCKETS as usize;

/// By how many bits the values of a part are shifted right to lie from 16 on and below 64; `None` of the first part, whose values
/// never all do.
#[inline(always)]
pub const fn shift_of_part(part: usize) -> Option<u32> {
    match part as u32 {
        0 => None,
        part => Some(2 * part - 1),
    }
}

/// The bucket of `value` within the part that has this shift, `None` if it belongs to another part. Two comparisons in place of
/// eight.
#[inline(always)]
pub fn place_in_part(value: u64, shift: u32) -> Option<usize> {
    let place = shifted_by(value, shift).wrapping_sub(u64::from(SUB_BUCKETS));
    if place >= 3 * u64::from(SUB_BUCKETS) {
        return None;
    }
    Some(folded(place) as usize)
}

/// `value` shifted right by `bits`, which are below 64.
#[inline(always)]
fn shifted_by(value: u64, bits: u32) -> u64 {
    #[cfg(target_arch = "bpf")]
    // SAFETY: one instruction on one register. The number of bits in register 4 is where x86 has it (before 6.2).
    unsafe {
        let mut value = value;
        core::arch::asm!("{0} >>= r4", inout(reg) value, in("r4") bits, options(pure, nomem, nostack));
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        value >> bits
    }
}

/// What lies in the second power of two has half as many buckets for as wide a range.
#[inline(always)]
fn folded(place: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    // SAFETY: three instructions on one register: a branch, as in `shifted`.
    unsafe {
        let mut place = place;
        core::arch::asm!("if {0} < 16 goto +2", "{0} >>= 1", "{0} += 8", inout(reg) place, options(pure, nomem, nostack));
        place
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        if place < 16 { place } else { place / 2 + 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_contiguous_and_inverse() {
        for index in 0..BUCKETS {
            let (low, next) = (bucket_low(index), bucket_low(index + 1));
            assert!(low < next);
            assert_eq!(bucket(low), index);
            assert_eq!(bucket(next - 1), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_value_is_found_in_its_part_and_in_no_other() {
        // All edges of buckets, and what lies next to them.
        let edges = (0..=BUCKETS).map(bucket_low);
        for value in edges.flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1]) {
            for part in 1..BUCKETS / CHUNK_BUCKETS {
                let own = value < bucket_low(BUCKETS) && bucket(value) / CHUNK_BUCKETS == part;
                let place = place_in_part(value, shift_of_part(part).unwrap());
                assert_eq!(
                    place,
                    own.then(|| bucket(value) % CHUNK_BUCKETS),
                    "{value} in {part}"
                );
            }
            assert_eq!(place_in_part(value, 63), None);
        }
        assert_eq!(place_in_part(u64::MAX, 31), None);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_within_a_sixteenth(value in 0..bucket_low(BUCKETS)) {
            let index = bucket(value);
            let (low, next) = (bucket_low(index), bucket_low(index + 1));
            prop_assert!(low <= value && value < next);
            prop_assert!((next - low - 1) * u64::from(SUB_BUCKETS) <= low);
        }
    }
}
