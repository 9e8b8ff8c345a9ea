//! Who reads an epoll's fdinfo, and for how long: the kernel lists its items with `ep->mtx` held (`ep_show_fdinfo`, fs/eventpoll.c).

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_comm};
use epoll_trace_ebpf::{EpollId, Loss, ReadKey, ReadRow};

use super::{
    aggregate::{lose, put, since},
    epoll,
};
use crate::{
    globals::TIME_READS,
    kernel,
    maps::{READ_ZERO, READERS, READS},
};

/// The current thread begins to read.
#[inline(always)]
pub fn begins() {
    if TIME_READS.load() != 0 && READS.insert(kernel::current_task(), kernel::now(), 0).is_err() {
        lose(Loss::ReadersFull);
    }
}

/// The current thread has read the fdinfo of the epoll at `address`. One that is not followed is nobody's.
#[inline(always)]
pub fn shown_end(address: u64) {
    let task = kernel::current_task();
    let Some(begun) = READS.get_ptr(task) else {
        return;
    };
    // SAFETY: a value of READS, written by its own thread.
    let began_ns = unsafe { *begun };
    // It was just found.
    let _ = READS.remove(task);
    let Some(epoll) = epoll::counters(address) else {
        return;
    };
    let key = ReadKey {
        epoll: EpollId {
            address,
            // SAFETY: a value of EPOLL_ROWS.
            born_ns: unsafe { (*epoll).id.born_ns },
        },
        tgid: kernel::current_ids().0,
        pad: 0,
    };
    let Some(reader) = row(&key) else {
        lose(Loss::ReadersFull);
        return;
    };
    // SAFETY: a value of READERS.
    unsafe { put(&raw mut (*reader).took, since(kernel::now(), began_ns)) };
}

#[inline(always)]
fn row(key: &ReadKey) -> Option<*mut ReadRow> {
    if let Some(row) = READERS.get_ptr_mut(key) {
        return Some(row);
    }
    let zero = READ_ZERO.get_ptr(0)?;
    // SAFETY: a value of READ_ZERO, which nobody writes. By reference: the stack has no room for a copy.
    let zero = unsafe { &*zero };
    // Another thread may be first: the look-up tells.
    let _ = READERS.insert(key, zero, u64::from(BPF_NOEXIST));
    let row = READERS.get_ptr_mut(key)?;
    // SAFETY: a value of READERS.
    unsafe { (*row).comm = bpf_get_current_comm().unwrap_or_default() };
    Some(row)
}
