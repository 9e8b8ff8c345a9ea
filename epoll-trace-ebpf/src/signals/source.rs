//! Herds: of a file that several watch, the notifications of each item and the waiters that they wake.
//!
//! `__wake_up_common` walks a wait queue from its head, so each event reaches the first item, and as many of the others as come
//! before an exclusive one that woke somebody.

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::{
    Epoll, EpollId, Loss, MAX_NESTING, RELEASED, REMOVED, SOURCE_WALK, SourceItem, SourceKey, WATCHED,
};

use super::{
    aggregate::{add, lose},
    epoll,
};
use crate::{
    globals::{BY_CGROUP, COUNT_SOURCES, FILTERED, OFF_ITEM_EVENTS, OFF_ITEM_FD, OFF_ITEM_FILE},
    kernel,
    maps::{CPUS, Cpu, EPOLLS, SOURCE_ITEMS},
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

/// It is one of `item`, which watches a file that others wait for too, for an event in `mask` (0 = unknown).
///
/// # Safety
/// `cpu` must be this CPU's value of CPUS, and `epoll` come from [`super::epoll::counters`].
#[inline(always)]
pub unsafe fn notified(cpu: *mut Cpu, depth: usize, item: u64, epoll: *const Epoll, mask: u32, now: u64) {
    let events = kernel::probed::<u32>(item, &OFF_ITEM_EVENTS).unwrap_or(0);
    if depth >= MAX_NESTING || !super::notification::is_asked(events, mask) {
        return;
    }
    let (Some(file), Some(fd)) = (
        kernel::probed::<u64>(item, &OFF_ITEM_FILE),
        kernel::probed::<i32>(item, &OFF_ITEM_FD),
    ) else {
        return;
    };
    // SAFETY: the caller's promise; `depth` was just checked.
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
        _ => introduce(key, now),
    };
    if let Some(known) = known {
        // SAFETY: a value of SOURCE_ITEMS.
        unsafe {
            (*known).events = events;
            add(&raw mut (*known).notifications, 1);
        }
    }
}

/// Follows the item of `key` from now on, and all that watch its file: who is never notified belongs to a herd too. A
/// function of its own: it is needed rarely, and long.
#[inline(never)]
fn introduce(key: &SourceKey, now: u64) -> Option<*mut SourceItem> {
    let born_ns = born(key.file).unwrap_or(now);
    if let Some(known) = SOURCE_ITEMS.get_ptr_mut(key) {
        // SAFETY: a value of SOURCE_ITEMS.
        unsafe {
            if (*known).gone == RELEASED || (*known).born_ns != born_ns {
                // Another file at the same address, before the agent took over what the old one counted.
                lose(Loss::SourcesReused);
                *known = SourceItem {
                    born_ns,
                    ..SourceItem::default()
                };
            }
            (*known).gone = WATCHED;
        }
        return Some(known);
    }
    let mut watchers = kernel::Watchers::of(key.file);
    let mut seen = 0;
    while seen < SOURCE_WALK && watchers.has_next() {
        seen += 1;
        let Some((item, address)) = watchers.next_item() else {
            continue;
        };
        if FILTERED.load() == 0 && BY_CGROUP.load() == 0 {
            // Its waiters may sleep since before us, and never be woken.
            epoll::known_or_introduced(address);
        }
        let Some(sibling) = key_of(key.file, item, address) else {
            continue;
        };
        let new = SourceItem {
            born_ns,
            events: kernel::probed(item, &OFF_ITEM_EVENTS).unwrap_or(0),
            ..SourceItem::default()
        };
        // One that is there already stays as it is, and one without room is counted when it is notified.
        let _ = SOURCE_ITEMS.insert(sibling, new, u64::from(BPF_NOEXIST));
    }
    if watchers.has_next() {
        lose(Loss::SourcesCut);
    }
    if SOURCE_ITEMS.get_ptr_mut(key).is_none() {
        // The list changed while it was walked, or is longer.
        let new = SourceItem {
            born_ns,
            ..SourceItem::default()
        };
        let _ = SOURCE_ITEMS.insert(key, new, u64::from(BPF_NOEXIST));
    }
    let known = SOURCE_ITEMS.get_ptr_mut(key);
    if known.is_none() {
        lose(Loss::SourceItemsFull);
    }
    known
}

/// When `file` was first seen to be shared, as far as any of its items is followed.
#[inline(always)]
fn born(file: u64) -> Option<u64> {
    let mut watchers = kernel::Watchers::of(file);
    let mut seen = 0;
    while seen < SOURCE_WALK && watchers.has_next() {
        seen += 1;
        let Some((item, address)) = watchers.next_item() else {
            continue;
        };
        if let Some(key) = key_of(file, item, address)
            && let Some(known) = SOURCE_ITEMS.get_ptr(key)
        {
            // SAFETY: a value of SOURCE_ITEMS.
            let known = unsafe { *known };
            if known.gone == WATCHED {
                return Some(known.born_ns);
            }
        }
    }
    None
}

/// `item` of the epoll at `address`, if that is followed.
#[inline(always)]
fn key_of(file: u64, item: u64, address: u64) -> Option<SourceKey> {
    let epoll = EPOLLS.get_ptr(address)?;
    Some(SourceKey {
        file,
        epoll: EpollId {
            address,
            // SAFETY: a value of EPOLLS.
            born_ns: unsafe { (*epoll).born_ns },
        },
        fd: kernel::probed(item, &OFF_ITEM_FD)?,
        pad: 0,
    })
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
