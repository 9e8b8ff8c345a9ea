//! Items that go with their file, and the moment at which the agent has the kernel list an epoll's items.

use epoll_trace_ebpf::{EpollCounter, EpollId, Loss, RELEASE_WALK, Shown};

use super::{aggregate::lose, epoll, reader, source};
use crate::{
    globals::{FOLLOW_ITEMS, OWN_TGID},
    kernel,
    maps::{EPOLLS, SHOWN},
};

/// The last reference to `file` goes while epolls watch it: none of them sees an EPOLL_CTL_DEL.
#[inline(always)]
pub fn file_released(file: u64) {
    if FOLLOW_ITEMS.load() == 0 {
        return;
    }
    let mut watchers = kernel::Watchers::of(file);
    let mut seen = 0;
    while seen < RELEASE_WALK && watchers.has_next() {
        seen += 1;
        if let Some((item, address)) = watchers.next_item()
            && let Some(epoll) = epoll::counters(address)
        {
            // SAFETY: a value of EPOLL_ROWS.
            unsafe {
                epoll::count(epoll, EpollCounter::ItemsReleased, 1);
                source::released(file, item, (*epoll).id);
            }
        }
    }
    if watchers.has_next() {
        lose(Loss::ReleasesCut);
    }
}

/// Somebody reads the fdinfo of the epoll at `address`. If it is the agent, the epoll is followed from now on, and the agent
/// is told which one it reads of; of others the time is taken.
#[inline(always)]
pub fn shown(address: u64) {
    if u64::from(kernel::current_ids().0) != OWN_TGID.load() {
        reader::begins();
        return;
    }
    let Some(epoll) = epoll::known_or_introduced(address) else {
        return;
    };
    let (Some(known), Some(shown)) = (EPOLLS.get_ptr(address), SHOWN.get_ptr_mut(0)) else {
        return;
    };
    // SAFETY: values of EPOLL_ROWS, EPOLLS and SHOWN.
    unsafe {
        let counters = &raw const (*epoll).counters;
        let of = |counter: EpollCounter| counters.cast::<u64>().add(counter as usize).read_volatile();
        *shown = Shown {
            id: EpollId {
                address,
                born_ns: (*known).born_ns,
            },
            changes: of(EpollCounter::CtlAdd) + of(EpollCounter::CtlDel) + of(EpollCounter::ItemsReleased),
        };
    }
}
