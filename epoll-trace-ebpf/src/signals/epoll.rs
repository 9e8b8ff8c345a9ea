//! Which epolls there are, and the row of a (process, epoll) pair.

use core::arch::asm;

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::{Counter, Epoll, EpollCounter, EpollId, KnownEpoll, Loss, RowKey, TOMBSTONE};

use super::{
    aggregate::{add, lose, row, take},
    lock, thread,
};
use crate::{
    globals::{EPOLL_BY_FD, LOCKS_WANTED, PER_THREAD},
    kernel,
    maps::{
        EPOCH, EPOLL_BLOCKS, EPOLL_ROWS, EPOLLS, FREE_EPOLLS, FREE_ROWS, NO_ROW, PHASES, Part, ROW_BLOCKS,
        ROW_INDEX, ROWS, Thread, UNSEEN,
    },
};

/// Changes with each epoll that begins or ends: what was looked up at another value may be another epoll by now.
#[inline(always)]
pub fn epoch() -> u64 {
    // SAFETY: one aligned word; a value one step old only makes a look-up happen later.
    unsafe { (&raw const EPOCH).read_volatile() }
}

#[inline(always)]
fn advance_epoch() {
    // SAFETY: a global lies in a map value.
    unsafe { add(&raw mut EPOCH, 1) };
}

/// Unused index of EPOLL_ROWS.
#[inline(always)]
fn take_epoll() -> Option<u32> {
    #[inline(never)]
    fn one_more() -> u32 {
        take(&FREE_EPOLLS, &EPOLL_BLOCKS).map_or(0, |index| index.wrapping_add(1))
    }
    match one_more() {
        0 => {
            lose(Loss::EpollsFull);
            None
        }
        one_more => Some(one_more.wrapping_sub(1)),
    }
}

/// Unused index of ROWS.
#[inline(always)]
fn take_row() -> Option<u32> {
    #[inline(never)]
    fn one_more() -> u32 {
        take(&FREE_ROWS, &ROW_BLOCKS).map_or(0, |index| index.wrapping_add(1))
    }
    match one_more() {
        0 => {
            lose(Loss::RowsFull);
            None
        }
        one_more => Some(one_more.wrapping_sub(1)),
    }
}

/// Makes the epoll at `address` known as a new one, born now.
#[inline(always)]
fn introduce(address: u64, creator_tgid: u32, epfd: i32, flags: u64) -> Option<*mut KnownEpoll> {
    let index = take_epoll()?;
    let born_ns = kernel::now();
    if EPOLLS
        .insert(
            address,
            KnownEpoll {
                born_ns,
                index,
                pad: 0,
            },
            flags,
        )
        .is_err()
    {
        // Another thread was first, or the table is full: the look-up tells.
        if let Some(row) = EPOLL_ROWS.get_ptr_mut(index) {
            // SAFETY: a value of EPOLL_ROWS that no one else knows.
            unsafe { (*row).dead = 1 };
        }
        let found = EPOLLS.get_ptr_mut(address);
        if found.is_none() {
            lose(Loss::EpollsFull);
        }
        return found;
    }
    if let Some(row) = EPOLL_ROWS.get_ptr_mut(index) {
        // SAFETY: a value of EPOLL_ROWS; counters may already grow, so they are left alone (the agent hands out zeroed rows).
        unsafe {
            (*row).id = EpollId { address, born_ns };
            (*row).creator_tgid = creator_tgid;
            (*row).epfd = epfd;
            if creator_tgid != 0 {
                (*row).creator_comm = kernel::comm(kernel::current_task(), true);
                count(row, EpollCounter::Created, 1);
            }
            if LOCKS_WANTED.load() != 0 {
                // Read back it is a number, where `address` may be a pointer that the verifier lets nobody calculate with.
                lock::mark_epoll((&raw const (*row).id.address).read_volatile());
            }
        }
    }
    EPOLLS.get_ptr_mut(address)
}

#[inline(always)]
fn bury(address: u64) -> bool {
    let Some(known) = EPOLLS.get_ptr(address) else {
        return false;
    };
    // SAFETY: a value of EPOLLS.
    let index = unsafe { (*known).index };
    if EPOLLS.remove(address).is_err() {
        return false;
    }
    if let Some(row) = EPOLL_ROWS.get_ptr_mut(index) {
        // SAFETY: a value of EPOLL_ROWS.
        unsafe {
            (*row).dead = 1;
            count(row, EpollCounter::Closed, 1);
        }
    }
    advance_epoch();
    true
}

/// The counters of the epoll at `address`, if it is followed.
#[inline(always)]
pub fn counters(address: u64) -> Option<*mut Epoll> {
    EPOLL_ROWS.get_ptr_mut(index(address)?)
}

/// Where they are in [`EPOLL_ROWS`].
#[inline(always)]
pub fn index(address: u64) -> Option<u32> {
    let known = EPOLLS.get_ptr(address)?;
    // SAFETY: a value of EPOLLS.
    Some(unsafe { (*known).index })
}

/// Lets `thread` count into the row of its process and the epoll at `address`.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
pub unsafe fn resolve(thread: *mut Thread, address: u64) {
    let epoch = epoch();
    // SAFETY: the caller's promise.
    unsafe {
        if (*thread).row != NO_ROW && (*thread).epoll == address && (*thread).epoch == epoch {
            return;
        }
        (*thread).epoll = address;
        (*thread).epoch = epoch;
        (*thread).row = find_row_index(&raw const *thread, address);
        (*thread).named = UNSEEN;
        (*thread).parts = [Part::NONE; PHASES];
    }
}

