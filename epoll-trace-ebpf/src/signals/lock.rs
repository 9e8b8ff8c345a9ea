//! Waits for the locks of epolls and of what they watch: `ep->lock`, `ep->mtx`, and the lock in a source's wait queue
//! (`contention_begin`/`contention_end`, include/trace/events/lock.h; before 5.19 the slow paths themselves).
//!
//! These fire for every lock of the machine that somebody waits for: a table of bytes tells first whether an epoll has one there.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_get_stack;
use epoll_trace_ebpf::{
    EpollCounter, EpollId, LOCK_FILTER_SLOTS, LockKey, LockKind, LockPath, LockRow, LockThread, Loss,
};

use super::{
    aggregate::{add, lose, put},
    epoll, notification, thread,
};
use crate::{
    globals::{
        NOTIFICATIONS_SEEN, OFF_ENTRY_NEXT, OFF_EP_LOCK, OFF_EP_MTX, OFF_ITEM_FD, OFF_WAIT_WHEAD, PER_THREAD,
        TEXT_CLOSE, TEXT_CLOSE_END, TEXT_CTL, TEXT_CTL_END, TEXT_CTL_FILE, TEXT_CTL_FILE_END, TEXT_FDINFO,
        TEXT_FDINFO_END, TEXT_NOTIFICATION, TEXT_NOTIFICATION_END, TEXT_RELEASE, TEXT_RELEASE_END,
    },
    kernel,
    maps::{
        EPOLL_ROWS, EPOLLS, LOCK_FILTER, LOCK_THREADS, LOCK_ZERO, LOCKS, LockWait, MAX_SPINS, MUTEX_WAITS,
        SOURCES, SPINS, WatchedSource,
    },
};

/// Frames of the stack that are looked through for what the thread does: the slow path, and a few callers.
const FRAMES: usize = 16;
/// Bytes of one frame.
const FRAME: usize = 8;
/// The kernel's `list_del` leaves 0xdead... behind.
const POISON: u64 = 0xdead;
const EEXIST: i32 = 17;

#[inline(always)]
fn filter_slot(lock: u64) -> *mut u8 {
    // Locks lie in slab objects: neighbours differ above the third bit, and so do objects of a page.
    let place = (lock >> 3 ^ lock >> 19) as usize & (LOCK_FILTER_SLOTS - 1);
    // SAFETY: the index is below the array's length.
    unsafe { (&raw mut LOCK_FILTER).cast::<u8>().add(place) }
}

#[inline(always)]
fn may_be_known(lock: u64) -> bool {
    // SAFETY: an element of LOCK_FILTER; it only ever turns from 0 to 1.
    unsafe { filter_slot(lock).read_volatile() != 0 }
}

#[inline(always)]
fn mark(lock: u64) {
    // SAFETY: an element of LOCK_FILTER.
    unsafe { filter_slot(lock).write_volatile(1) };
}

/// The locks of the epoll at `address` are to be known from now on.
#[inline(always)]
pub fn mark_epoll(address: u64) {
    mark(address.wrapping_add(OFF_EP_LOCK.load()));
    mark(address.wrapping_add(OFF_EP_MTX.load()));
}

/// The epoll at `address` is notified through wait-queue entry `wait` of `item`: whose wait queue it stands in is kept.
#[inline(always)]
pub fn remember_source(wait: u64, item: u64, address: u64) {
    let Some(head) = kernel::probed::<u64>(wait, &OFF_WAIT_WHEAD).filter(|&head| head != 0) else {
        return;
    };
    if let Some(known) = SOURCES.get_ptr(head) {
        // SAFETY: a value of SOURCES.
        let known = unsafe { *known };
        if (known.wait == wait && known.epoll == address) || (known.wait != wait && stands(head, known.wait))
        {
            return;
        }
    }
    let source = WatchedSource {
        epoll: address,
        wait,
        fd: kernel::probed(item, &OFF_ITEM_FD).unwrap_or(-1),
        pad: 0,
    };
    // LRU: there is always room.
    let _ = SOURCES.insert(head, source, 0);
    mark(head);
}

/// Whether wait-queue entry `wait` still stands in the queue at `head`: both may have been freed since.
#[inline(always)]
fn stands(head: u64, wait: u64) -> bool {
    kernel::probed(wait, &OFF_WAIT_WHEAD) == Some(head)
        && kernel::probed::<u64>(wait, &OFF_ENTRY_NEXT).is_some_and(|next| next >> 48 != POISON)
}

