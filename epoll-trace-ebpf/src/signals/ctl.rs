//! `epoll_ctl`, and waits of io_uring.

use epoll_trace_ebpf::{EVENT_FLAGS, Epoll, EpollCounter, ItemEvent, ItemKey};

use super::{delivery, epoll, source, thread};
use crate::{globals::FOLLOW_ITEMS, kernel, maps::ITEMS};

/// What epoll_ctl was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Request {
    /// The user's word.
    pub data: u64,
    /// Mask and flags.
    pub events: u32,
    /// Descriptor of the epoll.
    pub epfd: i32,
    /// ADD, DEL or MOD.
    pub op: i32,
    /// Descriptor to watch.
    pub fd: i32,
}

impl Request {
    /// From the arguments of epoll_ctl; `event` is the mask and the two halves of the user's word.
    #[inline(always)]
    pub fn new(epfd: i32, op: i32, fd: i32, event: [u32; 3]) -> Self {
        let data = u64::from(event[2]) << 32 | u64::from(event[1]);
        Self {
            data,
            events: event[0],
            epfd,
            op,
            fd,
        }
    }

    /// No request.
    pub const NONE: Self = Self {
        data: 0,
        events: 0,
        epfd: -1,
        op: 0,
        fd: -1,
    };
}

const ADD: i32 = 1;
const DEL: i32 = 2;
const MOD: i32 = 3;

const ONESHOT: u32 = 1 << 30;

const ENOENT: i32 = 2;
const EBADF: i32 = 9;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;

/// The current thread's epoll_ctl returns `ret`: 0, or a negative errno.
#[inline(always)]
pub fn ctl(request: &Request, ret: i32) {
    let wanted = thread::current().is_some();
    let Some(address) = kernel::epoll_of_fd(request.epfd) else {
        return;
    };
    // An epoll that is followed is changed by whoever has it: else its items could not be known.
    let epoll = if wanted {
        epoll::known_or_introduced(address)
    } else {
        epoll::counters(address)
    };
    let Some(epoll) = epoll else { return };
    let counter = match (ret, request.op) {
        (0, ADD) => EpollCounter::CtlAdd,
        (0, MOD) => EpollCounter::CtlMod,
        (0, DEL) => EpollCounter::CtlDel,
        _ => error(ret),
    };
    // SAFETY: a value of EPOLL_ROWS.
    unsafe {
        epoll::count(epoll, counter, 1);
        if ret == 0 {
            if delivery::wanted() {
                let born_ns = (*epoll).id.born_ns;
                match request.op {
                    DEL => delivery::removed(address, born_ns, request),
                    op => delivery::added(address, born_ns, request, op == ADD),
                };
            }
            remember(epoll, address, request);
            match request.op {
                ADD => source::added((*epoll).id, request.fd),
                DEL => source::removed((*epoll).id, request.fd),
                _ => {}
            }
        }
    }
}

/// The current thread calls epoll_ctl; [`ctl_return`] will tell how it ended.
#[inline(always)]
pub fn ctl_enter(request: &Request) {
    if FOLLOW_ITEMS.load() == 0 {
        return;
    }
    if let Some(thread) = thread::current_traced_or_not() {
        // SAFETY: a value of THREADS, written by its own thread.
        unsafe { (*thread).ctl = *request };
    }
}

/// The call that [`ctl_enter`] saw returns `ret`.
#[inline(always)]
pub fn ctl_return(ret: i32) {
    let Some(thread) = thread::known_traced_or_not(kernel::current_task()) else {
        return;
    };
    // SAFETY: a value of THREADS, written by its own thread.
    let request = unsafe {
        let request = (*thread).ctl;
        (*thread).ctl = Request::NONE;
        request
    };
    if request.op != 0 {
        ctl(&request, ret);
    }
}

#[inline(always)]
fn error(ret: i32) -> EpollCounter {
    match -ret {
        EINVAL => EpollCounter::CtlEinval,
        EEXIST => EpollCounter::CtlEexist,
        ENOENT => EpollCounter::CtlEnoent,
        EBADF => EpollCounter::CtlEbadf,
        _ => EpollCounter::CtlErrors,
    }
}

/// # Safety
/// `epoll` must be a value of EPOLL_ROWS.
#[inline(always)]
unsafe fn remember(epoll: *mut Epoll, address: u64, request: &Request) {
    let key = ItemKey {
        epoll: address,
        fd: request.fd,
        pad: 0,
    };
    if request.op == DEL {
        // An item added before us is not remembered.
        let _ = ITEMS.remove(key);
        return;
    }
    let event = ItemEvent {
        data: request.data,
        events: request.events,
        pad: 0,
    };
    if request.op == MOD
        && let Some(before) = ITEMS.get_ptr(key)
    {
        // SAFETY: a value of ITEMS; the kernel may reuse it for another item, which costs a wrong count of one.
        let before = unsafe { *before };
        // A one-shot item is off until it is asked for again: the same mask is no idle call.
        if before.data == event.data && before.events == event.events && event.events & ONESHOT == 0 {
            // SAFETY: the caller's promise.
            unsafe { epoll::count(epoll, EpollCounter::CtlModSame, 1) };
            return;
        }
    }
    // LRU: there is always room.
    let _ = ITEMS.insert(key, event, 0);
    let flags = request.events & EVENT_FLAGS;
    // SAFETY: the caller's promise. Of two threads that race for a bit one may lose it until its next call.
    unsafe {
        if (*epoll).flags & flags != flags {
            (*epoll).flags |= flags;
        }
    }
}

/// io_uring's look at the epoll at `address` returns `ret`: events, or a negative errno. With 0 the wait goes on
/// (`io_epoll_wait`, io_uring/epoll.c).
#[inline(always)]
pub fn uring_wait(address: u64, ret: i32) {
    if ret == 0 || thread::current().is_none() {
        return;
    }
    let Some(epoll) = epoll::known_or_introduced(address) else {
        return;
    };
    // SAFETY: a value of EPOLL_ROWS.
    unsafe {
        epoll::count(epoll, EpollCounter::UringWaits, 1);
        if ret > 0 {
            epoll::count(epoll, EpollCounter::UringEvents, ret as u64);
        }
    }
}