/// As [`resolve`], for the epoll behind the current thread's descriptor `epfd`. The same file is the same epoll until one ends.
///
/// # Safety
/// `thread` must be a value of THREADS, and the current one.
#[inline(always)]
pub unsafe fn resolve_fd(thread: *mut Thread, epfd: i32) {
    // SAFETY: the caller's promise.
    unsafe {
        if EPOLL_BY_FD.load() != 0 {
            match kernel::epoll_of_fd(epfd) {
                Some(address) => resolve(thread, address),
                None => (*thread).row = NO_ROW,
            }
            return;
        }
        let (file, epoch) = (kernel::file_of_fd(epfd).unwrap_or(0), epoch());
        if file == 0 {
            (*thread).row = NO_ROW;
            return;
        }
        if (*thread).file != file || (*thread).file_epoch != epoch {
            let Some(address) = kernel::epoll_of_file(file) else {
                (*thread).row = NO_ROW;
                return;
            };
            (*thread).file = file;
            (*thread).file_epoll = address;
            (*thread).file_epoch = epoch;
        }
        resolve(thread, (*thread).file_epoll);
    }
}

/// As [`find_row`], [`NO_ROW`] if there is none. A function of its own: it is needed rarely, and long.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(never)]
unsafe fn find_row_index(thread: *const Thread, address: u64) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { find_row(thread, address) }.unwrap_or(NO_ROW)
}

/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
unsafe fn find_row(thread: *const Thread, address: u64) -> Option<u32> {
    let known = match EPOLLS.get_ptr_mut(address) {
        Some(known) => known,
        None => introduce(address, 0, -1, u64::from(BPF_NOEXIST))?,
    };
    // SAFETY: values of EPOLLS and THREADS.
    let key = unsafe {
        RowKey {
            epoll: EpollId {
                address,
                born_ns: (*known).born_ns,
            },
            tgid: (*thread).tgid,
            tid: if PER_THREAD.load() != 0 { (*thread).tid } else { 0 },
        }
    };
    if let Some(index) = ROW_INDEX.get_ptr(key) {
        // SAFETY: a value of ROW_INDEX.
        return Some(unsafe { *index });
    }
    let index = take_row()?;
    let row = ROWS.get_ptr_mut(index)?;
    if ROW_INDEX.insert(key, index, u64::from(BPF_NOEXIST)).is_err() {
        // SAFETY: a value of ROWS that no one else knows.
        unsafe { (*row).key.tgid = TOMBSTONE };
        let Some(winner) = ROW_INDEX.get_ptr(key) else {
            lose(Loss::RowsFull);
            return None;
        };
        // SAFETY: a value of ROW_INDEX.
        return Some(unsafe { *winner });
    }
    // SAFETY: a value of ROWS; the agent hands out zeroed rows.
    unsafe {
        (*row).epfd = (*thread).epfd;
        (*row).comm = kernel::comm((*thread).task, PER_THREAD.load() == 0);
        (*row).key = key;
    }
    Some(index)
}

/// Remembers the descriptor number that the thread's wait names its epoll by, unless it did so by the one before.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
pub unsafe fn name_row(thread: *mut Thread, epfd: i32) {
    #[inline(never)]
    unsafe fn name_anew(thread: *mut Thread, epfd: i32) -> u32 {
        // SAFETY: values of THREADS and ROWS.
        unsafe {
            if let Some(row) = row((*thread).row) {
                (*row).epfd = epfd;
                (*thread).named = epfd;
            }
        }
        0
    }
    let same: u64;
    // SAFETY: the caller's promise, and one instruction that shortens to 32 bits where the compiler needs two.
    unsafe {
        asm!("w1 = w1", in("r1") epfd, lateout("r1") same, options(pure, nomem, nostack));
        if u64::from((*thread).named as u32) != same {
            name_anew(thread, epfd);
        }
    }
}

/// The current process created an epoll as descriptor `epfd`. True if it is followed.
#[inline(always)]
pub fn birth(epfd: i32) -> bool {
    let Some(address) = kernel::epoll_of_fd(epfd) else {
        return false;
    };
    bury(address);
    // Only what is traced may take room; a thread that creates an epoll is about to wait on one.
    if thread::current().is_none() {
        return false;
    }
    let introduced = introduce(address, kernel::current_ids().0, epfd, 0).is_some();
    advance_epoch();
    introduced
}

/// The last file of the epoll at `address` was closed. True if it was followed.
#[inline(always)]
pub fn death(address: u64) -> bool {
    bury(address)
}

/// As [`counters`], and the epoll is followed from now on if it was not.
#[inline(always)]
pub fn known_or_introduced(address: u64) -> Option<*mut Epoll> {
    let known = match EPOLLS.get_ptr_mut(address) {
        Some(known) => known,
        None => introduce(address, 0, -1, u64::from(BPF_NOEXIST))?,
    };
    // SAFETY: a value of EPOLLS.
    EPOLL_ROWS.get_ptr_mut(unsafe { (*known).index })
}

/// Adds to a counter of the epoll whose row is `epoll`.
///
/// # Safety
/// `epoll` must come from [`counters`].
#[inline(always)]
pub unsafe fn count(epoll: *mut Epoll, counter: EpollCounter, amount: u64) {
    // SAFETY: a field of a map value.
    unsafe {
        add(
            (&raw mut (*epoll).counters).cast::<u64>().add(counter as usize),
            amount,
        )
    };
}

/// The counter of a wakeup by the current thread: a thread that is in a wait itself wakes at the end of its scan.
#[inline(always)]
pub fn cause(by_notification: bool) -> Counter {
    if by_notification {
        return Counter::WakeupsSource;
    }
    let waiting = match thread::known(kernel::current_task()) {
        // SAFETY: a value of THREADS.
        Some(waker) => unsafe { (*waker).waiting != 0 },
        None => false,
    };
    if waiting {
        Counter::WakeupsChain
    } else {
        Counter::WakeupsCtl
    }
}
