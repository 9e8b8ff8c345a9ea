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
