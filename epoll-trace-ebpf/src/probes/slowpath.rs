//! fentry and fexit of the slow paths of locks, for kernels without the tracepoints of contention (before 5.19).
//! Whoever runs one of these functions waits; the first argument of each is the lock.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{kernel::probed_at, signals};

/// As a number: the verifier knows the argument as a typed pointer and lets nobody calculate with that.
#[inline(always)]
fn first_argument(ctx: *mut c_void) -> Option<u64> {
    probed_at(ctx as u64)
}

/// Declares a pair of programs for a slow path.
macro_rules! slow_path {
    ($function:literal, $begin:ident, $end:ident) => {
        #[doc = concat!("`", $function, "(lock, …)` begins.")]
        #[fentry(function = $function)]
        fn $begin(ctx: FEntryContext) -> i32 {
            if let Some(lock) = first_argument(ctx.as_ptr()) {
                signals::lock_begin(ctx.as_ptr(), lock);
            }
            0
        }

        #[doc = concat!("`", $function, "(lock, …)` ends.")]
        #[fexit(function = $function)]
        fn $end(ctx: FExitContext) -> i32 {
            if let Some(lock) = first_argument(ctx.as_ptr()) {
                signals::lock_end(lock);
            }
            0
        }
    };
}

slow_path!("queued_read_lock_slowpath", rlock_fentry, rlock_fexit);
slow_path!("queued_write_lock_slowpath", wlock_fentry, wlock_fexit);
slow_path!("__mutex_lock_slowpath", mutex_fentry, mutex_fexit);
slow_path!("native_queued_spin_lock_slowpath", spin_fentry, spin_fexit);
slow_path!("__pv_queued_spin_lock_slowpath", pv_fentry, pv_fexit);
