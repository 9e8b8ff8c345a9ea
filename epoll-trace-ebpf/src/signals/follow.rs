//! Which items of which sources are followed: all that watch a file, from the first notification that tells that it is a source.
//!
//! What is done for each item of a file is a function that others could link, and that takes and gives nothing but numbers: the kernel
//! verifies such a one by itself, once. As a part of its caller it was verified for each way that leads to it, and through the items
//! before it: 724,000 instructions for `ep_poll_callback` on 6.18, of a million that are allowed, in place of 21,000. Before 6.8
//! it is verified where nobody calls it too, so each begins with what leaves nothing of it then.

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::{EpollId, Loss, RELEASED, SOURCE_WALK, SourceItem, SourceKey, WATCHED};

use super::{aggregate::lose, epoll, source::kind_of};
use crate::{
    globals::{BY_CGROUP, COUNT_SOURCES, FILTERED, OFF_ITEM_EVENTS, OFF_ITEM_FD},
    kernel,
    maps::{EPOLLS, SOURCE_ITEMS},
};

/// Follows the item of `key` from now on, and all that watch its file: who is never notified belongs to a herd too.
#[inline(always)]
pub fn introduced(key: &SourceKey, now: u64) -> Option<*mut SourceItem> {
    introduce_source(key.file, key.epoll.address, key.epoll.born_ns, key.fd, now);
    let known = SOURCE_ITEMS.get_ptr_mut(key);
    if known.is_none() {
        lose(Loss::SourceItemsFull);
    }
    known
}

/// Follows an item, told by the fields of its [`SourceKey`], and all others of its file.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn introduce_source(file: u64, epoll: u64, epoll_born_ns: u64, fd: i32, now: u64) -> u64 {
    if COUNT_SOURCES.load() == 0 {
        return 0;
    }
    let key = SourceKey {
        file,
        epoll: EpollId {
            address: epoll,
            born_ns: epoll_born_ns,
        },
        fd,
        pad: 0,
    };
    let born_ns = match source_born(file) {
        0 => now,
        born_ns => born_ns,
    };
    if let Some(known) = SOURCE_ITEMS.get_ptr_mut(key) {
        // SAFETY: a value of SOURCE_ITEMS.
        unsafe {
            if (*known).gone != RELEASED && (*known).born_ns == born_ns {
                (*known).gone = WATCHED;
                return 0;
            }
        }
        // Another file at the same address, before the agent took over what the old one counted.
        lose(Loss::SourcesReused);
        let _ = SOURCE_ITEMS.remove(key);
    }
    let mut watchers = kernel::Watchers::of(file);
    let mut seen = 0;
    while seen < SOURCE_WALK && watchers.has_next() {
        seen += 1;
        if let Some((item, address)) = watchers.next_item() {
            introduce_sibling(file, item, address, born_ns);
        }
    }
    if watchers.has_next() {
        lose(Loss::SourcesCut);
    }
    // The list changed while it was walked, or is longer.
    follow(&key, born_ns);
    0
}

/// Counts into the item of `key` from now on. One that is there already stays as it is, and one without room is counted when it is notified.
#[inline(always)]
fn follow(key: &SourceKey, born_ns: u64) -> Option<*mut SourceItem> {
    if SOURCE_ITEMS.get_ptr(key).is_none() {
        // One number: what an Option without a value holds nobody wrote, and before 6.3 nobody may read it to throw it away.
        let listener =
            kernel::backlog_of_listener(key.file).map_or(0, |backlog| 1 << 32 | u64::from(backlog));
        let new = SourceItem {
            born_ns,
            inode: kernel::inode_of(key.file),
            listener: (listener >> 32) as u32,
            backlog: listener as u32,
            ..SourceItem::default()
        };
        let _ = SOURCE_ITEMS.insert(key, new, u64::from(BPF_NOEXIST));
    }
    SOURCE_ITEMS.get_ptr_mut(key)
}

/// Follows `item` of the epoll at `address`, which watches `file` too.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn introduce_sibling(file: u64, item: u64, address: u64, born_ns: u64) -> u64 {
    if COUNT_SOURCES.load() == 0 {
        return 0;
    }
    if FILTERED.load() == 0 && BY_CGROUP.load() == 0 {
        // Its waiters may sleep since before us, and never be woken.
        epoll::known_or_introduced(address);
    }
    if let Some(key) = key_of(file, item, address)
        && let Some(sibling) = follow(&key, born_ns)
    {
        // SAFETY: a value of SOURCE_ITEMS, and a global, which lies in a map value.
        unsafe {
            (*sibling).events = kernel::probed(item, &OFF_ITEM_EVENTS).unwrap_or(0);
            if (*sibling).listener != 0 {
                kind_of(item).write_volatile(item | 1);
            }
        }
    }
    0
}

/// When `file` was first seen to be a source, as far as any of its items is followed; else 0.
#[inline(always)]
fn source_born(file: u64) -> u64 {
    let mut watchers = kernel::Watchers::of(file);
    let (mut seen, mut born_ns) = (0, 0);
    while seen < SOURCE_WALK && born_ns == 0 && watchers.has_next() {
        seen += 1;
        if let Some((item, address)) = watchers.next_item() {
            born_ns = item_born(file, item, address);
        }
    }
    born_ns
}

/// When `file` was first seen to be a source, if `item` of the epoll at `address`, which watches it, is followed; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn item_born(file: u64, item: u64, address: u64) -> u64 {
    if COUNT_SOURCES.load() == 0 {
        return 0;
    }
    let known = key_of(file, item, address).and_then(|key| SOURCE_ITEMS.get_ptr(key));
    match known {
        // SAFETY: a value of SOURCE_ITEMS.
        Some(known) => unsafe {
            if (*known).gone == WATCHED {
                (*known).born_ns
            } else {
                0
            }
        },
        None => 0,
    }
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
