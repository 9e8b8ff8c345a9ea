//! Whether a delivery was worth it, for those that accept: the first accept after it tells.

use epoll_trace_ebpf::Counter;

use super::{
    aggregate::{count, row},
    thread,
};
use crate::{
    kernel,
    maps::{ACCEPTED, DELIVERED, NOT_DELIVERED},
};

const EAGAIN: i32 = 11;

/// The current thread's accept or accept4 on the listener `_fd` returns `ret`: a descriptor, or a negative errno.
/// It counts with the epoll that delivered last to this thread.
#[inline(always)]
pub fn accept_return(_fd: i32, ret: i32) {
    let Some(thread) = thread::known(kernel::current_task()) else {
        return;
    };
    // SAFETY: a value of THREADS, written by its own thread outside of sleeps.
    unsafe {
        if (*thread).delivered == NOT_DELIVERED {
            return;
        }
        let first = (*thread).delivered == DELIVERED;
        (*thread).delivered = ACCEPTED;
        let Some(row) = row((*thread).row) else { return };
        if ret >= 0 {
            count(row, Counter::Accepts, 1);
        } else if first {
            // A loop that accepts until EAGAIN ends with one: only the first says that there was nothing.
            count(
                row,
                if ret == -EAGAIN {
                    Counter::AcceptEagain
                } else {
                    Counter::AcceptErrors
                },
                1,
            );
        }
    }
}