/// Whose lock it is; the wait is not begun yet.
#[inline(always)]
fn identify(lock: u64) -> Option<LockWait> {
    let of = |address: u64, kind: LockKind, fd: i32| {
        let known = EPOLLS.get_ptr(address)?;
        // SAFETY: a value of EPOLLS.
        let known = unsafe { *known };
        Some(LockWait {
            lock,
            began_ns: 0,
            epoll: EpollId {
                address,
                born_ns: known.born_ns,
            },
            index: known.index,
            fd,
            kind: kind as u32,
            path: LockPath::Other as u32,
        })
    };
    let own = |offset: u64, kind| of(lock.wrapping_sub(offset), kind, -1);
    own(OFF_EP_LOCK.load(), LockKind::Lock)
        .or_else(|| own(OFF_EP_MTX.load(), LockKind::Mutex))
        .or_else(|| {
            let source = SOURCES.get_ptr(lock)?;
            // SAFETY: a value of SOURCES.
            let source = unsafe { *source };
            stands(lock, source.wait).then_some(())?;
            of(source.epoll, LockKind::Source, source.fd)
        })
}

/// The current thread, or an interrupt on it, begins to wait for `lock`. A mutex says so again for each step of one wait.
#[inline(always)]
pub fn lock_begin(ctx: *mut c_void, lock: u64) {
    if !may_be_known(lock) {
        return;
    }
    let Some(mut wait) = identify(lock) else { return };
    wait.began_ns = kernel::now();
    if wait.kind != LockKind::Mutex as u32 {
        wait.path = path(ctx, wait.kind) as u32;
        begin_spin(wait);
        return;
    }
    let task = kernel::current_task();
    let begun = MUTEX_WAITS.get_ptr(task);
    // SAFETY: a value of MUTEX_WAITS, written by its own thread.
    if begun.is_some_and(|begun| unsafe { (*begun).lock } == lock) || thread::is_own(kernel::current_ids().0)
    {
        return;
    }
    wait.path = path(ctx, wait.kind) as u32;
    if MUTEX_WAITS.insert(task, wait, 0).is_err() {
        lose(Loss::LockWaitsFull);
    }
}

#[inline(always)]
fn begin_spin(wait: LockWait) {
    let Some(spins) = SPINS.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's value of SPINS; preemption is off. An interrupt between the two writes takes the next place and gives it back.
    unsafe {
        let mut depth = (*spins).depth as usize;
        if depth >= MAX_SPINS {
            // Ends were missed: all that stand here are stale.
            lose(Loss::LockWaitsFull);
            depth = 0;
        }
        (*spins).depth = depth as u64 + 1;
        (&raw mut (*spins).waits)
            .cast::<LockWait>()
            .add(depth)
            .write(wait);
    }
}

/// The wait for `lock` is over.
#[inline(always)]
pub fn lock_end(lock: u64) {
    if !may_be_known(lock) {
        return;
    }
    if let Some(wait) = end_spin(lock).or_else(|| end_mutex(lock)) {
        count(&wait, kernel::now().saturating_sub(wait.began_ns));
    }
}

#[inline(always)]
fn end_spin(lock: u64) -> Option<LockWait> {
    let spins = SPINS.get_ptr_mut(0)?;
    // SAFETY: this CPU's value of SPINS; preemption is off, and interrupts leave it as they found it.
    unsafe {
        let depth = (*spins).depth as usize;
        let waits = (&raw const (*spins).waits).cast::<LockWait>();
        let mut place = MAX_SPINS;
        while place > 0 {
            place -= 1;
            let wait = waits.add(place);
            if place < depth && (*wait).lock == lock {
                (*spins).depth = place as u64;
                return Some(*wait);
            }
        }
    }
    None
}

#[inline(always)]
fn end_mutex(lock: u64) -> Option<LockWait> {
    let task = kernel::current_task();
    let begun = MUTEX_WAITS.get_ptr(task)?;
    // SAFETY: a value of MUTEX_WAITS, written by its own thread.
    let wait = unsafe { *begun };
    if wait.lock != lock {
        return None;
    }
    // It was just found.
    let _ = MUTEX_WAITS.remove(task);
    Some(wait)
}

