//! The shape of every histogram: which bucket counts a value, and back.

/// Sub-buckets of one power of two: relative width 1/16 = 6.25 %.
pub const SUB_BUCKETS: u32 = 16;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();
/// The last power of two that has buckets of its own: 2^36 .. 2^37 ns, so 137 s.
const MAX_EXPONENT: u32 = 36;
/// Number of buckets of every histogram; the last one also takes everything longer.
pub const BUCKETS: usize = (((MAX_EXPONENT - SUB_BITS + 1) << SUB_BITS) + SUB_BUCKETS) as usize;

/// Position of the highest set bit, without the `clz` that BPF has not. `value` must not be 0 (0 gives 0).
#[inline(always)]
const fn floor_log2(mut value: u64) -> u32 {
    let mut log = 0;
    if value >= 1 << 32 {
        value >>= 32;
        log += 32;
    }
    if value >= 1 << 16 {
        value >>= 16;
        log += 16;
    }
    if value >= 1 << 8 {
        value >>= 8;
        log += 8;
    }
    if value >= 1 << 4 {
        value >>= 4;
        log += 4;
    }
    if value >= 1 << 2 {
        value >>= 2;
        log += 2;
    }
    if value >= 1 << 1 {
        log += 1;
    }
    log
}

/// The bucket that counts `value`: exact below 16, then 16 buckets for each power of two.
#[inline(always)]
pub const fn bucket(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let exponent = floor_log2(value);
    if exponent > MAX_EXPONENT {
        return BUCKETS - 1;
    }
    let sub = (value >> (exponent - SUB_BITS)) as u32 & (SUB_BUCKETS - 1);
    (((exponent - SUB_BITS + 1) << SUB_BITS) + sub) as usize
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
        fn log2_is_that_of_the_library(value in 1..=u64::MAX) {
            prop_assert_eq!(floor_log2(value), value.ilog2());
        }

        #[test]
        fn a_value_lies_in_its_bucket_within_a_sixteenth(value in 0..bucket_low(BUCKETS)) {
            let index = bucket(value);
            let (low, next) = (bucket_low(index), bucket_low(index + 1));
            prop_assert!(low <= value && value < next);
            prop_assert!((next - low - 1) * u64::from(SUB_BUCKETS) <= low);
        }
    }
}
