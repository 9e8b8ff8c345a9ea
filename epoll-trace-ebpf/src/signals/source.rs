//! Herds: of a file that several watch, and of a listener whoever watches it, the notifications of each item and the waiters that they
//! wake.
//!
//! `__wake_up_common` walks a wait queue from its head, so each event reaches the first item, and as many of the others as come
//! before an exclusive one that woke somebody.

use epoll_trace_ebpf::{EpollId, ITEM_KIND_SLOTS, MAX_NESTING, RELEASED, REMOVED, SourceKey, WATCHED};

use super::{aggregate::add, epoll, follow::introduced};
use crate::{
    globals::{COUNT_SOURCES, OFF_ITEM_EVENTS, OFF_ITEM_FD, OFF_ITEM_FILE},
    kernel,
    maps::{CPUS, Cpu, ITEM_KINDS, SOURCE_ITEMS},
};

/// Place of the source of the notification that is `depth` deep.
///
/// # Safety
/// `cpu` must be this CPU's value of CPUS, and `depth` below [`MAX_NESTING`].
#[inline(always)]
unsafe fn place(cpu: *mut Cpu, depth: usize) -> *mut SourceKey {
    // SAFETY: the caller's promise.
    unsafe { (&raw mut (*cpu).sources).cast::<SourceKey>().add(depth) }
}

/// A notification begins of which nothing is known yet.
///
/// # Safety
/// As of [`place`].
#[inline(always)]
pub unsafe fn begin(cpu: *mut Cpu, depth: usize) {
    if COUNT_SOURCES.load() != 0 {
        // SAFETY: the caller's promise.
        unsafe { (*place(cpu, depth)).file = 0 };
    }
}

/// EPOLLRDBAND: `sock_def_readable` brings it, no pipe, eventfd or timer does (net/core/sock.c).
const OF_SOCKETS: u32 = 0x80;

/// Place of `item` in ITEM_KINDS: the slab gives items at a distance of 128 bytes.
#[inline(always)]
pub fn kind_of(item: u64) -> *mut u64 {
    let place = (item >> 7) as usize & (ITEM_KIND_SLOTS - 1);
    // SAFETY: the index is below the array's length.
    unsafe { (&raw mut ITEM_KINDS).cast::<u64>().add(place) }
}

/// Whether what brings `mask` may be a listener: it is a socket.
#[inline(always)]
pub fn may_be_of_listener(mask: u32) -> bool {
    mask & OF_SOCKETS != 0
}

/// Whether `item` watches a listener. That stays so as long as the item does, so it is looked up once for each.
#[inline(always)]
fn is_of_listener(item: u64) -> bool {
    // SAFETY: a global lies in a map value.
    let known = unsafe { kind_of(item).read_volatile() };
    if known & !1 == item {
        return known & 1 != 0;
    }
    look_at(item) != 0
}

/// 1 if `item` watches a listener, which is remembered.
#[inline(never)]
fn look_at(item: u64) -> u64 {
    let Some(file) = kernel::probed::<u64>(item, &OFF_ITEM_FILE) else {
        return 0;
    };
    let kind = u64::from(kernel::backlog_of_listener(file).is_some());
    // SAFETY: as above.
    unsafe { kind_of(item).write_volatile(item | kind) };
    kind
}

/// What is known of a notification.
pub struct Notified {
    /// The wait-queue entry of the item.
    pub wait: u64,
    /// The events it brings, 0 = unknown.
    pub mask: u32,
    /// When it began.
    pub now: u64,
    /// Whether others stand in the queue that it came from; else it is one of a socket.
    pub shared: bool,
}