/// What the current thread is doing that takes a lock of `kind`.
///
/// Only what no state tells costs a look at the stack: a microsecond or two, of a thread that waits anyway.
#[inline(always)]
fn path(ctx: *mut c_void, kind: u32) -> LockPath {
    if notification::in_progress().is_some() {
        return LockPath::Notification;
    }
    // A source's lock is taken by interrupts too, whatever the thread below them does.
    let waiting = kind != LockKind::Source as u32
        && thread::known(kernel::current_task()).is_some_and(|thread| {
            // SAFETY: a value of THREADS.
            unsafe { (*thread).waiting != 0 }
        });
    if waiting && NOTIFICATIONS_SEEN.load() != 0 {
        return LockPath::Wait;
    }
    match path_by_stack(ctx) {
        LockPath::Other if waiting => LockPath::Wait,
        path => path,
    }
}

#[inline(always)]
fn path_by_stack(ctx: *mut c_void) -> LockPath {
    let texts = [
        (&TEXT_NOTIFICATION, &TEXT_NOTIFICATION_END, LockPath::Notification),
        (&TEXT_CTL, &TEXT_CTL_END, LockPath::Ctl),
        (&TEXT_CTL_FILE, &TEXT_CTL_FILE_END, LockPath::Ctl),
        (&TEXT_FDINFO, &TEXT_FDINFO_END, LockPath::Fdinfo),
        (&TEXT_CLOSE, &TEXT_CLOSE_END, LockPath::Close),
        (&TEXT_RELEASE, &TEXT_RELEASE_END, LockPath::Close),
    ];
    let mut frames = [0u64; FRAMES];
    // SAFETY: the helper writes at most as many bytes as it is told; what it does not write stays 0.
    let read = unsafe { bpf_get_stack(ctx, frames.as_mut_ptr().cast(), (FRAMES * FRAME) as u32, 0) };
    if read <= 0 {
        return LockPath::Other;
    }
    for frame in frames {
        for (start, end, path) in texts {
            if frame >= start.load() && frame < end.load() {
                return path;
            }
        }
    }
    LockPath::Other
}

/// A wait for a lock took `waited_ns`.
#[inline(always)]
fn count(wait: &LockWait, waited_ns: u64) {
    count_in_epoll(wait);
    let (tgid, tid) = kernel::current_ids();
    let key = LockKey {
        epoll: wait.epoll,
        tgid,
        tid: if PER_THREAD.load() != 0 { tid } else { 0 },
        kind: wait.kind,
        fd: wait.fd,
    };
    let Some(row) = row(&key) else {
        lose(Loss::LocksFull);
        return;
    };
    let path = wait.path as usize;
    if path >= LockPath::COUNT {
        return;
    }
    let seen = LOCK_THREADS.insert(
        LockThread {
            lock: key,
            tid,
            pad: 0,
        },
        1,
        u64::from(BPF_NOEXIST),
    );
    // SAFETY: fields of a value of LOCKS; `path` was just checked.
    unsafe {
        match seen {
            Ok(()) => add(&raw mut (*row).threads, 1),
            Err(error) if error == -EEXIST => {}
            Err(_) => lose(Loss::LockThreadsFull),
        }
        add((&raw mut (*row).counts).cast::<u64>().add(path), 1);
        add((&raw mut (*row).sums_ns).cast::<u64>().add(path), waited_ns);
        put(&raw mut (*row).waited, waited_ns);
    }
}

#[inline(always)]
fn row(key: &LockKey) -> Option<*mut LockRow> {
    if let Some(row) = LOCKS.get_ptr_mut(key) {
        return Some(row);
    }
    let zero = LOCK_ZERO.get_ptr(0)?;
    // SAFETY: a value of LOCK_ZERO, which nobody writes. By reference: the stack has no room for a copy.
    let zero = unsafe { &*zero };
    // Another thread may be first: the look-up tells.
    let _ = LOCKS.insert(key, zero, u64::from(BPF_NOEXIST));
    LOCKS.get_ptr_mut(key)
}

#[inline(always)]
fn count_in_epoll(wait: &LockWait) {
    let Some(row) = EPOLL_ROWS.get_ptr_mut(wait.index) else {
        return;
    };
    let counter = if wait.kind == LockKind::Lock as u32 {
        EpollCounter::LockWaits
    } else if wait.kind == LockKind::Mutex as u32 {
        EpollCounter::MutexWaits
    } else {
        EpollCounter::SourceLockWaits
    };
    // SAFETY: a value of EPOLL_ROWS; one that was handed out again is another epoll's.
    unsafe {
        if (*row).id.born_ns == wait.epoll.born_ns {
            epoll::count(row, counter, 1);
        }
    }
}