/// It is one of a file that others wait for too, or may be one of a listener.
///
/// # Safety
/// `cpu` must be this CPU's value of CPUS.
#[inline(always)]
pub unsafe fn notified(cpu: *mut Cpu, depth: usize, notified: &Notified) {
    let Some((item, address)) = kernel::item_and_epoll_of_watch(notified.wait) else {
        return;
    };
    if !notified.shared && !is_of_listener(item) {
        return;
    }
    let Some(epoll) = epoll::counters(address) else {
        return;
    };
    let events = kernel::probed::<u32>(item, &OFF_ITEM_EVENTS).unwrap_or(0);
    if depth >= MAX_NESTING || !super::notification::is_asked(events, notified.mask) {
        return;
    }
    let (Some(file), Some(fd)) = (
        kernel::probed::<u64>(item, &OFF_ITEM_FILE),
        kernel::probed::<i32>(item, &OFF_ITEM_FD),
    ) else {
        return;
    };
    // SAFETY: the caller's promise, and a value of EPOLL_ROWS; `depth` was just checked.
    let key = unsafe {
        let key = place(cpu, depth);
        *key = SourceKey {
            file,
            epoll: (*epoll).id,
            fd,
            pad: 0,
        };
        &*key
    };
    let known = match SOURCE_ITEMS.get_ptr_mut(key) {
        // SAFETY: a value of SOURCE_ITEMS.
        Some(known) if unsafe { (*known).gone } == WATCHED => Some(known),
        // Not yet, and its address may have been that of a listener's item before.
        _ if !notified.shared && look_at(item) == 0 => {
            // SAFETY: as above.
            unsafe { begin(cpu, depth) };
            return;
        }
        _ => introduced(key, notified.now),
    };
    if let Some(known) = known {
        // SAFETY: a value of SOURCE_ITEMS.
        unsafe {
            (*known).events = events;
            add(&raw mut (*known).notifications, 1);
            if kernel::is_first_in_queue(notified.wait) {
                add(&raw mut (*known).first, 1);
            }
        }
    }
}

/// The innermost notification in progress on this CPU makes a waiter runnable.
#[inline(always)]
pub fn woke() {
    let Some(cpu) = CPUS.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's value of CPUS; interrupts are off, and the index is checked.
    unsafe {
        let innermost = ((*cpu).depth as usize).wrapping_sub(1);
        if innermost >= MAX_NESTING {
            return;
        }
        let key: &SourceKey = &*place(cpu, innermost);
        if key.file == 0 {
            return;
        }
        if let Some(item) = SOURCE_ITEMS.get_ptr_mut(key) {
            add(&raw mut (*item).woken, 1);
        }
    }
}

/// The notification `depth` deep ended without a waiter of its item (EPOLLEXCLUSIVE), so that the next one in the queue is notified too.
///
/// # Safety
/// `cpu` must be this CPU's value of CPUS.
#[inline(always)]
pub unsafe fn passed_on(cpu: *mut Cpu, depth: usize) {
    if depth >= MAX_NESTING {
        return;
    }
    // SAFETY: the caller's promise; `depth` was just checked.
    unsafe {
        let key: &SourceKey = &*place(cpu, depth);
        if key.file != 0
            && let Some(item) = SOURCE_ITEMS.get_ptr_mut(key)
        {
            add(&raw mut (*item).passed_on, 1);
        }
    }
}

/// The current process put descriptor `fd` into `epoll`: a listener is followed before its first connection.
#[inline(always)]
pub fn added(epoll: EpollId, fd: i32) {
    if COUNT_SOURCES.load() == 0 {
        return;
    }
    let Some(file) = kernel::file_of_fd(fd) else {
        return;
    };
    let key = SourceKey {
        file,
        epoll,
        fd,
        pad: 0,
    };
    // One that is taken out and put in again, to wait behind the others, must not look gone until its turn comes.
    if SOURCE_ITEMS.get_ptr(key).is_some() || kernel::backlog_of_listener(file).is_some() {
        introduced(&key, kernel::now());
    }
}

/// The current process took descriptor `fd` out of `epoll`.
#[inline(always)]
pub fn removed(epoll: EpollId, fd: i32) {
    if COUNT_SOURCES.load() != 0
        && let Some(file) = kernel::file_of_fd(fd)
    {
        end(
            &SourceKey {
                file,
                epoll,
                fd,
                pad: 0,
            },
            REMOVED,
        );
    }
}

/// The last reference to `file` goes while `item` of `epoll` watches it.
#[inline(always)]
pub fn released(file: u64, item: u64, epoll: EpollId) {
    if COUNT_SOURCES.load() != 0
        && let Some(fd) = kernel::probed::<i32>(item, &OFF_ITEM_FD)
    {
        end(
            &SourceKey {
                file,
                epoll,
                fd,
                pad: 0,
            },
            RELEASED,
        );
    }
}

/// Nothing counts into the item of `key` any more; the agent takes it out once it has read it.
#[inline(always)]
fn end(key: &SourceKey, how: u32) {
    if let Some(item) = SOURCE_ITEMS.get_ptr_mut(key) {
        // SAFETY: a value of SOURCE_ITEMS.
        unsafe { (*item).gone = how };
    }
}
